package dev.sequent.fused;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * {@link RowMath} in vector instructions. Every method slices its rows first and then uses offsets derived from an int, the form in
 * which the compiler drops the bounds checks; a masked step handles what is left of a row.
 */
final class RowMathVector implements RowMath {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = S.length();
    private static final long VB = S.vectorByteSize();

    /** Elements whose exponentials are summed in floats before the sum goes on in double. */
    private static final int SUM_BLOCK = 64 * LANES;

    private static MemorySegment row(MemorySegment x, long index, int n) {
        return x.asSlice(index << 2, (long) n << 2);
    }

    @Override
    public float sum(MemorySegment as, long ai, int n) {
        MemorySegment a = row(as, ai, n);
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i <= n - 4 * LANES; i += 4 * LANES) {
            long o = (long) i << 2;
            s0 = s0.add(FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN));
            s1 = s1.add(FloatVector.fromMemorySegment(S, a, o + VB, LITTLE_ENDIAN));
            s2 = s2.add(FloatVector.fromMemorySegment(S, a, o + 2 * VB, LITTLE_ENDIAN));
            s3 = s3.add(FloatVector.fromMemorySegment(S, a, o + 3 * VB, LITTLE_ENDIAN));
        }
        for (; i <= n - LANES; i += LANES) {
            s0 = s0.add(FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN));
        }
        if (i < n) {
            s1 = s1.add(FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN, S.indexInRange(i, n)));
        }
        return LaneSum.of(s0.add(s1).add(s2.add(s3)));
    }

    @Override
    public float sumSquares(MemorySegment as, long ai, float shift, int n) {
        MemorySegment a = row(as, ai, n);
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i <= n - 4 * LANES; i += 4 * LANES) {
            long o = (long) i << 2;
            FloatVector a0 = FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN).sub(shift);
            FloatVector a1 = FloatVector.fromMemorySegment(S, a, o + VB, LITTLE_ENDIAN).sub(shift);
            FloatVector a2 = FloatVector.fromMemorySegment(S, a, o + 2 * VB, LITTLE_ENDIAN).sub(shift);
            FloatVector a3 = FloatVector.fromMemorySegment(S, a, o + 3 * VB, LITTLE_ENDIAN).sub(shift);
            s0 = a0.fma(a0, s0);
            s1 = a1.fma(a1, s1);
            s2 = a2.fma(a2, s2);
            s3 = a3.fma(a3, s3);
        }
        for (; i <= n - LANES; i += LANES) {
            FloatVector a0 = FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN).sub(shift);
            s0 = a0.fma(a0, s0);
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector a0 = FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN, m).sub(shift, m);
            s1 = a0.fma(a0, s1);
        }
        return LaneSum.of(s0.add(s1).add(s2.add(s3)));
    }

    @Override
    public float dot(MemorySegment as, long ai, MemorySegment bs, long bi, int n) {
        MemorySegment a = row(as, ai, n);
        MemorySegment b = row(bs, bi, n);
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i <= n - 4 * LANES; i += 4 * LANES) {
            long o = (long) i << 2;
            s0 = FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN)
                .fma(FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN), s0);
            s1 = FloatVector.fromMemorySegment(S, a, o + VB, LITTLE_ENDIAN)
                .fma(FloatVector.fromMemorySegment(S, b, o + VB, LITTLE_ENDIAN), s1);
            s2 = FloatVector.fromMemorySegment(S, a, o + 2 * VB, LITTLE_ENDIAN)
                .fma(FloatVector.fromMemorySegment(S, b, o + 2 * VB, LITTLE_ENDIAN), s2);
            s3 = FloatVector.fromMemorySegment(S, a, o + 3 * VB, LITTLE_ENDIAN)
                .fma(FloatVector.fromMemorySegment(S, b, o + 3 * VB, LITTLE_ENDIAN), s3);
        }
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            s0 = FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN)
                .fma(FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN), s0);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            s1 = FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN, m)
                .fma(FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN, m), s1);
        }
        return LaneSum.of(s0.add(s1).add(s2.add(s3)));
    }

    @Override
    public float max(MemorySegment as, long ai, int n) {
        MemorySegment a = row(as, ai, n);
        FloatVector m0 = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
        FloatVector m1 = m0;
        int i = 0;
        // compare and blend: FloatVector.max spends six instructions on the rules for NaN and signed zeros
        for (; i <= n - 2 * LANES; i += 2 * LANES) {
            FloatVector a0 = FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN);
            FloatVector a1 = FloatVector.fromMemorySegment(S, a, ((long) i << 2) + VB, LITTLE_ENDIAN);
            m0 = m0.blend(a0, a0.compare(VectorOperators.GT, m0));
            m1 = m1.blend(a1, a1.compare(VectorOperators.GT, m1));
        }
        for (; i <= n - LANES; i += LANES) {
            FloatVector a0 = FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN);
            m0 = m0.blend(a0, a0.compare(VectorOperators.GT, m0));
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector a0 = FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN, m);
            m1 = m1.blend(a0, a0.compare(VectorOperators.GT, m1).and(m));
        }
        return m0.blend(m1, m1.compare(VectorOperators.GT, m0)).reduceLanes(VectorOperators.MAX);
    }

    @Override
    public void add(MemorySegment as, long ai, MemorySegment bs, long bi, MemorySegment ys, long yi, int n) {
        MemorySegment a = row(as, ai, n);
        MemorySegment b = row(bs, bi, n);
        MemorySegment y = row(ys, yi, n);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN).add(FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN))
                .intoMemorySegment(y, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN, m).add(FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN, m))
                .intoMemorySegment(y, o, LITTLE_ENDIAN, m);
        }
    }

    @Override
    public void scale(MemorySegment as, long ai, float factor, MemorySegment ys, long yi, int n) {
        MemorySegment a = row(as, ai, n);
        MemorySegment y = row(ys, yi, n);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN).mul(factor).intoMemorySegment(y, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN, m).mul(factor).intoMemorySegment(y, o, LITTLE_ENDIAN, m);
        }
    }

    @Override
    public double sumExp(MemorySegment as, long ai, float shift, int n) {
        double s = 0;
        for (int from = 0; from < n; from += SUM_BLOCK) {
            s += sumExpBlock(as, ai + from, shift, Math.min(SUM_BLOCK, n - from));
        }
        return s;
    }

    private static float sumExpBlock(MemorySegment as, long ai, float shift, int n) {
        MemorySegment a = row(as, ai, n);
        FloatVector s = FloatVector.zero(S);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            s = s.add(VectorExp.exp(FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN).sub(shift)));
        }
        if (i < n) {
            VectorMask<Float> m = S.indexInRange(i, n);
            s = s.add(VectorExp.exp(FloatVector.fromMemorySegment(S, a, (long) i << 2, LITTLE_ENDIAN, m).sub(shift)), m);
        }
        return LaneSum.of(s);
    }

    @Override
    public double exp(MemorySegment as, long ai, float shift, MemorySegment ys, long yi, int n) {
        double s = 0;
        for (int from = 0; from < n; from += SUM_BLOCK) {
            s += expBlock(as, ai + from, shift, ys, yi + from, Math.min(SUM_BLOCK, n - from));
        }
        return s;
    }

    private static float expBlock(MemorySegment as, long ai, float shift, MemorySegment ys, long yi, int n) {
        MemorySegment a = row(as, ai, n);
        MemorySegment y = row(ys, yi, n);
        FloatVector s = FloatVector.zero(S);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector e = VectorExp.exp(FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN).sub(shift));
            e.intoMemorySegment(y, o, LITTLE_ENDIAN);
            s = s.add(e);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector e = VectorExp.exp(FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN, m).sub(shift));
            e.intoMemorySegment(y, o, LITTLE_ENDIAN, m);
            s = s.add(e, m);
        }
        return LaneSum.of(s);
    }

    @Override
    public void mulShifted(MemorySegment as, long ai, MemorySegment bs, long bi, float shift, MemorySegment ys, long yi, int n) {
        MemorySegment a = row(as, ai, n);
        MemorySegment b = row(bs, bi, n);
        MemorySegment y = row(ys, yi, n);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN).sub(shift)
                .mul(FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN)).intoMemorySegment(y, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN, m).sub(shift)
                .mul(FloatVector.fromMemorySegment(S, a, o, LITTLE_ENDIAN, m)).intoMemorySegment(y, o, LITTLE_ENDIAN, m);
        }
    }
}
