package dev.sequent.ssm.s4;

import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of the diagonal scan in the Vector API: lanes are channels, and a block is one vector of them.
 *
 * <p>A quad of pairs and a token cost 24 vector operations and one load and store, with coefficients and states in registers. The adjoint
 * keeps more sums for each pair, so it takes two pairs at a time.
 *
 * <p>Sines and cosines are minimax polynomials after a reduction by multiples of pi/2 in three parts, absolute error below 1e-7 for angles
 * to {@link #LARGEST_ANGLE}; blocks with larger ones are left to {@link ScalarDiagonalTiles}. Exponentials have a relative error below 1.3
 * ulp.
 *
 * <p>Coefficients and their gradients are taken a vector a call: a pass has few of them, and methods of short loops would stay interpreted
 * for tens of passes.
 */
final class VectorDiagonalTiles implements DiagonalTiles {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int L = S.length();
    private static final int W = L;

    /** 1.5 2^23: adding it rounds a number below 2^22 to an integer, which then stands in the lowest bits. */
    private static final float MAGIC = 12582912f;
    private static final float LOG2E = 1.44269504f;
    private static final float LN2_HIGH = 0.69140625f;
    private static final float LN2_LOW = 0.0017409306f;
    private static final float E1 = 1.0000000363447201f;
    private static final float E2 = 0.4999999207508964f;
    private static final float E3 = 0.1666642007212615f;
    private static final float E4 = 0.041668226189109016f;
    private static final float E5 = 0.008374824050592818f;
    private static final float E6 = 0.0013836835752956823f;
    private static final float LOWEST = -87.3f;
    private static final float HIGHEST = 88.3f;

    private static final float LARGEST_ANGLE = 20000;
    private static final float TWO_OVER_PI = 0.63661977f;
    private static final float HALF_PI_1 = 1.5707963705062866f;
    private static final float HALF_PI_2 = -4.371138828673793e-08f;
    private static final float HALF_PI_3 = -1.7151245100058819e-15f;
    private static final float SIN3 = -1.6666654611e-1f;
    private static final float SIN5 = 8.3321608736e-3f;
    private static final float SIN7 = -1.9515295891e-4f;
    private static final float COS4 = 4.166664568298827e-2f;
    private static final float COS6 = -1.388731625493765e-3f;
    private static final float COS8 = 2.443315711809948e-5f;

    /** |z|^2 below which (e^z - 1) / z is its series. */
    private static final float SERIES_BOUND = 1f / 16;
    /** 1 / k! for k from 8 down to 1. */
    private static final float[] SERIES = {1f / 40320, 1f / 5040, 1f / 720, 1f / 120, 1f / 24, 1f / 6, 1f / 2, 1};

    @Override
    public int width() {
        return W;
    }

    @Override
    public void discretise(MemorySegment fields, int count, boolean bilinear) {
        if (!anglesAreSmall(fields, count)) {
            ScalarDiagonalTiles.discretiseAll(fields, count, bilinear);
            return;
        }
        for (int i = 0; i < count; i += L) {
            exponentials(fields, count, i, STEP, STEP, false);
            exponentials(fields, count, i, S_RE, S_RE, true);
            if (bilinear) {
                bilinear(fields, count, i);
            } else {
                angles(fields, count, i);
                exponentials(fields, count, i, A_RE, W_RE, false);
                sines(fields, count, i);
                zeroOrderHold(fields, count, i);
            }
            outputs(fields, count, i);
        }
    }

    /** Whether |dt frequency| is within the bound for sure: dt is estimated from its logarithm. */
    private static boolean anglesAreSmall(MemorySegment fields, int count) {
        float largestStep = 0;
        float largestFrequency = 0;
        for (int i = 0; i < count; i++) {
            largestStep = Math.max(largestStep, fields.getAtIndex(F32, STEP * count + i));
            largestFrequency = Math.max(largestFrequency, Math.abs(fields.getAtIndex(F32, S_IM * count + i)));
        }
        return Math.exp(largestStep) * largestFrequency < LARGEST_ANGLE; // false for NaN, too
    }

    /** e^x of an array into an array, negated if wanted. */
    private static void exponentials(MemorySegment fields, int count, int i, int from, int to, boolean negated) {
        FloatVector magic = FloatVector.broadcast(S, MAGIC);
        FloatVector sign = FloatVector.broadcast(S, negated ? -1f : 1f);
        FloatVector v = FloatVector.fromMemorySegment(S, fields, (from * count + i) * 4L, LE);
        FloatVector c = v.blend(LOWEST, v.compare(VectorOperators.LT, LOWEST));
        c = c.blend(HIGHEST, c.compare(VectorOperators.GT, HIGHEST));
        FloatVector k = c.fma(FloatVector.broadcast(S, LOG2E), magic);
        FloatVector n = k.sub(magic);
        FloatVector r = n.fma(FloatVector.broadcast(S, -LN2_LOW), n.fma(FloatVector.broadcast(S, -LN2_HIGH), c));
        FloatVector p = r.fma(FloatVector.broadcast(S, E6), FloatVector.broadcast(S, E5)).fma(r, FloatVector.broadcast(S, E4))
                .fma(r, FloatVector.broadcast(S, E3)).fma(r, FloatVector.broadcast(S, E2)).fma(r, FloatVector.broadcast(S, E1))
                .fma(r, FloatVector.broadcast(S, 1f));
        FloatVector e = p.reinterpretAsInts().add(k.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
        e.blend(0f, v.compare(VectorOperators.LT, LOWEST)).mul(sign).intoMemorySegment(fields, (to * count + i) * 4L, LE);
    }

    /** z = dt A into the arrays of a. */
    private static void angles(MemorySegment fields, int count, int i) {
        FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
        FloatVector re = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE);
        FloatVector im = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE);
        re.mul(dt).intoMemorySegment(fields, (A_RE * count + i) * 4L, LE);
        im.mul(dt).intoMemorySegment(fields, (A_IM * count + i) * 4L, LE);
    }

    /** sin Im(z) into the second of w's arrays, cos Im(z) into the first of b's. */
    private static void sines(MemorySegment fields, int count, int i) {
        FloatVector magic = FloatVector.broadcast(S, MAGIC);
        FloatVector one = FloatVector.broadcast(S, 1f);
        FloatVector x = FloatVector.fromMemorySegment(S, fields, (A_IM * count + i) * 4L, LE);
        FloatVector k = x.fma(FloatVector.broadcast(S, TWO_OVER_PI), magic);
        FloatVector n = k.sub(magic);
        FloatVector r = n.fma(FloatVector.broadcast(S, -HALF_PI_1), x);
        r = n.fma(FloatVector.broadcast(S, -HALF_PI_2), r);
        r = n.fma(FloatVector.broadcast(S, -HALF_PI_3), r);
        FloatVector z = r.mul(r);
        FloatVector s = z.fma(FloatVector.broadcast(S, SIN7), FloatVector.broadcast(S, SIN5)).fma(z, FloatVector.broadcast(S, SIN3))
                .fma(z.mul(r), r);
        FloatVector c = z.fma(FloatVector.broadcast(S, COS8), FloatVector.broadcast(S, COS6)).fma(z, FloatVector.broadcast(S, COS4))
                .fma(z.mul(z), z.fma(FloatVector.broadcast(S, -0.5f), one));
        IntVector quarter = k.reinterpretAsInts();
        VectorMask<Float> odd = quarter.and(1).compare(VectorOperators.NE, 0).cast(S);
        IntVector sign = quarter.and(2).lanewise(VectorOperators.LSHL, 30);
        IntVector cosineSign = quarter.add(1).and(2).lanewise(VectorOperators.LSHL, 30);
        FloatVector sine = s.blend(c, odd).reinterpretAsInts().lanewise(VectorOperators.XOR, sign).reinterpretAsFloats();
        FloatVector cosine = c.blend(s, odd).reinterpretAsInts().lanewise(VectorOperators.XOR, cosineSign).reinterpretAsFloats();
        sine.intoMemorySegment(fields, (W_IM * count + i) * 4L, LE);
        cosine.intoMemorySegment(fields, (B_RE * count + i) * 4L, LE);
    }

    /** a = e^z and b = (a - 1) / A, given z in a's arrays, e^Re(z) and sin Im(z) in w's, and cos Im(z) in the first of b's. */
    private static void zeroOrderHold(MemorySegment fields, int count, int i) {
        FloatVector zr = FloatVector.fromMemorySegment(S, fields, (A_RE * count + i) * 4L, LE);
        FloatVector zi = FloatVector.fromMemorySegment(S, fields, (A_IM * count + i) * 4L, LE);
        FloatVector pr = FloatVector.broadcast(S, SERIES[0]);
        FloatVector pi = FloatVector.zero(S);
        for (int k = 1; k < SERIES.length; k++) { // (e^z - 1) / z by Horner's rule
            FloatVector next = pr.mul(zr).sub(pi.mul(zi)).add(SERIES[k]);
            pi = pr.mul(zi).add(pi.mul(zr));
            pr = next;
        }
        FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
        VectorMask<Float> small = zr.fma(zr, zi.mul(zi)).compare(VectorOperators.LT, SERIES_BOUND);
        FloatVector magnitude = FloatVector.fromMemorySegment(S, fields, (W_RE * count + i) * 4L, LE);
        FloatVector ar = magnitude.mul(FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE));
        FloatVector ai = magnitude.mul(FloatVector.fromMemorySegment(S, fields, (W_IM * count + i) * 4L, LE));
        ar.intoMemorySegment(fields, (A_RE * count + i) * 4L, LE);
        ai.intoMemorySegment(fields, (A_IM * count + i) * 4L, LE);
        FloatVector sr = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE);
        FloatVector si = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE);
        FloatVector norm = sr.fma(sr, si.mul(si));
        FloatVector nr = ar.sub(1f);
        FloatVector br = nr.mul(sr).add(ai.mul(si)).div(norm).blend(pr.mul(dt), small);
        FloatVector bi = ai.mul(sr).sub(nr.mul(si)).div(norm).blend(pi.mul(dt), small);
        VectorMask<Float> tiny = br.fma(br, bi.mul(bi)).compare(VectorOperators.LT, SMALLEST * SMALLEST);
        br.blend(SMALLEST, tiny).intoMemorySegment(fields, (B_RE * count + i) * 4L, LE);
        bi.blend(0f, tiny).intoMemorySegment(fields, (B_IM * count + i) * 4L, LE);
    }

    private static void bilinear(MemorySegment fields, int count, int i) {
        FloatVector one = FloatVector.broadcast(S, 1f);
        FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
        FloatVector zr = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE).mul(dt).mul(0.5f);
        FloatVector zi = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE).mul(dt).mul(0.5f);
        FloatVector qr = one.sub(zr);
        FloatVector norm = qr.fma(qr, zi.mul(zi));
        FloatVector pr = one.add(zr);
        // (p + i z) / (q - i z) = (p + i z) (q + i z) / norm
        pr.mul(qr).sub(zi.mul(zi)).div(norm).intoMemorySegment(fields, (A_RE * count + i) * 4L, LE);
        zi.mul(qr).add(pr.mul(zi)).div(norm).intoMemorySegment(fields, (A_IM * count + i) * 4L, LE);
        FloatVector br = dt.mul(qr).div(norm);
        FloatVector bi = dt.mul(zi).div(norm);
        VectorMask<Float> tiny = br.fma(br, bi.mul(bi)).compare(VectorOperators.LT, SMALLEST * SMALLEST);
        br.blend(SMALLEST, tiny).intoMemorySegment(fields, (B_RE * count + i) * 4L, LE);
        bi.blend(0f, tiny).intoMemorySegment(fields, (B_IM * count + i) * 4L, LE);
    }

    /** 2 c, and w = 2 c b. */
    private static void outputs(MemorySegment fields, int count, int i) {
        FloatVector cr = FloatVector.fromMemorySegment(S, fields, (C_RE * count + i) * 4L, LE).mul(2f);
        FloatVector ci = FloatVector.fromMemorySegment(S, fields, (C_IM * count + i) * 4L, LE).mul(2f);
        VectorMask<Float> tiny = cr.fma(cr, ci.mul(ci)).compare(VectorOperators.LT, SMALLEST * SMALLEST);
        cr = cr.blend(SMALLEST, tiny);
        ci = ci.blend(0f, tiny);
        cr.intoMemorySegment(fields, (C_RE * count + i) * 4L, LE);
        ci.intoMemorySegment(fields, (C_IM * count + i) * 4L, LE);
        FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE);
        FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE);
        cr.mul(br).sub(ci.mul(bi)).intoMemorySegment(fields, (W_RE * count + i) * 4L, LE);
        cr.mul(bi).add(ci.mul(br)).intoMemorySegment(fields, (W_IM * count + i) * 4L, LE);
    }

    @Override
    public void gather(MemorySegment source, int stride, int rows, MemorySegment target) {
        MemorySegment from = source.asSlice(0, ((rows - 1L) * stride + W) * 4);
        MemorySegment to = target.asSlice(0, rows * W * 4L);
        for (int t = 0; t < rows; t++) {
            FloatVector.fromMemorySegment(S, from, t * stride * 4L, LE).intoMemorySegment(to, t * W * 4L, LE);
        }
    }

    @Override
    public void scatter(MemorySegment source, int rows, MemorySegment target, int stride) {
        MemorySegment from = source.asSlice(0, rows * W * 4L);
        MemorySegment to = target.asSlice(0, ((rows - 1L) * stride + W) * 4);
        for (int t = 0; t < rows; t++) {
            FloatVector.fromMemorySegment(S, from, t * W * 4L, LE).intoMemorySegment(to, t * stride * 4L, LE);
        }
    }

    @Override
    public void scale(MemorySegment source, MemorySegment factor, int rows, MemorySegment target) {
        FloatVector f = FloatVector.fromMemorySegment(S, factor, 0, LE);
        MemorySegment from = source.asSlice(0, rows * W * 4L);
        MemorySegment to = target.asSlice(0, rows * W * 4L);
        for (int i = 0; i < rows * W; i += W) {
            FloatVector.fromMemorySegment(S, from, i * 4L, LE).mul(f).intoMemorySegment(to, i * 4L, LE);
        }
    }

    @Override
    public void add(MemorySegment source, int rows, MemorySegment target) {
        MemorySegment from = source.asSlice(0, rows * W * 4L);
        MemorySegment to = target.asSlice(0, rows * W * 4L);
        for (int i = 0; i < rows * W; i += W) {
            FloatVector.fromMemorySegment(S, to, i * 4L, LE).add(FloatVector.fromMemorySegment(S, from, i * 4L, LE)).intoMemorySegment(to,
                    i * 4L, LE);
        }
    }

    @Override
    public void addProducts(MemorySegment x, MemorySegment y, int rows, MemorySegment sum) {
        FloatVector total = FloatVector.fromMemorySegment(S, sum, 0, LE);
        MemorySegment xs = x.asSlice(0, rows * W * 4L);
        MemorySegment ys = y.asSlice(0, rows * W * 4L);
        for (int i = 0; i < rows * W; i += W) {
            total = FloatVector.fromMemorySegment(S, xs, i * 4L, LE).fma(FloatVector.fromMemorySegment(S, ys, i * 4L, LE), total);
        }
        total.intoMemorySegment(sum, 0, LE);
    }

    @Override
    public void scan(MemorySegment fields, int count, int quad, MemorySegment state, MemorySegment u, MemorySegment y, int from, int to) {
        MemorySegment x = u.asSlice(0, to * W * 4L);
        MemorySegment out = y.asSlice(0, to * W * 4L);
        MemorySegment g = state.asSlice(quad * QUAD * 2L * W * 4, QUAD * 2L * W * 4);
        MemorySegment f = fields.asSlice(quad * QUAD * W * 4L, (W_IM * count + QUAD * W) * 4L);
        FloatVector ar0 = FloatVector.fromMemorySegment(S, f, A_RE * count * 4L, LE);
        FloatVector ai0 = FloatVector.fromMemorySegment(S, f, A_IM * count * 4L, LE);
        FloatVector na0 = ai0.neg();
        FloatVector wr0 = FloatVector.fromMemorySegment(S, f, W_RE * count * 4L, LE);
        FloatVector nw0 = FloatVector.fromMemorySegment(S, f, W_IM * count * 4L, LE).neg();
        FloatVector gr0 = FloatVector.fromMemorySegment(S, g, 0, LE);
        FloatVector gi0 = FloatVector.fromMemorySegment(S, g, W * 4L, LE);
        FloatVector ar1 = FloatVector.fromMemorySegment(S, f, (A_RE * count + W) * 4L, LE);
        FloatVector ai1 = FloatVector.fromMemorySegment(S, f, (A_IM * count + W) * 4L, LE);
        FloatVector na1 = ai1.neg();
        FloatVector wr1 = FloatVector.fromMemorySegment(S, f, (W_RE * count + W) * 4L, LE);
        FloatVector nw1 = FloatVector.fromMemorySegment(S, f, (W_IM * count + W) * 4L, LE).neg();
        FloatVector gr1 = FloatVector.fromMemorySegment(S, g, 2 * W * 4L, LE);
        FloatVector gi1 = FloatVector.fromMemorySegment(S, g, 3 * W * 4L, LE);
        FloatVector ar2 = FloatVector.fromMemorySegment(S, f, (A_RE * count + 2 * W) * 4L, LE);
        FloatVector ai2 = FloatVector.fromMemorySegment(S, f, (A_IM * count + 2 * W) * 4L, LE);
        FloatVector na2 = ai2.neg();
        FloatVector wr2 = FloatVector.fromMemorySegment(S, f, (W_RE * count + 2 * W) * 4L, LE);
        FloatVector nw2 = FloatVector.fromMemorySegment(S, f, (W_IM * count + 2 * W) * 4L, LE).neg();
        FloatVector gr2 = FloatVector.fromMemorySegment(S, g, 4 * W * 4L, LE);
        FloatVector gi2 = FloatVector.fromMemorySegment(S, g, 5 * W * 4L, LE);
        FloatVector ar3 = FloatVector.fromMemorySegment(S, f, (A_RE * count + 3 * W) * 4L, LE);
        FloatVector ai3 = FloatVector.fromMemorySegment(S, f, (A_IM * count + 3 * W) * 4L, LE);
        FloatVector na3 = ai3.neg();
        FloatVector wr3 = FloatVector.fromMemorySegment(S, f, (W_RE * count + 3 * W) * 4L, LE);
        FloatVector nw3 = FloatVector.fromMemorySegment(S, f, (W_IM * count + 3 * W) * 4L, LE).neg();
        FloatVector gr3 = FloatVector.fromMemorySegment(S, g, 6 * W * 4L, LE);
        FloatVector gi3 = FloatVector.fromMemorySegment(S, g, 7 * W * 4L, LE);
        for (int t = from; t < to; t++) {
            FloatVector in = FloatVector.fromMemorySegment(S, x, t * W * 4L, LE);
            FloatVector re0 = gr0.fma(ar0, gi0.fma(na0, in));
            gi0 = gi0.fma(ar0, gr0.mul(ai0));
            gr0 = re0;
            FloatVector re1 = gr1.fma(ar1, gi1.fma(na1, in));
            gi1 = gi1.fma(ar1, gr1.mul(ai1));
            gr1 = re1;
            FloatVector re2 = gr2.fma(ar2, gi2.fma(na2, in));
            gi2 = gi2.fma(ar2, gr2.mul(ai2));
            gr2 = re2;
            FloatVector re3 = gr3.fma(ar3, gi3.fma(na3, in));
            gi3 = gi3.fma(ar3, gr3.mul(ai3));
            gr3 = re3;
            FloatVector even = gr1.fma(wr1, gr0.mul(wr0));
            FloatVector odd = gi1.fma(nw1, gi0.mul(nw0));
            even = gr3.fma(wr3, gr2.fma(wr2, even));
            odd = gi3.fma(nw3, gi2.fma(nw2, odd));
            FloatVector.fromMemorySegment(S, out, t * W * 4L, LE).add(even.add(odd)).intoMemorySegment(out, t * W * 4L, LE);
        }
        gr0.intoMemorySegment(g, 0, LE);
        gi0.intoMemorySegment(g, W * 4L, LE);
        gr1.intoMemorySegment(g, 2 * W * 4L, LE);
        gi1.intoMemorySegment(g, 3 * W * 4L, LE);
        gr2.intoMemorySegment(g, 4 * W * 4L, LE);
        gi2.intoMemorySegment(g, 5 * W * 4L, LE);
        gr3.intoMemorySegment(g, 6 * W * 4L, LE);
        gi3.intoMemorySegment(g, 7 * W * 4L, LE);
    }

    @Override
    public void replay(MemorySegment fields, int count, int quad, MemorySegment state, MemorySegment u, MemorySegment dy,
            MemorySegment history, MemorySegment sums, int from, int to) {
        for (int pair = 0; pair < QUAD; pair += 2) {
            replayTwo(fields, count, quad * QUAD + pair, state, u, dy, history, sums, from, to);
        }
    }

    /** Two pairs: with four, C1 runs out of virtual registers, and the loop stays interpreted until C2 comes to it. */
    private static void replayTwo(MemorySegment fields, int count, int pair, MemorySegment state, MemorySegment u, MemorySegment dy,
            MemorySegment history, MemorySegment sums, int from, int to) {
        MemorySegment x = u.asSlice(0, to * W * 4L);
        MemorySegment d = dy.asSlice(0, to * W * 4L);
        MemorySegment kept = history.asSlice(pair % QUAD * 2L * W * 4, ((to - 1) * QUAD + 2) * 2L * W * 4);
        MemorySegment g = state.asSlice(pair * 2L * W * 4, 2 * 2L * W * 4);
        MemorySegment f = fields.asSlice(pair * W * 4L, (A_IM * count + 2 * W) * 4L);
        MemorySegment s = sums.asSlice(pair * W * 4L, (SUM_W_IM * count + 2 * W) * 4L);
        FloatVector ar0 = FloatVector.fromMemorySegment(S, f, A_RE * count * 4L, LE);
        FloatVector ai0 = FloatVector.fromMemorySegment(S, f, A_IM * count * 4L, LE);
        FloatVector na0 = ai0.neg();
        FloatVector dr0 = FloatVector.fromMemorySegment(S, s, SUM_W_RE * count * 4L, LE);
        FloatVector ni0 = FloatVector.fromMemorySegment(S, s, SUM_W_IM * count * 4L, LE).neg();
        FloatVector gr0 = FloatVector.fromMemorySegment(S, g, 0, LE);
        FloatVector gi0 = FloatVector.fromMemorySegment(S, g, W * 4L, LE);
        FloatVector ar1 = FloatVector.fromMemorySegment(S, f, (A_RE * count + W) * 4L, LE);
        FloatVector ai1 = FloatVector.fromMemorySegment(S, f, (A_IM * count + W) * 4L, LE);
        FloatVector na1 = ai1.neg();
        FloatVector dr1 = FloatVector.fromMemorySegment(S, s, (SUM_W_RE * count + W) * 4L, LE);
        FloatVector ni1 = FloatVector.fromMemorySegment(S, s, (SUM_W_IM * count + W) * 4L, LE).neg();
        FloatVector gr1 = FloatVector.fromMemorySegment(S, g, 2 * W * 4L, LE);
        FloatVector gi1 = FloatVector.fromMemorySegment(S, g, 3 * W * 4L, LE);
        for (int t = from; t < to; t++) {
            FloatVector in = FloatVector.fromMemorySegment(S, x, t * W * 4L, LE);
            FloatVector out = FloatVector.fromMemorySegment(S, d, t * W * 4L, LE);
            int k = t * QUAD * 2 * W;
            gr0.intoMemorySegment(kept, k * 4L, LE);
            gi0.intoMemorySegment(kept, (k + W) * 4L, LE);
            FloatVector re0 = gr0.fma(ar0, gi0.fma(na0, in));
            gi0 = gi0.fma(ar0, gr0.mul(ai0));
            gr0 = re0;
            dr0 = gr0.fma(out, dr0);
            ni0 = gi0.fma(out, ni0);
            gr1.intoMemorySegment(kept, (k + 2 * W) * 4L, LE);
            gi1.intoMemorySegment(kept, (k + 3 * W) * 4L, LE);
            FloatVector re1 = gr1.fma(ar1, gi1.fma(na1, in));
            gi1 = gi1.fma(ar1, gr1.mul(ai1));
            gr1 = re1;
            dr1 = gr1.fma(out, dr1);
            ni1 = gi1.fma(out, ni1);
        }
        gr0.intoMemorySegment(g, 0, LE);
        gi0.intoMemorySegment(g, W * 4L, LE);
        dr0.intoMemorySegment(s, SUM_W_RE * count * 4L, LE);
        ni0.neg().intoMemorySegment(s, SUM_W_IM * count * 4L, LE);
        gr1.intoMemorySegment(g, 2 * W * 4L, LE);
        gi1.intoMemorySegment(g, 3 * W * 4L, LE);
        dr1.intoMemorySegment(s, (SUM_W_RE * count + W) * 4L, LE);
        ni1.neg().intoMemorySegment(s, (SUM_W_IM * count + W) * 4L, LE);
    }

    @Override
    public void reverse(MemorySegment fields, int count, int quad, MemorySegment carry, MemorySegment u, MemorySegment dy,
            MemorySegment history, MemorySegment sums, MemorySegment du, int from, int to) {
        for (int pair = 0; pair < QUAD; pair += 2) {
            reverseTwo(fields, count, quad * QUAD + pair, carry, u, dy, history, sums, from, to);
        }
        MemorySegment shares = history.asSlice(0, to * QUAD * 2L * W * 4);
        MemorySegment out = du.asSlice(0, to * W * 4L);
        for (int t = from; t < to; t++) {
            int h = t * QUAD * 2 * W;
            FloatVector share = FloatVector.fromMemorySegment(S, shares, h * 4L, LE)
                    .add(FloatVector.fromMemorySegment(S, shares, (h + QUAD * W) * 4L, LE));
            FloatVector.fromMemorySegment(S, out, t * W * 4L, LE).add(share).intoMemorySegment(out, t * W * 4L, LE);
        }
    }

    /** Two pairs, which leave their share of the result where the first of their states was. */
    private static void reverseTwo(MemorySegment fields, int count, int pair, MemorySegment carry, MemorySegment u, MemorySegment dy,
            MemorySegment history, MemorySegment sums, int from, int to) {
        MemorySegment x = u.asSlice(0, to * W * 4L);
        MemorySegment d = dy.asSlice(0, to * W * 4L);
        MemorySegment kept = history.asSlice(pair % QUAD * 2L * W * 4, ((to - 1) * QUAD + 2) * 2L * W * 4);
        MemorySegment k = carry.asSlice(pair * 2L * W * 4, 2 * 2L * W * 4);
        MemorySegment f = fields.asSlice(pair * W * 4L, (W_IM * count + 2 * W) * 4L);
        MemorySegment s = sums.asSlice(pair * W * 4L, (SUM_B_IM * count + 2 * W) * 4L);
        FloatVector ar0 = FloatVector.fromMemorySegment(S, f, A_RE * count * 4L, LE);
        FloatVector ai0 = FloatVector.fromMemorySegment(S, f, A_IM * count * 4L, LE);
        FloatVector na0 = ai0.neg();
        FloatVector wr0 = FloatVector.fromMemorySegment(S, f, W_RE * count * 4L, LE);
        FloatVector wi0 = FloatVector.fromMemorySegment(S, f, W_IM * count * 4L, LE);
        FloatVector kr0 = FloatVector.fromMemorySegment(S, k, 0, LE);
        FloatVector ki0 = FloatVector.fromMemorySegment(S, k, W * 4L, LE);
        FloatVector sr0 = FloatVector.fromMemorySegment(S, s, SUM_A_RE * count * 4L, LE);
        FloatVector si0 = FloatVector.fromMemorySegment(S, s, SUM_A_IM * count * 4L, LE);
        FloatVector ur0 = FloatVector.fromMemorySegment(S, s, SUM_B_RE * count * 4L, LE);
        FloatVector ui0 = FloatVector.fromMemorySegment(S, s, SUM_B_IM * count * 4L, LE);
        FloatVector ar1 = FloatVector.fromMemorySegment(S, f, (A_RE * count + W) * 4L, LE);
        FloatVector ai1 = FloatVector.fromMemorySegment(S, f, (A_IM * count + W) * 4L, LE);
        FloatVector na1 = ai1.neg();
        FloatVector wr1 = FloatVector.fromMemorySegment(S, f, (W_RE * count + W) * 4L, LE);
        FloatVector wi1 = FloatVector.fromMemorySegment(S, f, (W_IM * count + W) * 4L, LE);
        FloatVector kr1 = FloatVector.fromMemorySegment(S, k, 2 * W * 4L, LE);
        FloatVector ki1 = FloatVector.fromMemorySegment(S, k, 3 * W * 4L, LE);
        FloatVector sr1 = FloatVector.fromMemorySegment(S, s, (SUM_A_RE * count + W) * 4L, LE);
        FloatVector si1 = FloatVector.fromMemorySegment(S, s, (SUM_A_IM * count + W) * 4L, LE);
        FloatVector ur1 = FloatVector.fromMemorySegment(S, s, (SUM_B_RE * count + W) * 4L, LE);
        FloatVector ui1 = FloatVector.fromMemorySegment(S, s, (SUM_B_IM * count + W) * 4L, LE);
        for (int t = to - 1; t >= from; t--) {
            FloatVector in = FloatVector.fromMemorySegment(S, d, t * W * 4L, LE);
            FloatVector v = FloatVector.fromMemorySegment(S, x, t * W * 4L, LE);
            int h = t * QUAD * 2 * W;
            FloatVector gr0 = FloatVector.fromMemorySegment(S, kept, h * 4L, LE);
            FloatVector gi0 = FloatVector.fromMemorySegment(S, kept, (h + W) * 4L, LE);
            FloatVector mr0 = in.add(kr0);
            FloatVector mi0 = ki0;
            kr0 = mr0.fma(ar0, mi0.mul(ai0));
            ki0 = mr0.fma(na0, mi0.mul(ar0));
            sr0 = mr0.fma(gr0, mi0.fma(gi0, sr0));
            si0 = mi0.fma(gr0, si0.sub(mr0.mul(gi0)));
            ur0 = mr0.fma(v, ur0);
            ui0 = mi0.fma(v, ui0);
            FloatVector gr1 = FloatVector.fromMemorySegment(S, kept, (h + 2 * W) * 4L, LE);
            FloatVector gi1 = FloatVector.fromMemorySegment(S, kept, (h + 3 * W) * 4L, LE);
            FloatVector mr1 = in.add(kr1);
            FloatVector mi1 = ki1;
            kr1 = mr1.fma(ar1, mi1.mul(ai1));
            ki1 = mr1.fma(na1, mi1.mul(ar1));
            sr1 = mr1.fma(gr1, mi1.fma(gi1, sr1));
            si1 = mi1.fma(gr1, si1.sub(mr1.mul(gi1)));
            ur1 = mr1.fma(v, ur1);
            ui1 = mi1.fma(v, ui1);
            FloatVector share = mi1.fma(wi1, mr1.fma(wr1, mi0.fma(wi0, mr0.mul(wr0))));
            share.intoMemorySegment(kept, h * 4L, LE);
        }
        kr0.intoMemorySegment(k, 0, LE);
        ki0.intoMemorySegment(k, W * 4L, LE);
        sr0.intoMemorySegment(s, SUM_A_RE * count * 4L, LE);
        si0.intoMemorySegment(s, SUM_A_IM * count * 4L, LE);
        ur0.intoMemorySegment(s, SUM_B_RE * count * 4L, LE);
        ui0.intoMemorySegment(s, SUM_B_IM * count * 4L, LE);
        kr1.intoMemorySegment(k, 2 * W * 4L, LE);
        ki1.intoMemorySegment(k, 3 * W * 4L, LE);
        sr1.intoMemorySegment(s, (SUM_A_RE * count + W) * 4L, LE);
        si1.intoMemorySegment(s, (SUM_A_IM * count + W) * 4L, LE);
        ur1.intoMemorySegment(s, (SUM_B_RE * count + W) * 4L, LE);
        ui1.intoMemorySegment(s, (SUM_B_IM * count + W) * 4L, LE);
    }

    @Override
    public void parameterGradients(MemorySegment fields, int count, boolean bilinear, MemorySegment sums) {
        for (int i = 0; i < count; i += L) {
            outputGradients(fields, count, sums, i);
            if (bilinear) {
                bilinearGradients(fields, count, sums, i);
            } else {
                zeroOrderGradients(fields, count, sums, i);
            }
        }
    }

    /** By a, conj(w) times its sum; by b, conj(2 c) times its sum; by c, 2 conj(b) times its sum; the latter takes b's place. */
    private static void outputGradients(MemorySegment fields, int count, MemorySegment sums, int i) {
        FloatVector wr = FloatVector.fromMemorySegment(S, fields, (W_RE * count + i) * 4L, LE);
        FloatVector wi = FloatVector.fromMemorySegment(S, fields, (W_IM * count + i) * 4L, LE);
        FloatVector sr = FloatVector.fromMemorySegment(S, sums, (SUM_A_RE * count + i) * 4L, LE);
        FloatVector si = FloatVector.fromMemorySegment(S, sums, (SUM_A_IM * count + i) * 4L, LE);
        wr.mul(sr).add(wi.mul(si)).intoMemorySegment(sums, (SUM_A_RE * count + i) * 4L, LE);
        wr.mul(si).sub(wi.mul(sr)).intoMemorySegment(sums, (SUM_A_IM * count + i) * 4L, LE);
        FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE);
        FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE);
        FloatVector dr = FloatVector.fromMemorySegment(S, sums, (SUM_W_RE * count + i) * 4L, LE);
        FloatVector di = FloatVector.fromMemorySegment(S, sums, (SUM_W_IM * count + i) * 4L, LE);
        FloatVector cr = FloatVector.fromMemorySegment(S, fields, (C_RE * count + i) * 4L, LE);
        FloatVector ci = FloatVector.fromMemorySegment(S, fields, (C_IM * count + i) * 4L, LE);
        FloatVector ur = FloatVector.fromMemorySegment(S, sums, (SUM_B_RE * count + i) * 4L, LE);
        FloatVector ui = FloatVector.fromMemorySegment(S, sums, (SUM_B_IM * count + i) * 4L, LE);
        cr.mul(ur).add(ci.mul(ui)).intoMemorySegment(sums, (SUM_W_RE * count + i) * 4L, LE);
        cr.mul(ui).sub(ci.mul(ur)).intoMemorySegment(sums, (SUM_W_IM * count + i) * 4L, LE);
        br.mul(dr).add(bi.mul(di)).mul(2f).intoMemorySegment(sums, (GRAD_C_RE * count + i) * 4L, LE);
        br.mul(di).sub(bi.mul(dr)).mul(2f).intoMemorySegment(sums, (GRAD_C_IM * count + i) * 4L, LE);
    }

    /** da/dz = a, db/dz = a / A, db/dA = -b / A. */
    private static void zeroOrderGradients(MemorySegment fields, int count, MemorySegment sums, int i) {
        FloatVector re = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE);
        FloatVector im = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE);
        FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
        FloatVector gr = FloatVector.fromMemorySegment(S, sums, (SUM_W_RE * count + i) * 4L, LE);
        FloatVector gi = FloatVector.fromMemorySegment(S, sums, (SUM_W_IM * count + i) * 4L, LE);
        FloatVector norm = re.fma(re, im.mul(im));
        norm = norm.blend(Float.MIN_NORMAL, norm.compare(VectorOperators.LT, Float.MIN_NORMAL));
        FloatVector vr = re.mul(gr).sub(im.mul(gi)).div(norm); // b's gradient over conj(A)
        FloatVector vi = re.mul(gi).add(im.mul(gr)).div(norm);
        FloatVector xr = FloatVector.fromMemorySegment(S, sums, (SUM_A_RE * count + i) * 4L, LE).add(vr);
        FloatVector xi = FloatVector.fromMemorySegment(S, sums, (SUM_A_IM * count + i) * 4L, LE).add(vi);
        FloatVector ar = FloatVector.fromMemorySegment(S, fields, (A_RE * count + i) * 4L, LE);
        FloatVector ai = FloatVector.fromMemorySegment(S, fields, (A_IM * count + i) * 4L, LE);
        FloatVector zr = ar.mul(xr).add(ai.mul(xi));
        FloatVector zi = ar.mul(xi).sub(ai.mul(xr));
        FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE);
        FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE);
        zr.mul(dt).sub(br.mul(vr).add(bi.mul(vi))).mul(re).intoMemorySegment(sums, (GRAD_DECAY * count + i) * 4L, LE);
        zi.mul(dt).sub(br.mul(vi).sub(bi.mul(vr))).intoMemorySegment(sums, (GRAD_FREQUENCY * count + i) * 4L, LE);
        zr.mul(re).add(zi.mul(im)).mul(dt).intoMemorySegment(sums, (GRAD_STEP * count + i) * 4L, LE);
    }

    /** With q = 1 - z / 2: b = dt / q, da/dz = 1 / q^2, db/dz = dt / (2 q^2). */
    private static void bilinearGradients(MemorySegment fields, int count, MemorySegment sums, int i) {
        FloatVector re = FloatVector.fromMemorySegment(S, fields, (S_RE * count + i) * 4L, LE);
        FloatVector im = FloatVector.fromMemorySegment(S, fields, (S_IM * count + i) * 4L, LE);
        FloatVector dt = FloatVector.fromMemorySegment(S, fields, (STEP * count + i) * 4L, LE);
        FloatVector gr = FloatVector.fromMemorySegment(S, sums, (SUM_W_RE * count + i) * 4L, LE);
        FloatVector gi = FloatVector.fromMemorySegment(S, sums, (SUM_W_IM * count + i) * 4L, LE);
        FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE);
        FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE);
        FloatVector qr = br.div(dt);
        FloatVector qi = bi.div(dt);
        FloatVector half = dt.mul(0.5f);
        FloatVector xr = FloatVector.fromMemorySegment(S, sums, (SUM_A_RE * count + i) * 4L, LE).add(half.mul(gr));
        FloatVector xi = FloatVector.fromMemorySegment(S, sums, (SUM_A_IM * count + i) * 4L, LE).add(half.mul(gi));
        FloatVector squareRe = qr.mul(qr).sub(qi.mul(qi));
        FloatVector squareIm = qr.mul(qi).mul(2f);
        FloatVector zr = squareRe.mul(xr).add(squareIm.mul(xi));
        FloatVector zi = squareRe.mul(xi).sub(squareIm.mul(xr));
        zr.mul(dt).mul(re).intoMemorySegment(sums, (GRAD_DECAY * count + i) * 4L, LE);
        zi.mul(dt).intoMemorySegment(sums, (GRAD_FREQUENCY * count + i) * 4L, LE);
        zr.mul(re).add(zi.mul(im)).mul(dt).add(br.mul(gr).add(bi.mul(gi))).intoMemorySegment(sums, (GRAD_STEP * count + i) * 4L, LE);
    }

    /** Lanes are pairs here: a channel's pairs are neighbours in memory, and one token does not pay for transposing them. */
    @Override
    public float step(MemorySegment fields, int count, int at, int pairs, float u, MemorySegment beforeRe, MemorySegment beforeIm,
            MemorySegment afterRe, MemorySegment afterIm) {
        FloatVector in = FloatVector.broadcast(S, u);
        FloatVector sum = FloatVector.zero(S);
        for (int p = 0; p < pairs; p += L) {
            VectorMask<Float> here = S.indexInRange(p, pairs);
            int i = at + p;
            FloatVector ar = FloatVector.fromMemorySegment(S, fields, (A_RE * count + i) * 4L, LE, here);
            FloatVector ai = FloatVector.fromMemorySegment(S, fields, (A_IM * count + i) * 4L, LE, here);
            FloatVector br = FloatVector.fromMemorySegment(S, fields, (B_RE * count + i) * 4L, LE, here);
            FloatVector bi = FloatVector.fromMemorySegment(S, fields, (B_IM * count + i) * 4L, LE, here);
            FloatVector cr = FloatVector.fromMemorySegment(S, fields, (C_RE * count + i) * 4L, LE, here);
            FloatVector ci = FloatVector.fromMemorySegment(S, fields, (C_IM * count + i) * 4L, LE, here);
            FloatVector nr = br.mul(in);
            FloatVector ni = bi.mul(in);
            if (beforeRe != null) {
                FloatVector hr = FloatVector.fromMemorySegment(S, beforeRe, p * 4L, LE, here);
                FloatVector hi = FloatVector.fromMemorySegment(S, beforeIm, p * 4L, LE, here);
                nr = hr.fma(ar, nr).sub(hi.mul(ai));
                ni = hi.fma(ar, ni).add(hr.mul(ai));
            }
            nr.intoMemorySegment(afterRe, p * 4L, LE, here);
            ni.intoMemorySegment(afterIm, p * 4L, LE, here);
            sum = cr.fma(nr, sum).sub(ci.mul(ni));
        }
        return LaneSum.of(sum);
    }
}
