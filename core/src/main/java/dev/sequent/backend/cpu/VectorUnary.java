package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import dev.sequent.op.UnaryOp;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * One loop per function of one argument. The loops differ in one line and are spelled out all the same: a loop that took its function
 * as an argument would allocate a vector object per step, and slices are taken inside each loop because C2 keeps bounds checks on
 * segments that it did not see being cut.
 */
final class VectorUnary {
    private static final ValueLayout.OfFloat F = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final FloatVector ZERO = FloatVector.zero(S);
    private static final FloatVector ONE = FloatVector.broadcast(S, 1f);

    private VectorUnary() {}

    /** {@code y[i] = op(x[i])}. */
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
            case EXPM1, LOG, LOG1P, SIN, COS, TANH, SOFTPLUS -> scalar(op, x, xo, y, yo, n);
            case ERF -> erf(x, xo, y, yo, n);
            case SIGMOID -> sigmoid(x, xo, y, yo, n);
            case RELU -> relu(x, xo, y, yo, n);
            case SILU -> silu(x, xo, y, yo, n);
            case GELU -> gelu(x, xo, y, yo, n);
            case GELU_TANH -> geluTanh(x, xo, y, yo, n);
            case FLOOR -> floor(x, xo, y, yo, n);
            case NOT -> not(x, xo, y, yo, n);
        }
    }

    /**
     * Functions of libraries. The Vector API has them too, but computes them in one way interpreted and in another compiled, so that the same seed would
     * not give the same numbers.
     */
    private static void scalar(UnaryOp op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i++) {
            t.set(F, i * 4L, (float) op.apply(s.get(F, i * 4L)));
        }
    }

    private static void negate(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.neg().intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.neg().intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void abs(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.abs().intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.abs().intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void sign(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.sign(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.sign(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void square(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.mul(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.mul(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void sqrt(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.sqrt().intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.sqrt().intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void rsqrt(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            ONE.div(v.sqrt()).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            ONE.div(v.sqrt()).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void reciprocal(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            ONE.div(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            ONE.div(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void exp(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.exp(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.exp(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void erf(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.erf(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.erf(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void sigmoid(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.sigmoid(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.sigmoid(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void relu(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.relu(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.relu(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void silu(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.silu(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.silu(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void gelu(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.gelu(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.gelu(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void geluTanh(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.geluTanh(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.geluTanh(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void floor(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            VectorMath.floor(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            VectorMath.floor(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void not(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            ZERO.blend(ONE, v.compare(VectorOperators.EQ, 0f)).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            ZERO.blend(ONE, v.compare(VectorOperators.EQ, 0f)).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }
}
