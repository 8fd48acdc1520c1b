package dev.sequent.ssm.scan;

import dev.sequent.fused.LaneSum;
import dev.sequent.fused.RowMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of the selective scan in the Vector API: lanes are channels, a block has four vectors of them.
 *
 * <p>The exponentials are written out where they are used, and loops that use them have two or four vectors to a turn: the compiler
 * inlines neither helpers into loops of this size nor methods of this size into their callers, and where it does for smaller ones the
 * loops run at a quarter of the speed.
 *
 * <p>exp(step A) in the recurrences is 2^u with u = step (log2(e) A) = k + f, k the nearest integer (added and subtracted as
 * {@link #MAGIC}, in one fused operation with the product, so that f has no rounding error but its own), and a minimax polynomial
 * of degree 5 for 2^f: relative error at most 1.7e-7 (2 ulp), and |u| 2^-24 from the rounding of log2(e) A.
 * When a tile's largest |u| exceeds {@link ScanTiles#BOUND} or is NaN, slower loops clamp u to [-126, 128) and put back a NaN, which
 * adding k to the exponent may have turned into a number.
 *
 * <p>Offsets in the innermost loops are the counter times a constant, in bytes: then the compiler checks bounds before the loop. With
 * offsets computed in {@code int} it checks every access, and the checks take a fifth of the recurrence's issue slots.
 */
final class VectorScanTiles implements ScanTiles {
    static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    static final ByteOrder LE = ByteOrder.nativeOrder();
    static final int L = S.length();
    static final int W = 4 * L;

    /** 1.5 2^23: adding it rounds a number below 2^22 to an integer, which then stands in the lowest bits. */
    static final float MAGIC = 12582912f;
    static final float LOG2E = 1.44269504088896340736f;
    // 2^f = 1 + f (C1 + ... + C5 f^4) on [-1/2, 1/2]; exactly 1 at 0, because an error there is one of a slowly decaying state's rate
    static final float C1 = 0.6931470036506653f;
    static final float C2 = 0.24022242426872253f;
    static final float C3 = 0.05550733581185341f;
    static final float C4 = 0.009671512991189957f;
    static final float C5 = 0.0013264728477224708f;

    static final int MAGNITUDE = 0x7fffffff;
    /** exp(-x) stays above 2^-126 up to here. */
    static final int LARGEST_EXPONENT = Float.floatToRawIntBits(87.3f);
    static final float LOWEST = -126;
    static final float HIGHEST = Math.nextDown(128f);
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    @Override
    public RowMath rowMath() {
        return RowMath.of(true);
    }

    @Override
    public int width() {
        return W;
    }

    @Override
    public int lanes() {
        return L;
    }

    @Override
    public void plainSteps(ScanScratch s, int rows, int columns) {
        VectorScanRows.plainSteps(s, rows, columns);
    }

    @Override
    public void softplusSteps(ScanScratch s, int rows, int columns) {
        VectorScanRows.softplusSteps(s, rows, columns);
    }

    @Override
    public void softplusSlopes(ScanScratch s, int rows, int columns) {
        VectorScanRowGradients.softplusSlopes(s, rows, columns);
    }

    @Override
    public void gate(ScanScratch s, int rows, int columns) {
        VectorScanRows.gate(s, rows, columns);
    }

    @Override
    public void gateSlopes(ScanScratch s, int rows, int columns) {
        VectorScanRowGradients.gateSlopes(s, rows, columns);
    }

    @Override
    public float largest(int rows, MemorySegment x, long stride) {
        return VectorScanRows.largest(rows, x, stride);
    }

    private static FloatVector load(MemorySegment source, long index) {
        return FloatVector.fromMemorySegment(S, source, index * 4L, LE);
    }

    @Override
    public void scan(ScanScratch s, int from, int to, StateRange range, boolean bounded, ScanLayout.Window step, ScanLayout.Window u,
            ScanLayout.Window partial, ScanLayout.Window out) {
        if (bounded && range.from() == 0) {
            scanBounded(s, from, to, range, step, u, out);
        } else if (bounded) {
            copySums(from, to, partial, out);
            scanContinued(s, from, to, range, step, u, out);
        } else {
            scanClamped(s, from, to, range, step, u, partial, out);
        }
    }

    /** Writes the sums over the states before to where the sums go on. */
    private static void copySums(int from, int to, ScanLayout.Window partials, ScanLayout.Window outputs) {
        for (int t = from; t < to; t++) {
            MemorySegment.copy(partials.segment(), t * partials.stride() * 4, outputs.segment(), t * outputs.stride() * 4, W * 4L);
        }
    }

    private static void scanBounded(ScanScratch s, int from, int to, StateRange range, ScanLayout.Window steps, ScanLayout.Window inputs,
            ScanLayout.Window outputs) {
        int states = range.count();
        int end = range.to();
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector k1 = FloatVector.broadcast(S, C1);
        final FloatVector k2 = FloatVector.broadcast(S, C2);
        final FloatVector k3 = FloatVector.broadcast(S, C3);
        final FloatVector k4 = FloatVector.broadcast(S, C4);
        final FloatVector k5 = FloatVector.broadcast(S, C5);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        MemorySegment step = steps.segment().asSlice(0, ((to - 1) * steps.stride() + W) * 4);
        MemorySegment input = inputs.segment().asSlice(0, ((to - 1) * inputs.stride() + W) * 4);
        MemorySegment out = outputs.segment().asSlice(0, ((to - 1) * outputs.stride() + W) * 4);
        MemorySegment skip = s.skip.asSlice(0, W * 4L);
        int stepStride = (int) steps.stride();
        int inputStride = (int) inputs.stride();
        int outStride = (int) outputs.stride();
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment state = s.state.asSlice(0, states * W * 4L);
        for (int t = from; t < to; t++) {
            int r = t * stepStride;
            int v = t * inputStride;
            int w = t * outStride;
            long q = t * (states * 4L);
            FloatVector d0 = FloatVector.fromMemorySegment(S, step, r * 4L, LE);
            FloatVector d1 = FloatVector.fromMemorySegment(S, step, (r + L) * 4L, LE);
            FloatVector d2 = FloatVector.fromMemorySegment(S, step, (r + 2 * L) * 4L, LE);
            FloatVector d3 = FloatVector.fromMemorySegment(S, step, (r + 3 * L) * 4L, LE);
            FloatVector x0 = FloatVector.fromMemorySegment(S, input, v * 4L, LE);
            FloatVector w0 = d0.mul(x0);
            FloatVector x1 = FloatVector.fromMemorySegment(S, input, (v + L) * 4L, LE);
            FloatVector w1 = d1.mul(x1);
            FloatVector x2 = FloatVector.fromMemorySegment(S, input, (v + 2 * L) * 4L, LE);
            FloatVector w2 = d2.mul(x2);
            FloatVector x3 = FloatVector.fromMemorySegment(S, input, (v + 3 * L) * 4L, LE);
            FloatVector w3 = d3.mul(x3);
            FloatVector y0 = x0.mul(FloatVector.fromMemorySegment(S, skip, 0, LE));
            FloatVector y1 = x1.mul(FloatVector.fromMemorySegment(S, skip, L * 4L, LE));
            FloatVector y2 = x2.mul(FloatVector.fromMemorySegment(S, skip, 2 * L * 4L, LE));
            FloatVector y3 = x3.mul(FloatVector.fromMemorySegment(S, skip, 3 * L * 4L, LE));
            for (int n = 0; n < end; n++) {
                long i = n * (W * 4L);
                FloatVector b = FloatVector.broadcast(S, bt.get(F32, q + n * 4L));
                FloatVector c = FloatVector.broadcast(S, ct.get(F32, q + n * 4L));

                FloatVector a0 = FloatVector.fromMemorySegment(S, a, i, LE);
                FloatVector z0 = d0.fma(a0, magic);
                FloatVector f0 = d0.fma(a0, magic.sub(z0));
                FloatVector e0 = f0.fma(k5, k4).fma(f0, k3).fma(f0, k2).fma(f0, k1).fma(f0, one)
                        .reinterpretAsInts().add(z0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h0 = e0.fma(FloatVector.fromMemorySegment(S, state, i, LE), w0.mul(b));
                h0.intoMemorySegment(state, i, LE);
                y0 = h0.fma(c, y0);

                FloatVector a1 = FloatVector.fromMemorySegment(S, a, i + L * 4L, LE);
                FloatVector z1 = d1.fma(a1, magic);
                FloatVector f1 = d1.fma(a1, magic.sub(z1));
                FloatVector e1 = f1.fma(k5, k4).fma(f1, k3).fma(f1, k2).fma(f1, k1).fma(f1, one)
                        .reinterpretAsInts().add(z1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h1 = e1.fma(FloatVector.fromMemorySegment(S, state, i + L * 4L, LE), w1.mul(b));
                h1.intoMemorySegment(state, i + L * 4L, LE);
                y1 = h1.fma(c, y1);

                FloatVector a2 = FloatVector.fromMemorySegment(S, a, i + 2 * L * 4L, LE);
                FloatVector z2 = d2.fma(a2, magic);
                FloatVector f2 = d2.fma(a2, magic.sub(z2));
                FloatVector e2 = f2.fma(k5, k4).fma(f2, k3).fma(f2, k2).fma(f2, k1).fma(f2, one)
                        .reinterpretAsInts().add(z2.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h2 = e2.fma(FloatVector.fromMemorySegment(S, state, i + 2 * L * 4L, LE), w2.mul(b));
                h2.intoMemorySegment(state, i + 2 * L * 4L, LE);
                y2 = h2.fma(c, y2);

                FloatVector a3 = FloatVector.fromMemorySegment(S, a, i + 3 * L * 4L, LE);
                FloatVector z3 = d3.fma(a3, magic);
                FloatVector f3 = d3.fma(a3, magic.sub(z3));
                FloatVector e3 = f3.fma(k5, k4).fma(f3, k3).fma(f3, k2).fma(f3, k1).fma(f3, one)
                        .reinterpretAsInts().add(z3.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h3 = e3.fma(FloatVector.fromMemorySegment(S, state, i + 3 * L * 4L, LE), w3.mul(b));
                h3.intoMemorySegment(state, i + 3 * L * 4L, LE);
                y3 = h3.fma(c, y3);
            }
            y0.intoMemorySegment(out, w * 4L, LE);
            y1.intoMemorySegment(out, (w + L) * 4L, LE);
            y2.intoMemorySegment(out, (w + 2 * L) * 4L, LE);
            y3.intoMemorySegment(out, (w + 3 * L) * 4L, LE);
        }
    }

    /**
     * The recurrence of states after the first ones, whose sums stand in {@code out}. A method of its own: with both beginnings it would be
     * more than the first compiler takes, and might never leave its second tier.
     */
    private static void scanContinued(ScanScratch s, int from, int to, StateRange range, ScanLayout.Window steps, ScanLayout.Window inputs,
            ScanLayout.Window outputs) {
        int states = range.count();
        int first = range.from();
        int end = range.to();
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector k1 = FloatVector.broadcast(S, C1);
        final FloatVector k2 = FloatVector.broadcast(S, C2);
        final FloatVector k3 = FloatVector.broadcast(S, C3);
        final FloatVector k4 = FloatVector.broadcast(S, C4);
        final FloatVector k5 = FloatVector.broadcast(S, C5);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        MemorySegment step = steps.segment().asSlice(0, ((to - 1) * steps.stride() + W) * 4);
        MemorySegment input = inputs.segment().asSlice(0, ((to - 1) * inputs.stride() + W) * 4);
        MemorySegment out = outputs.segment().asSlice(0, ((to - 1) * outputs.stride() + W) * 4);
        int stepStride = (int) steps.stride();
        int inputStride = (int) inputs.stride();
        int outStride = (int) outputs.stride();
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment state = s.state.asSlice(0, states * W * 4L);
        for (int t = from; t < to; t++) {
            int r = t * stepStride;
            int v = t * inputStride;
            int w = t * outStride;
            long q = t * (states * 4L);
            FloatVector d0 = FloatVector.fromMemorySegment(S, step, r * 4L, LE);
            FloatVector d1 = FloatVector.fromMemorySegment(S, step, (r + L) * 4L, LE);
            FloatVector d2 = FloatVector.fromMemorySegment(S, step, (r + 2 * L) * 4L, LE);
            FloatVector d3 = FloatVector.fromMemorySegment(S, step, (r + 3 * L) * 4L, LE);
            FloatVector w0 = d0.mul(FloatVector.fromMemorySegment(S, input, v * 4L, LE));
            FloatVector w1 = d1.mul(FloatVector.fromMemorySegment(S, input, (v + L) * 4L, LE));
            FloatVector w2 = d2.mul(FloatVector.fromMemorySegment(S, input, (v + 2 * L) * 4L, LE));
            FloatVector w3 = d3.mul(FloatVector.fromMemorySegment(S, input, (v + 3 * L) * 4L, LE));
            FloatVector y0 = FloatVector.fromMemorySegment(S, out, w * 4L, LE);
            FloatVector y1 = FloatVector.fromMemorySegment(S, out, (w + L) * 4L, LE);
            FloatVector y2 = FloatVector.fromMemorySegment(S, out, (w + 2 * L) * 4L, LE);
            FloatVector y3 = FloatVector.fromMemorySegment(S, out, (w + 3 * L) * 4L, LE);
            for (int n = first; n < end; n++) {
                long i = n * (W * 4L);
                FloatVector b = FloatVector.broadcast(S, bt.get(F32, q + n * 4L));
                FloatVector c = FloatVector.broadcast(S, ct.get(F32, q + n * 4L));

                FloatVector a0 = FloatVector.fromMemorySegment(S, a, i, LE);
                FloatVector z0 = d0.fma(a0, magic);
                FloatVector f0 = d0.fma(a0, magic.sub(z0));
                FloatVector e0 = f0.fma(k5, k4).fma(f0, k3).fma(f0, k2).fma(f0, k1).fma(f0, one)
                        .reinterpretAsInts().add(z0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h0 = e0.fma(FloatVector.fromMemorySegment(S, state, i, LE), w0.mul(b));
                h0.intoMemorySegment(state, i, LE);
                y0 = h0.fma(c, y0);

                FloatVector a1 = FloatVector.fromMemorySegment(S, a, i + L * 4L, LE);
                FloatVector z1 = d1.fma(a1, magic);
                FloatVector f1 = d1.fma(a1, magic.sub(z1));
                FloatVector e1 = f1.fma(k5, k4).fma(f1, k3).fma(f1, k2).fma(f1, k1).fma(f1, one)
                        .reinterpretAsInts().add(z1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h1 = e1.fma(FloatVector.fromMemorySegment(S, state, i + L * 4L, LE), w1.mul(b));
                h1.intoMemorySegment(state, i + L * 4L, LE);
                y1 = h1.fma(c, y1);

                FloatVector a2 = FloatVector.fromMemorySegment(S, a, i + 2 * L * 4L, LE);
                FloatVector z2 = d2.fma(a2, magic);
                FloatVector f2 = d2.fma(a2, magic.sub(z2));
                FloatVector e2 = f2.fma(k5, k4).fma(f2, k3).fma(f2, k2).fma(f2, k1).fma(f2, one)
                        .reinterpretAsInts().add(z2.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h2 = e2.fma(FloatVector.fromMemorySegment(S, state, i + 2 * L * 4L, LE), w2.mul(b));
                h2.intoMemorySegment(state, i + 2 * L * 4L, LE);
                y2 = h2.fma(c, y2);

                FloatVector a3 = FloatVector.fromMemorySegment(S, a, i + 3 * L * 4L, LE);
                FloatVector z3 = d3.fma(a3, magic);
                FloatVector f3 = d3.fma(a3, magic.sub(z3));
                FloatVector e3 = f3.fma(k5, k4).fma(f3, k3).fma(f3, k2).fma(f3, k1).fma(f3, one)
                        .reinterpretAsInts().add(z3.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h3 = e3.fma(FloatVector.fromMemorySegment(S, state, i + 3 * L * 4L, LE), w3.mul(b));
                h3.intoMemorySegment(state, i + 3 * L * 4L, LE);
                y3 = h3.fma(c, y3);
            }
            y0.intoMemorySegment(out, w * 4L, LE);
            y1.intoMemorySegment(out, (w + L) * 4L, LE);
            y2.intoMemorySegment(out, (w + 2 * L) * 4L, LE);
            y3.intoMemorySegment(out, (w + 3 * L) * 4L, LE);
        }
    }

    private static void scanClamped(ScanScratch s, int from, int to, StateRange range, ScanLayout.Window steps, ScanLayout.Window inputs,
            ScanLayout.Window partials, ScanLayout.Window outputs) {
        int states = range.count();
        int first = range.from();
        int end = range.to();
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector k1 = FloatVector.broadcast(S, C1);
        final FloatVector k2 = FloatVector.broadcast(S, C2);
        final FloatVector k3 = FloatVector.broadcast(S, C3);
        final FloatVector k4 = FloatVector.broadcast(S, C4);
        final FloatVector k5 = FloatVector.broadcast(S, C5);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector lowest = FloatVector.broadcast(S, LOWEST);
        final FloatVector highest = FloatVector.broadcast(S, HIGHEST);
        MemorySegment step = steps.segment().asSlice(0, ((to - 1) * steps.stride() + W) * 4);
        MemorySegment input = inputs.segment().asSlice(0, ((to - 1) * inputs.stride() + W) * 4);
        MemorySegment out = outputs.segment().asSlice(0, ((to - 1) * outputs.stride() + W) * 4);
        MemorySegment partial = partials.segment().asSlice(0, ((to - 1) * partials.stride() + W) * 4);
        MemorySegment skip = s.skip.asSlice(0, W * 4L);
        int stepStride = (int) steps.stride();
        int inputStride = (int) inputs.stride();
        int partialStride = (int) partials.stride();
        int outStride = (int) outputs.stride();
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment state = s.state.asSlice(0, states * W * 4L);
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector d = FloatVector.fromMemorySegment(S, step, (t * stepStride + j) * 4L, LE);
                FloatVector x = FloatVector.fromMemorySegment(S, input, (t * inputStride + j) * 4L, LE);
                FloatVector w = d.mul(x);
                FloatVector y = first > 0 ? FloatVector.fromMemorySegment(S, partial, (t * partialStride + j) * 4L, LE)
                        : x.mul(FloatVector.fromMemorySegment(S, skip, j * 4L, LE));
                for (int n = first; n < end; n++) {
                    int i = n * W + j;
                    FloatVector b = FloatVector.broadcast(S, bt.get(F32, (t * states + n) * 4L));
                    FloatVector c = FloatVector.broadcast(S, ct.get(F32, (t * states + n) * 4L));
                    FloatVector u = d.mul(FloatVector.fromMemorySegment(S, a, i * 4L, LE));
                    u = u.blend(lowest, u.compare(VectorOperators.LT, lowest));
                    u = u.blend(highest, u.compare(VectorOperators.GT, highest));
                    FloatVector z = u.add(magic);
                    FloatVector f = u.sub(z.sub(magic));
                    FloatVector e = f.fma(k5, k4).fma(f, k3).fma(f, k2).fma(f, k1).fma(f, one)
                            .reinterpretAsInts().add(z.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                    e = e.blend(u, u.compare(VectorOperators.NE, u));
                    FloatVector h = e.fma(FloatVector.fromMemorySegment(S, state, i * 4L, LE), w.mul(b));
                    h.intoMemorySegment(state, i * 4L, LE);
                    y = h.fma(c, y);
                }
                y.intoMemorySegment(out, (t * outStride + j) * 4L, LE);
            }
        }
    }

    @Override
    public void replay(ScanScratch s, int from, int to, StateRange range, boolean bounded) {
        if (bounded) {
            VectorScanAdjoint.replayBounded(s, from, to, range);
        } else {
            VectorScanAdjoint.replayClamped(s, from, to, range);
        }
    }

    @Override
    public void reverse(ScanScratch s, int from, int to, StateRange range) {
        VectorScanAdjoint.reverse(s, from, to, range);
    }

    @Override
    public void finishBackward(ScanScratch s, int from, int to, boolean gated) {
        if (gated) {
            VectorScanRowGradients.gateGradients(s, from, to);
        }
        VectorScanRowGradients.inputGradients(s, from, to);
    }

    @Override
    public void sumLanes(int count, MemorySegment source, MemorySegment target) {
        for (int i = 0; i < count; i++) {
            target.setAtIndex(F32, i, LaneSum.of(load(source, i * (long) L)));
        }
    }

    /** Lanes are states here: a channel's states are neighbours in memory, and one token does not pay for transposing them. */
    @Override
    public void step(ScanScratch s, int channels, int states, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment before,
            MemorySegment after) {
        MemorySegment source = before == null ? after.asSlice(0, (long) channels * states * Float.BYTES).fill((byte) 0) : before;
        stepWhole(s, channels, states, a, b, c, source, after);
        if (states % L > 0) {
            stepRest(s, channels, states, a, b, c, source, after);
        }
    }

    private static void stepWhole(ScanScratch s, int channels, int states, MemorySegment a, MemorySegment b, MemorySegment c,
            MemorySegment before, MemorySegment after) {
        for (int e = 0; e < channels; e++) {
            float step = s.step.segment().getAtIndex(F32, e);
            float x = s.input.segment().getAtIndex(F32, e);
            FloatVector y = FloatVector.zero(S);
            for (int n = 0; n + L <= states; n += L) {
                long i = (long) e * states + n;
                FloatVector h = advance(load(a, i).mul(step * LOG2E), load(before, i), load(b, n).mul(step * x));
                h.intoMemorySegment(after, i * 4L, LE);
                y = h.fma(load(c, n), y);
            }
            s.out.segment().setAtIndex(F32, e, Math.fma(s.skip.getAtIndex(F32, e), x, LaneSum.of(y)));
        }
    }

    /** The states at the end that do not fill a vector. In two loops: with all operands under a mask one would be too much for C1. */
    private static void stepRest(ScanScratch s, int channels, int states, MemorySegment a, MemorySegment b, MemorySegment c,
            MemorySegment before, MemorySegment after) {
        int n = states - states % L;
        advanceRest(s, channels, states, n, a, b, before, after);
        addRest(s, channels, states, n, c, after);
    }

    private static void advanceRest(ScanScratch s, int channels, int states, int n, MemorySegment a, MemorySegment b, MemorySegment before,
            MemorySegment after) {
        VectorMask<Float> rest = S.indexInRange(n, states);
        FloatVector bs = FloatVector.fromMemorySegment(S, b, n * 4L, LE, rest);
        for (int e = 0; e < channels; e++) {
            float step = s.step.segment().getAtIndex(F32, e);
            float x = s.input.segment().getAtIndex(F32, e);
            long i = (long) e * states + n;
            FloatVector u = FloatVector.fromMemorySegment(S, a, i * 4L, LE, rest).mul(step * LOG2E);
            FloatVector h = advance(u, FloatVector.fromMemorySegment(S, before, i * 4L, LE, rest), bs.mul(step * x));
            h.intoMemorySegment(after, i * 4L, LE, rest);
        }
    }

    /** Adds the outputs of the last states. */
    private static void addRest(ScanScratch s, int channels, int states, int n, MemorySegment c, MemorySegment after) {
        VectorMask<Float> rest = S.indexInRange(n, states);
        FloatVector cs = FloatVector.fromMemorySegment(S, c, n * 4L, LE, rest);
        for (int e = 0; e < channels; e++) {
            FloatVector h = FloatVector.fromMemorySegment(S, after, ((long) e * states + n) * 4L, LE, rest);
            s.out.segment().setAtIndex(F32, e, s.out.segment().getAtIndex(F32, e) + LaneSum.of(h.mul(cs)));
        }
    }

    /** 2^u h + input. */
    private static FloatVector advance(FloatVector exponent, FloatVector h, FloatVector input) {
        FloatVector u = exponent.blend(LOWEST, exponent.compare(VectorOperators.LT, LOWEST));
        u = u.blend(HIGHEST, u.compare(VectorOperators.GT, HIGHEST));
        FloatVector z = u.add(MAGIC);
        FloatVector f = u.sub(z.sub(MAGIC));
        FloatVector p = f.fma(FloatVector.broadcast(S, C5), FloatVector.broadcast(S, C4)).fma(f, FloatVector.broadcast(S, C3))
                .fma(f, FloatVector.broadcast(S, C2)).fma(f, FloatVector.broadcast(S, C1)).fma(f, FloatVector.broadcast(S, 1f));
        FloatVector decay = p.reinterpretAsInts().add(z.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
        return decay.blend(u, u.compare(VectorOperators.NE, u)).fma(h, input);
    }
}
