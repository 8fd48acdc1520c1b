package dev.sequent.backend.djl;

import ai.djl.ndarray.types.DataType;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.Shape;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/** Element types and shapes as DJL names them. */
final class Types {
    /** What tensors can be made of. BF16 is not: DJL 0.35's conversion to it does not return but ends the process. */
    static final Set<DType> SUPPORTED = Collections.unmodifiableSet(EnumSet.complementOf(EnumSet.of(DType.BF16)));

    private Types() {}

    /** DJL's element type; must be reached before any native call that names an element type. */
    static DataType of(String op, DType dtype) {
        return switch (dtype) {
            case F64 -> DataType.FLOAT64;
            case F32 -> DataType.FLOAT32;
            case F16 -> DataType.FLOAT16;
            case I64 -> DataType.INT64;
            case I32 -> DataType.INT32;
            case BOOL -> DataType.BOOLEAN;
            case BF16 -> throw new DTypeException(op, "an element type among " + SUPPORTED + " (DJL's PyTorch engine has no BF16)",
                    dtype.toString());
        };
    }

    static ai.djl.ndarray.types.Shape shape(Shape shape) {
        return new ai.djl.ndarray.types.Shape(shape.toArray());
    }

    /** {@code value} as {@code dtype} stores it: PyTorch refuses scalars that its conversion would change. */
    static double stored(double value, DType dtype) {
        return switch (dtype) {
            case F64 -> value;
            case F32 -> (float) value;
            case F16, BF16 -> Float.float16ToFloat(Float.floatToFloat16((float) value));
            case I64, I32, BOOL -> integer(value, dtype);
        };
    }

    /** {@code value} truncated to an integer of {@code dtype}, or the nearest that it has. */
    static long integer(double value, DType dtype) {
        return switch (dtype) {
            case I32 -> (int) value;
            case BOOL -> value != 0 ? 1 : 0;
            default -> (long) value;
        };
    }
}
