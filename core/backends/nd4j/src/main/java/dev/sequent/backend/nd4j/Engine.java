package dev.sequent.backend.nd4j;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.BaseScalarOp;
import org.nd4j.linalg.api.ops.CustomOp;
import org.nd4j.linalg.api.ops.Op;
import org.nd4j.linalg.api.ops.OpContext;
import org.nd4j.linalg.api.ops.executioner.OpExecutioner;
import org.nd4j.linalg.api.ops.impl.scalar.ScalarAdd;
import org.nd4j.linalg.api.ops.impl.scalar.ScalarDivision;
import org.nd4j.linalg.api.ops.impl.scalar.ScalarMultiplication;
import org.nd4j.linalg.api.ops.impl.scalar.ScalarReverseDivision;
import org.nd4j.linalg.api.ops.impl.scalar.ScalarReverseSubtraction;
import org.nd4j.linalg.api.ops.impl.scalar.ScalarSubtraction;
import org.nd4j.linalg.api.ops.impl.transforms.floating.RSqrt;
import org.nd4j.linalg.api.ops.impl.transforms.floating.Sqrt;
import org.nd4j.linalg.api.ops.impl.transforms.pairwise.arithmetic.AddOp;
import org.nd4j.linalg.api.ops.impl.transforms.pairwise.arithmetic.DivOp;
import org.nd4j.linalg.api.ops.impl.transforms.pairwise.arithmetic.MulOp;
import org.nd4j.linalg.api.ops.impl.transforms.pairwise.arithmetic.PowPairwise;
import org.nd4j.linalg.api.ops.impl.transforms.pairwise.arithmetic.SubOp;
import org.nd4j.linalg.api.ops.impl.transforms.same.Abs;
import org.nd4j.linalg.api.ops.impl.transforms.same.Floor;
import org.nd4j.linalg.api.ops.impl.transforms.same.Negative;
import org.nd4j.linalg.api.ops.impl.transforms.same.Reciprocal;
import org.nd4j.linalg.api.ops.impl.transforms.same.Square;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Cos;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Erf;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Exp;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Log;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Sigmoid;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Sin;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Swish;
import org.nd4j.linalg.factory.Nd4j;

/**
 * ND4J's own operations on F32 and F64 vectors: only those that give what the SPI asks for, to the last special value. Methods answer
 * false, and have done nothing, when there is no such operation. Thread-safe.
 */
final class Engine {
    private static final double SQRT_HALF = Math.sqrt(0.5);

    private final OpExecutioner executioner = Nd4j.getExecutioner();
    private final CustomOp add = new AddOp();
    private final CustomOp subtract = new SubOp();
    private final CustomOp multiply = new MulOp();
    private final CustomOp divide = new DivOp();
    private final ConcurrentLinkedQueue<Scratch> scratches = new ConcurrentLinkedQueue<>();

    /**
     * What one operation needs beside its operands. ND4J would make it anew every time and leave it to the garbage collector: closing a
     * context does nothing in this version. So it is kept and used again.
     */
    private record Scratch(OpContext context, INDArray f32, INDArray f64) implements AutoCloseable {
        INDArray scalar(DataType type, double value) {
            INDArray scalar = type == DataType.FLOAT ? f32 : f64;
            scalar.data().put(0, value);
            return scalar;
        }

        @Override
        public void close() {
            f32.close();
            f64.close();
        }
    }

    private Scratch scratch() {
        Scratch scratch = scratches.poll();
        if (scratch != null) {
            return scratch;
        }
        INDArray f32 = Nd4j.createUninitializedDetached(DataType.FLOAT, new long[0]);
        INDArray f64 = Nd4j.createUninitializedDetached(DataType.DOUBLE, new long[0]);
        return new Scratch(executioner.buildContext(), f32, f64);
    }

    /** Frees what operations have left; nothing runs any more. */
    void close() {
        scratches.forEach(Scratch::close);
        scratches.clear();
    }

    /** Whether ND4J computes in this dtype as the SPI asks: with its full precision and IEEE's special values. */
    static boolean computes(DType dtype) {
        return dtype == DType.F32 || dtype == DType.F64;
    }

    /** z = op(x). */
    boolean unary(UnaryOp op, INDArray x, INDArray z) {
        Op transform = switch (op) {
            case NEG -> new Negative(x, z);
            case ABS -> new Abs(x, z);
            case SQUARE -> new Square(x, z);
            case SQRT -> new Sqrt(x, z);
            case RSQRT -> new RSqrt(x, z);
            case RECIPROCAL -> new Reciprocal(x, z);
            case EXP -> new Exp(x, z);
            case LOG -> new Log(x, z);
            case SIN -> new Sin(x, z);
            case COS -> new Cos(x, z);
            case ERF -> new Erf(x, z);
            case SIGMOID -> new Sigmoid(x, z);
            case SILU -> new Swish(x, z);
            case FLOOR -> new Floor(x, z);
            // left out for the reasons that Detours gives
            case EXPM1, LOG1P, TANH, SIGN, SOFTPLUS, RELU, GELU, GELU_TANH, NOT -> null;
        };
        if (transform != null) {
            executioner.exec(transform);
            return true;
        }
        return op == UnaryOp.GELU && gelu(x, z);
    }

    /** z = x (1 + erf(x / sqrt 2)) / 2. */
    private boolean gelu(INDArray x, INDArray z) {
        scalar(new ScalarMultiplication(), x, SQRT_HALF, z);
        executioner.exec(new Erf(z, z));
        scalar(new ScalarAdd(), z, 1, z);
        scalar(new ScalarMultiplication(), z, 0.5, z);
        pairwise(multiply, z, x, z);
        return true;
    }

    /** z = op(x, y). */
    boolean binary(BinaryOp op, INDArray x, INDArray y, INDArray z) {
        switch (op) {
            case ADD -> pairwise(add, x, y, z);
            case SUB -> pairwise(subtract, x, y, z);
            case MUL -> pairwise(multiply, x, y, z);
            case DIV -> pairwise(divide, x, y, z);
            case POW -> executioner.exec(new PowPairwise(x, y, z));
            case MAX, MIN, MOD, AND, OR -> {
                return false;
            }
        }
        return true;
    }

    /** z = op(x, s), or op(s, x) when {@code reversed}. */
    boolean binaryScalar(BinaryOp op, INDArray x, double s, boolean reversed, INDArray z) {
        switch (op) {
            case ADD -> scalar(new ScalarAdd(), x, s, z);
            case MUL -> scalar(new ScalarMultiplication(), x, s, z);
            case SUB -> scalar(reversed ? new ScalarReverseSubtraction() : new ScalarSubtraction(), x, s, z);
            case DIV -> scalar(reversed ? new ScalarReverseDivision() : new ScalarDivision(), x, s, z);
            case POW, MAX, MIN, MOD, AND, OR -> {
                return false;
            }
        }
        return true;
    }

    private void scalar(BaseScalarOp op, INDArray x, double s, INDArray z) {
        Scratch scratch = scratch();
        op.setX(x);
        op.setZ(z);
        op.setScalar(scratch.scalar(x.dataType(), s));
        executioner.exec(op);
        scratches.add(scratch);
    }

    private void pairwise(CustomOp op, INDArray x, INDArray y, INDArray z) {
        Scratch scratch = scratch();
        OpContext context = scratch.context;
        context.setInputArray(0, x);
        context.setInputArray(1, y);
        context.setOutputArray(0, z);
        executioner.exec(op, context);
        context.purge();
        scratches.add(scratch);
    }
}
