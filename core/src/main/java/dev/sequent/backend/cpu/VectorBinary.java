package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import dev.sequent.op.BinaryOp;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** One loop per function of two arguments, and one per function of an argument and a scalar; see {@link VectorUnary} for why. */
final class VectorBinary {
    private VectorBinary() {}

    /**
     * Whether there is a loop for {@code op}. Powers have none: the Vector API computes them in one way interpreted and in another
     * compiled, so that the same seed would not give the same numbers.
     */
    static boolean supports(BinaryOp op) {
        return op != BinaryOp.POW && op != BinaryOp.MOD && op != BinaryOp.AND && op != BinaryOp.OR;
    }

    /** {@code y[i] = op(a[i], b[i])} for {@code n} a multiple of the lanes. */
    static void apply(BinaryOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        switch (op) {
            case ADD -> add(a, ao, b, bo, y, yo, n);
            case SUB -> subtract(a, ao, b, bo, y, yo, n);
            case MUL -> multiply(a, ao, b, bo, y, yo, n);
            case DIV -> divide(a, ao, b, bo, y, yo, n);
            case MAX -> max(a, ao, b, bo, y, yo, n);
            case MIN -> min(a, ao, b, bo, y, yo, n);
            case POW, MOD, AND, OR -> throw new IllegalArgumentException(op + " has no vector form");
        }
    }

    /** {@code y[i] = op(x[i], s)}, or {@code op(s, x[i])} when reversed, for {@code n} a multiple of the lanes. */
    static void applyScalar(BinaryOp op, MemorySegment x, long xo, float s, boolean reversed, MemorySegment y, long yo, int n) {
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
            case POW, MOD, AND, OR -> throw new IllegalArgumentException(op + " has no vector form");
        }
    }

    private static void add(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.add(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void subtract(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.sub(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void multiply(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.mul(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void divide(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.div(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void max(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.max(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void min(MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        MemorySegment s = a.asSlice(ao, n * 4L);
        MemorySegment r = b.asSlice(bo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, r, i * 4L, ORDER);
            v.min(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void add(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.add(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void multiply(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.mul(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void divide(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.div(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void max(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.max(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void min(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            v.min(w).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void subtractFrom(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            w.sub(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }

    private static void divideInto(MemorySegment x, long xo, float scalar, MemorySegment y, long yo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        FloatVector w = FloatVector.broadcast(S, scalar);
        for (int i = 0; i < n; i += LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            w.div(v).intoMemorySegment(t, i * 4L, ORDER);
        }
    }
}
