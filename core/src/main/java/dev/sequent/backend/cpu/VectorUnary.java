package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import dev.sequent.op.UnaryOp;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * One loop per function of one argument. The loops differ in one line and are spelled out all the same: a loop that took its function
 * as an argument would allocate a vector object per step, and slices are taken inside each loop because C2 keeps bounds checks on
 * segments that it did not see being cut. Rows are whole vectors: {@link VectorKernels} sees to the rest.
 */
final class VectorUnary {
    private static final FloatVector ZERO = FloatVector.zero(S);
    private static final FloatVector ONE = FloatVector.broadcast(S, 1f);

    private VectorUnary() {}

    /** {@code y[i] = op(x[i])} for {@code n} a multiple of the lanes. */
    static void apply(UnaryOp op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        switch (op) {
            case NEG -> negate(x, xo, y, yo, n);
            case ABS -> abs(x, xo, y, yo, n);
            case SIGN -> sign(x, xo, y, yo, n);
            case SQUARE -> square(x, xo, y, yo, n);
            case SQRT -> sqrt(x, xo, y, yo, n);
            case RSQRT -> rsqrt(x, xo, y, yo, n);
            case RECIPROCAL -> reciprocal(x, xo, y, yo, n);
            case EXP -> exp(x, xo, y, yo, n);
            case EXPM1 -> expm1(x, xo, y, yo, n);
            case LOG -> log(x, xo, y, yo, n);
            case LOG1P -> log1p(x, xo, y, yo, n);
            case SIN -> sin(x, xo, y, yo, n);
            case COS -> cos(x, xo, y, yo, n);
            case TANH -> tanh(x, xo, y, yo, n);
            case ERF -> erf(x, xo, y, yo, n);
            case SIGMOID -> sigmoid(x, xo, y, yo, n);
            case SOFTPLUS -> softplus(x, xo, y, yo, n);
            case RELU -> relu(x, xo, y, yo, n);
            case SILU -> silu(x, xo, y, yo, n);
            case GELU -> gelu(x, xo, y, yo, n);
            case GELU_TANH -> geluTanh(x, xo, y, yo, n);
            case FLOOR -> floor(x, xo, y, yo, n);
            case NOT -> not(x, xo, y, yo, n);
        }
    }

    private static void negate(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.neg().intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void abs(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.abs().intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void sign(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.sign(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void square(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.mul(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void sqrt(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.sqrt().intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void rsqrt(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            ONE.div(v.sqrt()).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void reciprocal(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            ONE.div(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void exp(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.exp(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void expm1(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.expm1(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void log(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.log(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void log1p(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.log1p(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void sin(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.sin(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void cos(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.cos(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void tanh(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.tanh(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void erf(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.erf(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void sigmoid(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.sigmoid(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void softplus(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.softplus(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void relu(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.relu(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void silu(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.silu(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void gelu(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.gelu(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void geluTanh(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.geluTanh(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void floor(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.floor(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void not(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            ZERO.blend(ONE, v.compare(VectorOperators.EQ, 0f)).intoMemorySegment(t, i * 4L, ORDER);
        }
    }
}
