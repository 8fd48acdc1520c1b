package dev.sequent.fused.norm;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/** {@link NormMath} in vector instructions: rows sliced first, offsets derived from an int, a masked step for the rest of a row. */
final class NormMathVector implements NormMath {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = S.length();
    private static final long VB = S.vectorByteSize();

    private static MemorySegment row(MemorySegment x, long index, int n) {
        return x.asSlice(index << 2, (long) n << 2);
    }

    @Override
    public void apply(MemorySegment xs, long xi, float shift, float factor, MemorySegment ws, MemorySegment ys, long yi, int n) {
        MemorySegment x = row(xs, xi, n);
        MemorySegment w = row(ws, 0, n);
        MemorySegment y = row(ys, yi, n);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN).sub(shift).mul(factor)
                .mul(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN)).intoMemorySegment(y, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN, m).sub(shift).mul(factor)
                .mul(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN, m)).intoMemorySegment(y, o, LITTLE_ENDIAN, m);
        }
    }

    @Override
    public void apply(MemorySegment xs, long xi, float shift, float factor, MemorySegment ws, MemorySegment bs, MemorySegment ys, long yi,
            int n) {
        MemorySegment x = row(xs, xi, n);
        MemorySegment w = row(ws, 0, n);
        MemorySegment b = row(bs, 0, n);
        MemorySegment y = row(ys, yi, n);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN).sub(shift).mul(factor)
                .fma(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN), FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN))
                .intoMemorySegment(y, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN, m).sub(shift).mul(factor)
                .fma(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN, m), FloatVector.fromMemorySegment(S, b, o, LITTLE_ENDIAN, m))
                .intoMemorySegment(y, o, LITTLE_ENDIAN, m);
        }
    }

    @Override
    public float weightedDot(MemorySegment gs, long gi, MemorySegment ws, MemorySegment xs, long xi, float shift, int n) {
        MemorySegment g = row(gs, gi, n);
        MemorySegment w = row(ws, 0, n);
        MemorySegment x = row(xs, xi, n);
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i <= n - 4 * LANES; i += 4 * LANES) {
            long o = (long) i << 2;
            s0 = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN).mul(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN))
                .fma(FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN).sub(shift), s0);
            s1 = FloatVector.fromMemorySegment(S, g, o + VB, LITTLE_ENDIAN).mul(FloatVector.fromMemorySegment(S, w, o + VB, LITTLE_ENDIAN))
                .fma(FloatVector.fromMemorySegment(S, x, o + VB, LITTLE_ENDIAN).sub(shift), s1);
            s2 = FloatVector.fromMemorySegment(S, g, o + 2 * VB, LITTLE_ENDIAN)
                .mul(FloatVector.fromMemorySegment(S, w, o + 2 * VB, LITTLE_ENDIAN))
                .fma(FloatVector.fromMemorySegment(S, x, o + 2 * VB, LITTLE_ENDIAN).sub(shift), s2);
            s3 = FloatVector.fromMemorySegment(S, g, o + 3 * VB, LITTLE_ENDIAN)
                .mul(FloatVector.fromMemorySegment(S, w, o + 3 * VB, LITTLE_ENDIAN))
                .fma(FloatVector.fromMemorySegment(S, x, o + 3 * VB, LITTLE_ENDIAN).sub(shift), s3);
        }
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            s0 = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN).mul(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN))
                .fma(FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN).sub(shift), s0);
        }
        if (i < n) {
            long o = (long) i << 2;
            VectorMask<Float> m = S.indexInRange(i, n);
            s1 = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN, m).mul(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN, m))
                .fma(FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN, m).sub(shift, m), s1);
        }
        return LaneSum.of(s0.add(s1).add(s2.add(s3)));
    }

    @Override
    public void gradient(MemorySegment gs, long gi, MemorySegment ws, MemorySegment xs, long xi, float shift, float factor, float offset,
            float slope, MemorySegment dxs, long dxi, MemorySegment dws, long dwi, int n) {
        MemorySegment g = row(gs, gi, n);
        MemorySegment w = row(ws, 0, n);
        MemorySegment x = row(xs, xi, n);
        MemorySegment dx = row(dxs, dxi, n);
        MemorySegment dw = row(dws, dwi, n);
        FloatVector minusSlope = FloatVector.broadcast(S, -slope);
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            long o = (long) i << 2;
            FloatVector gv = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN);
            FloatVector z = FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN).sub(shift).mul(factor);
            FloatVector d = gv.mul(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN)).sub(offset);
            gv.fma(z, FloatVector.fromMemorySegment(S, dw, o, LITTLE_ENDIAN)).intoMemorySegment(dw, o, LITTLE_ENDIAN);
            z.fma(minusSlope, d).mul(factor).intoMemorySegment(dx, o, LITTLE_ENDIAN);
        }
        if (i < n) {
            gradientTail(g, w, x, shift, factor, offset, slope, dx, dw, i, n);
        }
    }

    /**
     * The last, incomplete vector of {@link #gradient}. A method of its own: with both parts in one the C1 compiler runs out of registers
     * on some runs, and the method then never reaches C2.
     */
    private static void gradientTail(MemorySegment g, MemorySegment w, MemorySegment x, float shift, float factor, float offset,
            float slope, MemorySegment dx, MemorySegment dw, int i, int n) {
        long o = (long) i << 2;
        VectorMask<Float> m = S.indexInRange(i, n);
        FloatVector gv = FloatVector.fromMemorySegment(S, g, o, LITTLE_ENDIAN, m);
        FloatVector z = FloatVector.fromMemorySegment(S, x, o, LITTLE_ENDIAN, m).sub(shift).mul(factor);
        FloatVector d = gv.mul(FloatVector.fromMemorySegment(S, w, o, LITTLE_ENDIAN, m)).sub(offset);
        gv.fma(z, FloatVector.fromMemorySegment(S, dw, o, LITTLE_ENDIAN, m)).intoMemorySegment(dw, o, LITTLE_ENDIAN, m);
        z.fma(FloatVector.broadcast(S, -slope), d).mul(factor).intoMemorySegment(dx, o, LITTLE_ENDIAN, m);
    }
}
