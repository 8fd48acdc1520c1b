package dev.sequent.tensor;

import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;

/** What operations demand of the dtypes of their operands. All throw {@link DTypeException}. */
final class DTypeChecks {
    private DTypeChecks() {}

    /** That {@code fits} holds, which it does for tensors of the {@code expected} dtypes. */
    static void require(boolean fits, String op, String expected, Tensor given) {
        if (!fits) {
            throw new DTypeException(op, expected, given.dtype().toString());
        }
    }

    static void requireSame(String op, Tensor a, Tensor b) {
        if (a.dtype() != b.dtype()) {
            throw new DTypeException(op, "operands of one dtype", a.dtype() + " and " + b.dtype());
        }
    }

    /** That a number can be combined with elements of a tensor: whole numbers with integers. */
    static void requireExpressible(String op, Tensor x, double s) {
        if (x.dtype().isInteger() && s != Math.rint(s)) {
            throw new DTypeException(op, "a whole number for " + x.dtype(), s + "");
        }
    }

    static void requireSupport(Device device, DType dtype, String op) {
        if (!device.supports(dtype)) {
            throw new DTypeException(op, "a dtype that " + device + " supports " + device.capabilities().dtypes(), dtype.toString());
        }
    }
}
