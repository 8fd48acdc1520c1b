package dev.sequent.transformer.attention;

import dev.sequent.fused.AddressSpace;
import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Exponentials of score tiles. A tile's rows are {@link Tiles#PANEL} floats wide; scores are in units of log2, so that one power of two
 * replaces each exponential. A masked score is negative infinity and becomes exactly zero; NaN stays NaN. Stateless.
 *
 * <p>2^u = 2^z 2^f with z = round(u) and a minimax polynomial of degree 5 for 2^f, |f| <= 1/2 (relative error 7.5e-8). Results below
 * 2^-126 are zero.
 */
final class Softmax {
    /** Running maximum before the first key. A finite number, so that a difference of two of them is zero. */
    static final float NO_MAXIMUM = -Float.MAX_VALUE;

    static final float LOG2_E = 1.44269504088896340736f;
    static final float LN_2 = 0.693147180559945309417f;

    private static final VectorSpecies<Float> F = Tiles.F;
    private static final int LANES = Tiles.LANES;
    private static final int PANEL = Tiles.PANEL;
    private static final long VECTOR = LANES * 4L;
    private static final long PANEL_ROW = PANEL * 4L;
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
    private static final MemorySegment ALL = AddressSpace.ALL;
    private static final float LOWEST = -126f;

    /** 1.5 * 2^23 + 127: adding it rounds a float to an integer n, and n + 127, the exponent of 2^n, stands in the low bits of the sum. */
    private static final float MAGIC = 12583039f;

    private static final float C0 = 1.0000000716546418f;
    private static final float C1 = 0.6931469670652652f;
    private static final float C2 = 0.2402211972396913f;
    private static final float C3 = 0.05550713272875276f;
    private static final float C4 = 0.00967554133102361f;
    private static final float C5 = 0.0013276472167834048f;

    private Softmax() {}

    /**
     * Replaces scores (one row per key, one lane per query) by 2^(score - maximum) and advances the running maximum and sum.
     *
     * @param alpha receives the factor that rescales what was accumulated under the former maximum; exactly 1 where the maximum stayed, so
     *     that what other queries of the tile do does not reach this one
     * @return whether any factor differs from 1
     */
    static boolean advance(int keys, MemorySegment scores, int so, float[] maximum, float[] sum, float[] alpha, int at) {
        long x = AddressSpace.at(scores, so * 4L, keys * PANEL_ROW);
        FloatVector o0 = FloatVector.fromArray(F, maximum, at);
        FloatVector m0 = o0;
        FloatVector o1 = FloatVector.fromArray(F, maximum, at + LANES);
        FloatVector m1 = o1;
        FloatVector o2 = FloatVector.fromArray(F, maximum, at + 2 * LANES);
        FloatVector m2 = o2;
        FloatVector o3 = FloatVector.fromArray(F, maximum, at + 3 * LANES);
        FloatVector m3 = o3;
        for (int k = 0; k < keys; k++) {
            long p = k * PANEL_ROW;
            FloatVector s0 = FloatVector.fromMemorySegment(F, ALL, x + p, ORDER);
            m0 = m0.blend(s0, m0.lt(s0));
            FloatVector s1 = FloatVector.fromMemorySegment(F, ALL, x + p + VECTOR, ORDER);
            m1 = m1.blend(s1, m1.lt(s1));
            FloatVector s2 = FloatVector.fromMemorySegment(F, ALL, x + p + 2 * VECTOR, ORDER);
            m2 = m2.blend(s2, m2.lt(s2));
            FloatVector s3 = FloatVector.fromMemorySegment(F, ALL, x + p + 3 * VECTOR, ORDER);
            m3 = m3.blend(s3, m3.lt(s3));
        }
        FloatVector magic = FloatVector.broadcast(F, MAGIC);
        FloatVector zero = FloatVector.zero(F);
        FloatVector k0 = FloatVector.broadcast(F, C0);
        FloatVector k1 = FloatVector.broadcast(F, C1);
        FloatVector k2 = FloatVector.broadcast(F, C2);
        FloatVector k3 = FloatVector.broadcast(F, C3);
        FloatVector k4 = FloatVector.broadcast(F, C4);
        FloatVector k5 = FloatVector.broadcast(F, C5);
        m0.intoArray(maximum, at);
        FloatVector d0 = o0.sub(m0);
        VectorMask<Float> ta0 = d0.lt(LOWEST);
        FloatVector za0 = d0.add(magic);
        FloatVector fa0 = d0.sub(za0.sub(magic));
        FloatVector pa0 = fa0.fma(k5, k4).fma(fa0, k3).fma(fa0, k2).fma(fa0, k1).fma(fa0, k0);
        FloatVector a0 = pa0.mul(za0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                .blend(zero, ta0).blend(1f, d0.eq(0f));
        a0.intoArray(alpha, at);
        FloatVector l0 = a0.mul(FloatVector.fromArray(F, sum, at));
        m1.intoArray(maximum, at + LANES);
        FloatVector d1 = o1.sub(m1);
        VectorMask<Float> ta1 = d1.lt(LOWEST);
        FloatVector za1 = d1.add(magic);
        FloatVector fa1 = d1.sub(za1.sub(magic));
        FloatVector pa1 = fa1.fma(k5, k4).fma(fa1, k3).fma(fa1, k2).fma(fa1, k1).fma(fa1, k0);
        FloatVector a1 = pa1.mul(za1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                .blend(zero, ta1).blend(1f, d1.eq(0f));
        a1.intoArray(alpha, at + LANES);
        FloatVector l1 = a1.mul(FloatVector.fromArray(F, sum, at + LANES));
        m2.intoArray(maximum, at + 2 * LANES);
        FloatVector d2 = o2.sub(m2);
        VectorMask<Float> ta2 = d2.lt(LOWEST);
        FloatVector za2 = d2.add(magic);
        FloatVector fa2 = d2.sub(za2.sub(magic));
        FloatVector pa2 = fa2.fma(k5, k4).fma(fa2, k3).fma(fa2, k2).fma(fa2, k1).fma(fa2, k0);
        FloatVector a2 = pa2.mul(za2.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                .blend(zero, ta2).blend(1f, d2.eq(0f));
        a2.intoArray(alpha, at + 2 * LANES);
        FloatVector l2 = a2.mul(FloatVector.fromArray(F, sum, at + 2 * LANES));
        m3.intoArray(maximum, at + 3 * LANES);
        FloatVector d3 = o3.sub(m3);
        VectorMask<Float> ta3 = d3.lt(LOWEST);
        FloatVector za3 = d3.add(magic);
        FloatVector fa3 = d3.sub(za3.sub(magic));
        FloatVector pa3 = fa3.fma(k5, k4).fma(fa3, k3).fma(fa3, k2).fma(fa3, k1).fma(fa3, k0);
        FloatVector a3 = pa3.mul(za3.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                .blend(zero, ta3).blend(1f, d3.eq(0f));
        a3.intoArray(alpha, at + 3 * LANES);
        FloatVector l3 = a3.mul(FloatVector.fromArray(F, sum, at + 3 * LANES));
        for (int k = 0; k < keys; k++) {
            long p = k * PANEL_ROW;
            FloatVector u0 = FloatVector.fromMemorySegment(F, ALL, x + p, ORDER).sub(m0);
            VectorMask<Float> te0 = u0.lt(LOWEST);
            FloatVector ze0 = u0.add(magic);
            FloatVector fe0 = u0.sub(ze0.sub(magic));
            FloatVector pe0 = fe0.fma(k5, k4).fma(fe0, k3).fma(fe0, k2).fma(fe0, k1).fma(fe0, k0);
            FloatVector e0 = pe0.mul(ze0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te0);
            e0.intoMemorySegment(ALL, x + p, ORDER);
            l0 = l0.add(e0);
            FloatVector u1 = FloatVector.fromMemorySegment(F, ALL, x + p + VECTOR, ORDER).sub(m1);
            VectorMask<Float> te1 = u1.lt(LOWEST);
            FloatVector ze1 = u1.add(magic);
            FloatVector fe1 = u1.sub(ze1.sub(magic));
            FloatVector pe1 = fe1.fma(k5, k4).fma(fe1, k3).fma(fe1, k2).fma(fe1, k1).fma(fe1, k0);
            FloatVector e1 = pe1.mul(ze1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te1);
            e1.intoMemorySegment(ALL, x + p + VECTOR, ORDER);
            l1 = l1.add(e1);
            FloatVector u2 = FloatVector.fromMemorySegment(F, ALL, x + p + 2 * VECTOR, ORDER).sub(m2);
            VectorMask<Float> te2 = u2.lt(LOWEST);
            FloatVector ze2 = u2.add(magic);
            FloatVector fe2 = u2.sub(ze2.sub(magic));
            FloatVector pe2 = fe2.fma(k5, k4).fma(fe2, k3).fma(fe2, k2).fma(fe2, k1).fma(fe2, k0);
            FloatVector e2 = pe2.mul(ze2.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te2);
            e2.intoMemorySegment(ALL, x + p + 2 * VECTOR, ORDER);
            l2 = l2.add(e2);
            FloatVector u3 = FloatVector.fromMemorySegment(F, ALL, x + p + 3 * VECTOR, ORDER).sub(m3);
            VectorMask<Float> te3 = u3.lt(LOWEST);
            FloatVector ze3 = u3.add(magic);
            FloatVector fe3 = u3.sub(ze3.sub(magic));
            FloatVector pe3 = fe3.fma(k5, k4).fma(fe3, k3).fma(fe3, k2).fma(fe3, k1).fma(fe3, k0);
            FloatVector e3 = pe3.mul(ze3.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te3);
            e3.intoMemorySegment(ALL, x + p + 3 * VECTOR, ORDER);
            l3 = l3.add(e3);
        }
        l0.intoArray(sum, at);
        l1.intoArray(sum, at + LANES);
        l2.intoArray(sum, at + 2 * LANES);
        l3.intoArray(sum, at + 3 * LANES);
        return o0.lt(m0).or(o1.lt(m1)).or(o2.lt(m2)).or(o3.lt(m3)).anyTrue();
    }

    /** Multiplies the lanes of panel rows by {@code factors}. */
    static void rescale(int rows, float[] panel, int po, float[] factors, int at) {
        FloatVector f0 = FloatVector.fromArray(F, factors, at);
        FloatVector f1 = FloatVector.fromArray(F, factors, at + LANES);
        FloatVector f2 = FloatVector.fromArray(F, factors, at + 2 * LANES);
        FloatVector f3 = FloatVector.fromArray(F, factors, at + 3 * LANES);
        for (int r = 0, p = po; r < rows; r++, p += PANEL) {
            FloatVector.fromArray(F, panel, p).mul(f0).intoArray(panel, p);
            FloatVector.fromArray(F, panel, p + LANES).mul(f1).intoArray(panel, p + LANES);
            FloatVector.fromArray(F, panel, p + 2 * LANES).mul(f2).intoArray(panel, p + 2 * LANES);
            FloatVector.fromArray(F, panel, p + 3 * LANES).mul(f3).intoArray(panel, p + 3 * LANES);
        }
    }

    /**
     * Backward of the exponentials: replaces scores s (one row per query, one lane per key) by p = 2^(s - lse), and products x of value
     * rows with result gradients by p (x - delta).
     *
     * @param lse logarithm (base 2) of each row's sum of exponentials
     * @param delta each row's product of result and result gradient
     */
    static void gradient(int rows, MemorySegment scores, MemorySegment products, int so, float[] lse, float[] delta, int at) {
        long x = AddressSpace.at(scores, so * 4L, rows * PANEL_ROW);
        long dx = AddressSpace.at(products, so * 4L, rows * PANEL_ROW);
        FloatVector magic = FloatVector.broadcast(F, MAGIC);
        FloatVector zero = FloatVector.zero(F);
        FloatVector k0 = FloatVector.broadcast(F, C0);
        FloatVector k1 = FloatVector.broadcast(F, C1);
        FloatVector k2 = FloatVector.broadcast(F, C2);
        FloatVector k3 = FloatVector.broadcast(F, C3);
        FloatVector k4 = FloatVector.broadcast(F, C4);
        FloatVector k5 = FloatVector.broadcast(F, C5);
        for (int r = 0; r < rows; r++) {
            long p = r * PANEL_ROW;
            FloatVector m = FloatVector.broadcast(F, lse[at + r]);
            FloatVector d = FloatVector.broadcast(F, delta[at + r]);
            FloatVector u0 = FloatVector.fromMemorySegment(F, ALL, x + p, ORDER).sub(m);
            VectorMask<Float> te0 = u0.lt(LOWEST);
            FloatVector ze0 = u0.add(magic);
            FloatVector fe0 = u0.sub(ze0.sub(magic));
            FloatVector pe0 = fe0.fma(k5, k4).fma(fe0, k3).fma(fe0, k2).fma(fe0, k1).fma(fe0, k0);
            FloatVector e0 = pe0.mul(ze0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te0);
            e0.intoMemorySegment(ALL, x + p, ORDER);
            FloatVector.fromMemorySegment(F, ALL, dx + p, ORDER).sub(d).mul(e0).intoMemorySegment(ALL, dx + p, ORDER);
            FloatVector u1 = FloatVector.fromMemorySegment(F, ALL, x + p + VECTOR, ORDER).sub(m);
            VectorMask<Float> te1 = u1.lt(LOWEST);
            FloatVector ze1 = u1.add(magic);
            FloatVector fe1 = u1.sub(ze1.sub(magic));
            FloatVector pe1 = fe1.fma(k5, k4).fma(fe1, k3).fma(fe1, k2).fma(fe1, k1).fma(fe1, k0);
            FloatVector e1 = pe1.mul(ze1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te1);
            e1.intoMemorySegment(ALL, x + p + VECTOR, ORDER);
            FloatVector.fromMemorySegment(F, ALL, dx + p + VECTOR, ORDER).sub(d).mul(e1).intoMemorySegment(ALL, dx + p + VECTOR, ORDER);
            FloatVector u2 = FloatVector.fromMemorySegment(F, ALL, x + p + 2 * VECTOR, ORDER).sub(m);
            VectorMask<Float> te2 = u2.lt(LOWEST);
            FloatVector ze2 = u2.add(magic);
            FloatVector fe2 = u2.sub(ze2.sub(magic));
            FloatVector pe2 = fe2.fma(k5, k4).fma(fe2, k3).fma(fe2, k2).fma(fe2, k1).fma(fe2, k0);
            FloatVector e2 = pe2.mul(ze2.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te2);
            e2.intoMemorySegment(ALL, x + p + 2 * VECTOR, ORDER);
            FloatVector.fromMemorySegment(F, ALL, dx + p + 2 * VECTOR, ORDER).sub(d).mul(e2)
                    .intoMemorySegment(ALL, dx + p + 2 * VECTOR, ORDER);
            FloatVector u3 = FloatVector.fromMemorySegment(F, ALL, x + p + 3 * VECTOR, ORDER).sub(m);
            VectorMask<Float> te3 = u3.lt(LOWEST);
            FloatVector ze3 = u3.add(magic);
            FloatVector fe3 = u3.sub(ze3.sub(magic));
            FloatVector pe3 = fe3.fma(k5, k4).fma(fe3, k3).fma(fe3, k2).fma(fe3, k1).fma(fe3, k0);
            FloatVector e3 = pe3.mul(ze3.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te3);
            e3.intoMemorySegment(ALL, x + p + 3 * VECTOR, ORDER);
            FloatVector.fromMemorySegment(F, ALL, dx + p + 3 * VECTOR, ORDER).sub(d).mul(e3)
                    .intoMemorySegment(ALL, dx + p + 3 * VECTOR, ORDER);
        }
    }

    /** Replaces {@code count} scores from {@code from} on, a multiple of the lane count, by 2^(score - maximum) and returns their sum. */
    static float exponentials(float[] scores, int from, int count, float maximum) {
        FloatVector magic = FloatVector.broadcast(F, MAGIC);
        FloatVector zero = FloatVector.zero(F);
        FloatVector k0 = FloatVector.broadcast(F, C0);
        FloatVector k1 = FloatVector.broadcast(F, C1);
        FloatVector k2 = FloatVector.broadcast(F, C2);
        FloatVector k3 = FloatVector.broadcast(F, C3);
        FloatVector k4 = FloatVector.broadcast(F, C4);
        FloatVector k5 = FloatVector.broadcast(F, C5);
        FloatVector sum = zero;
        for (int j = from; j < from + count; j += LANES) {
            FloatVector u = FloatVector.fromArray(F, scores, j).sub(maximum);
            VectorMask<Float> te = u.lt(LOWEST);
            FloatVector ze = u.add(magic);
            FloatVector fe = u.sub(ze.sub(magic));
            FloatVector pe = fe.fma(k5, k4).fma(fe, k3).fma(fe, k2).fma(fe, k1).fma(fe, k0);
            FloatVector e = pe.mul(ze.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).blend(zero, te);
            e.intoArray(scores, j);
            sum = sum.add(e);
        }
        return LaneSum.of(sum);
    }
}
