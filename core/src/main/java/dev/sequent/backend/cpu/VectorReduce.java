package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.LANES;
import static dev.sequent.backend.cpu.VectorMath.ORDER;
import static dev.sequent.backend.cpu.VectorMath.S;

import dev.sequent.op.ReduceOp;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/** Reductions of rows to numbers and of columns to a row. NaN wins over every number, as in {@link Math#max}. */
final class VectorReduce {
    private static final ValueLayout.OfFloat F = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private VectorReduce() {}

    /** Reduces each of {@code rows} rows; false when there is no loop for {@code op}. */
    static boolean rows(ReduceOp op, MemorySegment x, long xo, long stride, int rows, int n, MemorySegment y, long yo) {
        for (int r = 0; r < rows; r++) {
            float value;
            switch (op) {
                case SUM -> value = sum(x, xo + r * stride, n);
                case MAX -> value = max(x, xo + r * stride, n);
                case MIN -> value = min(x, xo + r * stride, n);
                default -> {
                    return false;
                }
            }
            y.set(F, yo + 4L * r, value);
        }
        return true;
    }

    private static float sum(MemorySegment x, long xo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= n - 4 * LANES; i += 4 * LANES) {
            a = a.add(FloatVector.fromMemorySegment(S, s, i * 4L, ORDER));
            b = b.add(FloatVector.fromMemorySegment(S, s, (i + LANES) * 4L, ORDER));
            c = c.add(FloatVector.fromMemorySegment(S, s, (i + 2 * LANES) * 4L, ORDER));
            d = d.add(FloatVector.fromMemorySegment(S, s, (i + 3 * LANES) * 4L, ORDER));
        }
        a = a.add(b).add(c.add(d));
        for (; i <= n - LANES; i += LANES) {
            a = a.add(FloatVector.fromMemorySegment(S, s, i * 4L, ORDER));
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            a = a.add(FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m));
        }
        return LaneSum.of(a);
    }

    private static float max(MemorySegment x, long xo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        FloatVector a = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
        FloatVector b = a;
        VectorMask<Float> nan = S.maskAll(false);
        int i = 0;
        for (; i <= n - 2 * LANES; i += 2 * LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, s, (i + LANES) * 4L, ORDER);
            nan = nan.or(v.compare(VectorOperators.NE, v)).or(w.compare(VectorOperators.NE, w));
            a = a.blend(v, v.compare(VectorOperators.GT, a));
            b = b.blend(w, w.compare(VectorOperators.GT, b));
        }
        a = a.blend(b, b.compare(VectorOperators.GT, a));
        for (; i < n; i += LANES) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            nan = nan.or(v.compare(VectorOperators.NE, v));
            a = a.blend(v, v.compare(VectorOperators.GT, a).and(m));
        }
        return nan.anyTrue() ? Float.NaN : a.reduceLanes(VectorOperators.MAX);
    }

    private static float min(MemorySegment x, long xo, int n) {
        MemorySegment s = x.asSlice(xo, n * 4L);
        FloatVector a = FloatVector.broadcast(S, Float.POSITIVE_INFINITY);
        FloatVector b = a;
        VectorMask<Float> nan = S.maskAll(false);
        int i = 0;
        for (; i <= n - 2 * LANES; i += 2 * LANES) {
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, s, (i + LANES) * 4L, ORDER);
            nan = nan.or(v.compare(VectorOperators.NE, v)).or(w.compare(VectorOperators.NE, w));
            a = a.blend(v, v.compare(VectorOperators.LT, a));
            b = b.blend(w, w.compare(VectorOperators.LT, b));
        }
        a = a.blend(b, b.compare(VectorOperators.LT, a));
        for (; i < n; i += LANES) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector v = FloatVector.fromMemorySegment(S, s, i * 4L, ORDER, m);
            nan = nan.or(v.compare(VectorOperators.NE, v));
            a = a.blend(v, v.compare(VectorOperators.LT, a).and(m));
        }
        return nan.anyTrue() ? Float.NaN : a.reduceLanes(VectorOperators.MIN);
    }

    /** Adds rows to {@code y}, four at a time so that y is read and written a quarter as often; answers how many rows are done. */
    static int accumulateSum(MemorySegment x, long xo, long stride, int rows, MemorySegment y, long yo, int n) {
        int r = 0;
        for (; r + 4 <= rows; r += 4) {
            long at = xo + r * stride;
            addFour(x, at, at + stride, at + 2 * stride, at + 3 * stride, y, yo, n);
        }
        return r;
    }

    private static void addFour(MemorySegment x, long p, long q, long r, long u, MemorySegment y, long yo, int n) {
        MemorySegment s0 = x.asSlice(p, n * 4L);
        MemorySegment s1 = x.asSlice(q, n * 4L);
        MemorySegment s2 = x.asSlice(r, n * 4L);
        MemorySegment s3 = x.asSlice(u, n * 4L);
        MemorySegment t = y.asSlice(yo, n * 4L);
        int i = 0;
        for (; i < S.loopBound(n); i += LANES) {
            FloatVector a = FloatVector.fromMemorySegment(S, s0, i * 4L, ORDER).add(FloatVector.fromMemorySegment(S, s1, i * 4L, ORDER));
            FloatVector b = FloatVector.fromMemorySegment(S, s2, i * 4L, ORDER).add(FloatVector.fromMemorySegment(S, s3, i * 4L, ORDER));
            FloatVector.fromMemorySegment(S, t, i * 4L, ORDER).add(a.add(b)).intoMemorySegment(t, i * 4L, ORDER);
        }
        if (i < n) {
            addFourTails(s0, s1, s2, s3, t, i, n);
        }
    }

    private static void addFourTails(MemorySegment s0, MemorySegment s1, MemorySegment s2, MemorySegment s3, MemorySegment t, int i,
            int n) {
        VectorMask<Float> m = S.indexInRange(i, n);
        FloatVector a = FloatVector.fromMemorySegment(S, s0, i * 4L, ORDER, m).add(FloatVector.fromMemorySegment(S, s1, i * 4L, ORDER, m));
        FloatVector b = FloatVector.fromMemorySegment(S, s2, i * 4L, ORDER, m).add(FloatVector.fromMemorySegment(S, s3, i * 4L, ORDER, m));
        FloatVector.fromMemorySegment(S, t, i * 4L, ORDER, m).add(a.add(b)).intoMemorySegment(t, i * 4L, ORDER, m);
    }
}
