package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import dev.sequent.op.BinaryOp;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/** One loop per function of two arguments, and one per function of an argument and a scalar; see {@link VectorUnary} for why. */
final class VectorBinary {
    private VectorBinary() {}

    /**
     * {@code y[i] = op(a[i], b[i])}; false when there is no loop for {@code op}. Powers have none: the Vector API computes them
     * in one way interpreted and in another compiled.
     */
    static boolean apply(BinaryOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        switch (op) {
            case ADD -> add(a, ao, b, bo, y, yo, n);
            case SUB -> subtract(a, ao, b, bo, y, yo, n);
            case MUL -> multiply(a, ao, b, bo, y, yo, n);
            case DIV -> divide(a, ao, b, bo, y, yo, n);
            case MAX -> max(a, ao, b, bo, y, yo, n);
            case MIN -> min(a, ao, b, bo, y, yo, n);
            case POW, MOD, AND, OR -> {
                return false;
            }
        }
        return true;
    }

    /** {@code y[i] = op(x[i], s)}, or {@code op(s, x[i])} when reversed; false when there is no loop for {@code op}. */
    static boolean applyScalar(BinaryOp op, MemorySegment x, long xo, float s, boolean reversed, MemorySegment y, long yo, int n) {
        switch (op) {
            case ADD -> add(x, xo, s, y, yo, n);
            case MUL -> multiply(x, xo, s, y, yo, n);
            case MAX -> max(x, xo, s, y, yo, n);
            case MIN -> min(x, xo, s, y, yo, n);
            case SUB -> {
                if (reversed) {
                    subtractFrom(x, xo, s, y, yo, n);
                } else {
                    add(x, xo, -s, y, yo, n);
                }
            }
            case DIV -> {
                if (reversed) {
                    divideInto(x, xo, s, y, yo, n);
                } else {
                    divide(x, xo, s, y, yo, n);
                }
            }
            case POW, MOD, AND, OR -> {
                return false;
            }
        }
        return true;
    }

    private static void add(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.add(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER, m);
            v.add(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void subtract(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.sub(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER, m);
            v.sub(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void multiply(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.mul(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER, m);
            v.mul(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void divide(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.div(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER, m);
            v.div(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void max(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.max(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER, m);
            v.max(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void min(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.min(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER, m);
            v.min(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void add(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.add(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.add(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void multiply(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.mul(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.mul(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void divide(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.div(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.div(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void max(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.max(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.max(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void min(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.min(w).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            v.min(w).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void subtractFrom(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            w.sub(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            w.sub(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }

    private static void divideInto(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            w.div(v).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            w.div(v).intoMemorySegment(t, i * 4L, ORDER, m);
        }
    }
}
