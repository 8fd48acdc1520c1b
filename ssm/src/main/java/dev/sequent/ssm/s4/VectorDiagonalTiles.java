package dev.sequent.ssm.s4;

import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of the diagonal scan in the Vector API: lanes are channels, and a block is one vector of them.
 *
 * <p>A quad of pairs and a token cost 24 vector operations and one load and store, with coefficients and states in registers. The adjoint
 * keeps more sums for each pair, so it takes two pairs at a time.
 */
final class VectorDiagonalTiles extends VectorDiagonalCoefficients {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int L = S.length();
    private static final int W = L;
    /** Every second lane, once in the lower and once in the upper half. */
    private static final VectorShuffle<Float> EVEN = VectorShuffle.fromOp(S, i -> 2 * i % L);
    private static final VectorShuffle<Float> ODD = VectorShuffle.fromOp(S, i -> 2 * i % L + 1);
    private static final VectorMask<Float> UPPER = S.indexInRange(-(L / 2), L / 2);

    @Override
    public int width() {
        return W;
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

    // One token: lanes are neighbouring pairs, whatever channels they belong to.

    @Override
    public void spread(MemorySegment values, int channels, int pairs, MemorySegment target) {
        MemorySegment v = values.asSlice(0, channels * 4L);
        MemorySegment to = target.asSlice(0, ((long) channels * pairs + L) * 4);
        for (int e = 0; e < channels; e++) {
            FloatVector value = FloatVector.broadcast(S, v.getAtIndex(F32, e));
            for (int p = 0; p < pairs; p += L) { // what goes beyond is overwritten by the next channel
                value.intoMemorySegment(to, (e * pairs + p) * 4L, LE);
            }
        }
    }

    @Override
    public void parts(MemorySegment numbers, int size, MemorySegment re, MemorySegment im) {
        MemorySegment from = numbers.asSlice(0, size * 8L);
        MemorySegment real = re.asSlice(0, size * 4L);
        MemorySegment imaginary = im.asSlice(0, size * 4L);
        int i = 0;
        for (; i + L <= size; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, from, i * 8L, LE);
            FloatVector b = FloatVector.fromMemorySegment(S, from, (i + L / 2) * 8L, LE);
            a.rearrange(EVEN).blend(b.rearrange(EVEN), UPPER).intoMemorySegment(real, i * 4L, LE);
            a.rearrange(ODD).blend(b.rearrange(ODD), UPPER).intoMemorySegment(imaginary, i * 4L, LE);
        }
        for (; i < size; i++) {
            real.setAtIndex(F32, i, from.getAtIndex(F32, 2 * i));
            imaginary.setAtIndex(F32, i, from.getAtIndex(F32, 2 * i + 1));
        }
    }

    @Override
    public void step(MemorySegment fields, int count, int size, MemorySegment u, MemorySegment stateRe, MemorySegment stateIm,
            MemorySegment shares) {
        MemorySegment f = fields.asSlice(0, (long) FIELDS * count * 4);
        MemorySegment x = u.asSlice(0, size * 4L);
        MemorySegment re = stateRe.asSlice(0, size * 4L);
        MemorySegment im = stateIm.asSlice(0, size * 4L);
        MemorySegment out = shares.asSlice(0, size * 4L);
        for (int i = 0; i < size; i += L) {
            FloatVector ar = FloatVector.fromMemorySegment(S, f, (A_RE * count + i) * 4L, LE);
            FloatVector ai = FloatVector.fromMemorySegment(S, f, (A_IM * count + i) * 4L, LE);
            FloatVector hr = FloatVector.fromMemorySegment(S, re, i * 4L, LE);
            FloatVector hi = FloatVector.fromMemorySegment(S, im, i * 4L, LE);
            FloatVector in = FloatVector.fromMemorySegment(S, x, i * 4L, LE);
            FloatVector br = FloatVector.fromMemorySegment(S, f, (B_RE * count + i) * 4L, LE);
            FloatVector bi = FloatVector.fromMemorySegment(S, f, (B_IM * count + i) * 4L, LE);
            FloatVector nr = hr.fma(ar, br.mul(in)).sub(hi.mul(ai));
            FloatVector ni = hi.fma(ar, bi.mul(in)).add(hr.mul(ai));
            nr.intoMemorySegment(re, i * 4L, LE);
            ni.intoMemorySegment(im, i * 4L, LE);
            FloatVector cr = FloatVector.fromMemorySegment(S, f, (C_RE * count + i) * 4L, LE);
            FloatVector ci = FloatVector.fromMemorySegment(S, f, (C_IM * count + i) * 4L, LE);
            cr.mul(nr).sub(ci.mul(ni)).intoMemorySegment(out, i * 4L, LE);
        }
    }

    @Override
    public void sums(MemorySegment shares, int channels, int pairs, MemorySegment target) {
        MemorySegment from = shares.asSlice(0, (long) channels * pairs * 4);
        MemorySegment to = target.asSlice(0, channels * 4L);
        int whole = pairs / L * L;
        for (int e = 0; e < channels; e++) {
            float sum = 0;
            if (whole > 0) {
                FloatVector v = FloatVector.fromMemorySegment(S, from, e * pairs * 4L, LE);
                for (int p = L; p < whole; p += L) {
                    v = v.add(FloatVector.fromMemorySegment(S, from, (e * pairs + p) * 4L, LE));
                }
                sum = LaneSum.of(v);
            }
            for (int p = whole; p < pairs; p++) {
                sum += from.getAtIndex(F32, e * pairs + p);
            }
            to.setAtIndex(F32, e, sum);
        }
    }
}
