package dev.sequent.ssm.scan;

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
 * The loops of the selective scan in the Vector API: lanes are channels, a block has four vectors of them.
 *
 * <p>The two exponentials are written out where they are used, because the compiler does not inline helpers into loops of this size.
 * <ul>
 * <li>exp(step A) in the recurrences is 2^u with u = step (log2(e) A) = k + f, k the nearest integer (added and subtracted as
 *     {@link #MAGIC}, in one fused operation with the product, so that f has no rounding error but its own), and a minimax polynomial
 *     of degree 6 for 2^f: relative error at most 1 ulp, and |u| 2^-24 from the rounding of log2(e) A.
 * <li>The activations use exp(-x), x at least 0, by the same means; softplus(x) = max(x, 0) + log(1 + e^-|x|), the logarithm as
 *     2 artanh(e / (2 + e)) by a minimax polynomial (4e-9), relative error below 4e-7 for all x above -87.
 * </ul>
 * When a tile's largest |u| exceeds {@link ScanTiles#BOUND}, slower loops clamp u to [-126, 128); NaN passes through both.
 */
final class VectorScanTiles implements ScanTiles {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Integer> SI = IntVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int L = S.length();
    private static final int W = 4 * L;

    /** 1.5 2^23: adding it rounds a number below 2^22 to an integer, which then stands in the lowest bits. */
    private static final float MAGIC = 12582912f;
    private static final float LOG2E = 1.44269504088896340736f;
    private static final float LN2 = 0.69314718055994530942f;
    // 2^f = 1 + f (C1 + ... + C6 f^5) on [-1/2, 1/2]; exactly 1 at 0, because an error there is one of a slowly decaying state's rate
    private static final float C1 = 0.6931472149680372f;
    private static final float C2 = 0.24022652782875056f;
    private static final float C3 = 0.05550310551000378f;
    private static final float C4 = 0.00961769297504919f;
    private static final float C5 = 0.0013406643903511178f;
    private static final float C6 = 0.00015594677500509606f;
    // artanh(s) 2 / s in s^2 on [0, 1/9]
    private static final float A1 = 0.66666317f;
    private static final float A2 = 0.4002491f;
    private static final float A3 = 0.279606f;
    private static final float A4 = 0.28178334f;

    private static final int MAGNITUDE = 0x7fffffff;
    /** exp(-x) stays above 2^-126 up to here. */
    private static final int LARGEST_EXPONENT = Float.floatToRawIntBits(87.3f);
    private static final float LOWEST = -126;
    private static final float HIGHEST = Math.nextDown(128f);

    @Override
    public int width() {
        return W;
    }

    @Override
    public int lanes() {
        return L;
    }

    @Override
    public float prepare(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride, MemorySegment u, long uStride) {
        return softplus ? prepareSoftplus(s, rows, delta, deltaStride, u, uStride) : preparePlain(s, rows, delta, deltaStride, u, uStride);
    }

    private static float preparePlain(ScanScratch s, int rows, MemorySegment delta, long deltaStride, MemorySegment u, long uStride) {
        MemorySegment step = s.step.asSlice(0, rows * W * 4L);
        MemorySegment drive = s.drive.asSlice(0, rows * W * 4L);
        MemorySegment bias = s.bias.asSlice(0, W * 4L);
        IntVector largest = IntVector.zero(SI);
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector d = load(delta, t * deltaStride + j).add(load(bias, j));
                largest = largest.max(d.reinterpretAsInts().and(MAGNITUDE));
                d.intoMemorySegment(step, (t * W + j) * 4L, LE);
                d.mul(load(u, t * uStride + j)).intoMemorySegment(drive, (t * W + j) * 4L, LE);
            }
        }
        return Float.intBitsToFloat(largest.reduceLanes(VectorOperators.MAX));
    }

    private static float prepareSoftplus(ScanScratch s, int rows, MemorySegment delta, long deltaStride, MemorySegment u, long uStride) {
        MemorySegment step = s.step.asSlice(0, rows * W * 4L);
        MemorySegment drive = s.drive.asSlice(0, rows * W * 4L);
        MemorySegment bias = s.bias.asSlice(0, W * 4L);
        IntVector largest = IntVector.zero(SI);
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector x = load(delta, t * deltaStride + j).add(load(bias, j));
                FloatVector magnitude = x.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats();
                FloatVector d = softplus(x, magnitude, expNegative(magnitude));
                largest = largest.max(d.reinterpretAsInts().and(MAGNITUDE));
                d.intoMemorySegment(step, (t * W + j) * 4L, LE);
                d.mul(load(u, t * uStride + j)).intoMemorySegment(drive, (t * W + j) * 4L, LE);
            }
        }
        return Float.intBitsToFloat(largest.reduceLanes(VectorOperators.MAX));
    }

    private static FloatVector load(MemorySegment source, long index) {
        return FloatVector.fromMemorySegment(S, source, index * 4L, LE);
    }

    /** exp(-x) for x of at least 0. */
    private static FloatVector expNegative(FloatVector x) {
        FloatVector bounded = x.reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
        FloatVector k = bounded.fma(FloatVector.broadcast(S, -LOG2E), FloatVector.broadcast(S, MAGIC));
        FloatVector f = bounded.fma(FloatVector.broadcast(S, -LOG2E), FloatVector.broadcast(S, MAGIC).sub(k));
        FloatVector p = f.fma(FloatVector.broadcast(S, C6), FloatVector.broadcast(S, C5)).fma(f, FloatVector.broadcast(S, C4))
                .fma(f, FloatVector.broadcast(S, C3)).fma(f, FloatVector.broadcast(S, C2)).fma(f, FloatVector.broadcast(S, C1))
                .fma(f, FloatVector.broadcast(S, 1f));
        return p.reinterpretAsInts().add(k.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
    }

    /** log(1 + e^x), given |x| and e = e^-|x|. */
    private static FloatVector softplus(FloatVector x, FloatVector magnitude, FloatVector e) {
        FloatVector q = e.div(e.add(2f));
        FloatVector t = q.mul(q);
        FloatVector p = t.fma(FloatVector.broadcast(S, A4), FloatVector.broadcast(S, A3)).fma(t, FloatVector.broadcast(S, A2))
                .fma(t, FloatVector.broadcast(S, A1)).fma(t, FloatVector.broadcast(S, 2f));
        // (x + |x|) / 2 is max(x, 0), and keeps a NaN
        return q.fma(p, x.add(magnitude).mul(0.5f));
    }

    /** 1 / (1 + e^-x), given e = e^-|x|. */
    private static FloatVector sigmoid(FloatVector x, FloatVector e) {
        FloatVector one = FloatVector.broadcast(S, 1f);
        return e.blend(one, x.compare(VectorOperators.GE, 0f)).div(e.add(1f));
    }

    @Override
    public void scan(ScanScratch s, int from, int to, int states, boolean bounded) {
        if (bounded) {
            scanBounded(s, from, to, states);
        } else {
            scanClamped(s, from, to, states);
        }
    }

    private static void scanBounded(ScanScratch s, int from, int to, int states) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector k1 = FloatVector.broadcast(S, C1);
        final FloatVector k2 = FloatVector.broadcast(S, C2);
        final FloatVector k3 = FloatVector.broadcast(S, C3);
        final FloatVector k4 = FloatVector.broadcast(S, C4);
        final FloatVector k5 = FloatVector.broadcast(S, C5);
        final FloatVector k6 = FloatVector.broadcast(S, C6);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        MemorySegment step = s.step.asSlice(0, to * W * 4L);
        MemorySegment drive = s.drive.asSlice(0, to * W * 4L);
        MemorySegment out = s.out.asSlice(0, to * W * 4L);
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment state = s.state.asSlice(0, states * W * 4L);
        for (int t = from; t < to; t++) {
            int r = t * W;
            FloatVector d0 = FloatVector.fromMemorySegment(S, step, r * 4L, LE);
            FloatVector d1 = FloatVector.fromMemorySegment(S, step, (r + L) * 4L, LE);
            FloatVector d2 = FloatVector.fromMemorySegment(S, step, (r + 2 * L) * 4L, LE);
            FloatVector d3 = FloatVector.fromMemorySegment(S, step, (r + 3 * L) * 4L, LE);
            FloatVector w0 = FloatVector.fromMemorySegment(S, drive, r * 4L, LE);
            FloatVector w1 = FloatVector.fromMemorySegment(S, drive, (r + L) * 4L, LE);
            FloatVector w2 = FloatVector.fromMemorySegment(S, drive, (r + 2 * L) * 4L, LE);
            FloatVector w3 = FloatVector.fromMemorySegment(S, drive, (r + 3 * L) * 4L, LE);
            FloatVector y0 = FloatVector.zero(S);
            FloatVector y1 = FloatVector.zero(S);
            FloatVector y2 = FloatVector.zero(S);
            FloatVector y3 = FloatVector.zero(S);
            for (int n = 0; n < states; n++) {
                int i = n * W;
                FloatVector b = FloatVector.broadcast(S, bt.get(F32, (t * states + n) * 4L));
                FloatVector c = FloatVector.broadcast(S, ct.get(F32, (t * states + n) * 4L));

                FloatVector a0 = FloatVector.fromMemorySegment(S, a, i * 4L, LE);
                FloatVector z0 = d0.fma(a0, magic);
                FloatVector f0 = d0.fma(a0, magic.sub(z0));
                FloatVector e0 = f0.fma(k6, k5).fma(f0, k4).fma(f0, k3).fma(f0, k2).fma(f0, k1).fma(f0, one)
                        .reinterpretAsInts().add(z0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h0 = e0.fma(FloatVector.fromMemorySegment(S, state, i * 4L, LE), w0.mul(b));
                h0.intoMemorySegment(state, i * 4L, LE);
                y0 = h0.fma(c, y0);

                FloatVector a1 = FloatVector.fromMemorySegment(S, a, (i + L) * 4L, LE);
                FloatVector z1 = d1.fma(a1, magic);
                FloatVector f1 = d1.fma(a1, magic.sub(z1));
                FloatVector e1 = f1.fma(k6, k5).fma(f1, k4).fma(f1, k3).fma(f1, k2).fma(f1, k1).fma(f1, one)
                        .reinterpretAsInts().add(z1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h1 = e1.fma(FloatVector.fromMemorySegment(S, state, (i + L) * 4L, LE), w1.mul(b));
                h1.intoMemorySegment(state, (i + L) * 4L, LE);
                y1 = h1.fma(c, y1);

                FloatVector a2 = FloatVector.fromMemorySegment(S, a, (i + 2 * L) * 4L, LE);
                FloatVector z2 = d2.fma(a2, magic);
                FloatVector f2 = d2.fma(a2, magic.sub(z2));
                FloatVector e2 = f2.fma(k6, k5).fma(f2, k4).fma(f2, k3).fma(f2, k2).fma(f2, k1).fma(f2, one)
                        .reinterpretAsInts().add(z2.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h2 = e2.fma(FloatVector.fromMemorySegment(S, state, (i + 2 * L) * 4L, LE), w2.mul(b));
                h2.intoMemorySegment(state, (i + 2 * L) * 4L, LE);
                y2 = h2.fma(c, y2);

                FloatVector a3 = FloatVector.fromMemorySegment(S, a, (i + 3 * L) * 4L, LE);
                FloatVector z3 = d3.fma(a3, magic);
                FloatVector f3 = d3.fma(a3, magic.sub(z3));
                FloatVector e3 = f3.fma(k6, k5).fma(f3, k4).fma(f3, k3).fma(f3, k2).fma(f3, k1).fma(f3, one)
                        .reinterpretAsInts().add(z3.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector h3 = e3.fma(FloatVector.fromMemorySegment(S, state, (i + 3 * L) * 4L, LE), w3.mul(b));
                h3.intoMemorySegment(state, (i + 3 * L) * 4L, LE);
                y3 = h3.fma(c, y3);
            }
            y0.intoMemorySegment(out, r * 4L, LE);
            y1.intoMemorySegment(out, (r + L) * 4L, LE);
            y2.intoMemorySegment(out, (r + 2 * L) * 4L, LE);
            y3.intoMemorySegment(out, (r + 3 * L) * 4L, LE);
        }
    }

    private static void scanClamped(ScanScratch s, int from, int to, int states) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector k1 = FloatVector.broadcast(S, C1);
        final FloatVector k2 = FloatVector.broadcast(S, C2);
        final FloatVector k3 = FloatVector.broadcast(S, C3);
        final FloatVector k4 = FloatVector.broadcast(S, C4);
        final FloatVector k5 = FloatVector.broadcast(S, C5);
        final FloatVector k6 = FloatVector.broadcast(S, C6);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector lowest = FloatVector.broadcast(S, LOWEST);
        final FloatVector highest = FloatVector.broadcast(S, HIGHEST);
        MemorySegment step = s.step.asSlice(0, to * W * 4L);
        MemorySegment drive = s.drive.asSlice(0, to * W * 4L);
        MemorySegment out = s.out.asSlice(0, to * W * 4L);
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment state = s.state.asSlice(0, states * W * 4L);
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector d = FloatVector.fromMemorySegment(S, step, (t * W + j) * 4L, LE);
                FloatVector w = FloatVector.fromMemorySegment(S, drive, (t * W + j) * 4L, LE);
                FloatVector y = FloatVector.zero(S);
                for (int n = 0; n < states; n++) {
                    int i = n * W + j;
                    FloatVector b = FloatVector.broadcast(S, bt.get(F32, (t * states + n) * 4L));
                    FloatVector c = FloatVector.broadcast(S, ct.get(F32, (t * states + n) * 4L));
                    FloatVector u = d.mul(FloatVector.fromMemorySegment(S, a, i * 4L, LE));
                    u = u.blend(lowest, u.compare(VectorOperators.LT, lowest));
                    u = u.blend(highest, u.compare(VectorOperators.GT, highest));
                    FloatVector z = u.add(magic);
                    FloatVector f = u.sub(z.sub(magic));
                    FloatVector e = f.fma(k6, k5).fma(f, k4).fma(f, k3).fma(f, k2).fma(f, k1).fma(f, one)
                            .reinterpretAsInts().add(z.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                    FloatVector h = e.fma(FloatVector.fromMemorySegment(S, state, i * 4L, LE), w.mul(b));
                    h.intoMemorySegment(state, i * 4L, LE);
                    y = h.fma(c, y);
                }
                y.intoMemorySegment(out, (t * W + j) * 4L, LE);
            }
        }
    }

    @Override
    public void finish(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment z, long zStride,
            MemorySegment y, long yStride) {
        MemorySegment out = s.out.asSlice(0, to * W * 4L);
        MemorySegment skip = s.skip.asSlice(0, W * 4L);
        if (z == null) {
            for (int t = from; t < to; t++) {
                for (int j = 0; j < W; j += L) {
                    FloatVector value = load(u, t * uStride + j).fma(load(skip, j), load(out, t * W + j));
                    value.intoMemorySegment(y, (t * yStride + j) * 4L, LE);
                }
            }
            return;
        }
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector value = load(u, t * uStride + j).fma(load(skip, j), load(out, t * W + j));
                FloatVector gate = load(z, t * zStride + j);
                FloatVector e = expNegative(gate.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats());
                value.mul(gate.mul(sigmoid(gate, e))).intoMemorySegment(y, (t * yStride + j) * 4L, LE);
            }
        }
    }

    @Override
    public float prepareBackward(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride, MemorySegment u, long uStride,
            MemorySegment z, long zStride, MemorySegment dy, long dyStride) {
        float largest = prepare(s, rows, softplus, delta, deltaStride, u, uStride);
        slopes(s, rows, softplus, delta, deltaStride);
        if (z == null) {
            for (int t = 0; t < rows; t++) {
                for (int j = 0; j < W; j += L) {
                    load(dy, t * dyStride + j).intoMemorySegment(s.grad, (t * W + j) * 4L, LE);
                }
            }
        } else {
            gates(s, rows, z, zStride, dy, dyStride);
        }
        return largest;
    }

    private static void slopes(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride) {
        MemorySegment slope = s.slope.asSlice(0, rows * W * 4L);
        MemorySegment bias = s.bias.asSlice(0, W * 4L);
        if (!softplus) {
            for (int i = 0; i < rows * W; i += L) {
                FloatVector.broadcast(S, 1f).intoMemorySegment(slope, i * 4L, LE);
            }
            return;
        }
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector x = load(delta, t * deltaStride + j).add(load(bias, j));
                FloatVector e = expNegative(x.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats());
                sigmoid(x, e).intoMemorySegment(slope, (t * W + j) * 4L, LE);
            }
        }
    }

    /** SiLU(z) = z p with p the logistic function, and SiLU'(z) = p (1 + z (1 - p)). */
    private static void gates(ScanScratch s, int rows, MemorySegment z, long zStride, MemorySegment dy, long dyStride) {
        MemorySegment grad = s.grad.asSlice(0, rows * W * 4L);
        MemorySegment gateGrad = s.gateGrad.asSlice(0, rows * W * 4L);
        FloatVector one = FloatVector.broadcast(S, 1f);
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector gate = load(z, t * zStride + j);
                FloatVector g = load(dy, t * dyStride + j);
                FloatVector e = expNegative(gate.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats());
                FloatVector scale = one.div(e.add(1f));
                VectorMask<Float> positive = gate.compare(VectorOperators.GE, 0f);
                FloatVector p = e.blend(one, positive).mul(scale);
                FloatVector complement = one.blend(e, positive).mul(scale);
                g.mul(gate.mul(p)).intoMemorySegment(grad, (t * W + j) * 4L, LE);
                g.mul(p.mul(gate.fma(complement, one))).intoMemorySegment(gateGrad, (t * W + j) * 4L, LE);
            }
        }
    }

    @Override
    public void replay(ScanScratch s, int from, int to, int states, boolean bounded) {
        if (bounded) {
            replayBounded(s, from, to, states);
        } else {
            replayClamped(s, from, to, states);
        }
    }

    private static void replayBounded(ScanScratch s, int from, int to, int states) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector k1 = FloatVector.broadcast(S, C1);
        final FloatVector k2 = FloatVector.broadcast(S, C2);
        final FloatVector k3 = FloatVector.broadcast(S, C3);
        final FloatVector k4 = FloatVector.broadcast(S, C4);
        final FloatVector k5 = FloatVector.broadcast(S, C5);
        final FloatVector k6 = FloatVector.broadcast(S, C6);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        MemorySegment step = s.step.asSlice(0, to * W * 4L);
        MemorySegment drive = s.drive.asSlice(0, to * W * 4L);
        MemorySegment out = s.out.asSlice(0, to * W * 4L);
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment grad = s.grad.asSlice(0, to * W * 4L);
        MemorySegment decay = s.decay.asSlice(0, (long) to * states * W * 4);
        MemorySegment before = s.before.asSlice(0, (to + 1L) * states * W * 4);
        MemorySegment sums = s.cGrad.asSlice(0, to * states * L * 4L);
        int next = states * W;
        for (int t = from; t < to; t++) {
            int r = t * W;
            FloatVector d0 = FloatVector.fromMemorySegment(S, step, r * 4L, LE);
            FloatVector d1 = FloatVector.fromMemorySegment(S, step, (r + L) * 4L, LE);
            FloatVector d2 = FloatVector.fromMemorySegment(S, step, (r + 2 * L) * 4L, LE);
            FloatVector d3 = FloatVector.fromMemorySegment(S, step, (r + 3 * L) * 4L, LE);
            FloatVector w0 = FloatVector.fromMemorySegment(S, drive, r * 4L, LE);
            FloatVector w1 = FloatVector.fromMemorySegment(S, drive, (r + L) * 4L, LE);
            FloatVector w2 = FloatVector.fromMemorySegment(S, drive, (r + 2 * L) * 4L, LE);
            FloatVector w3 = FloatVector.fromMemorySegment(S, drive, (r + 3 * L) * 4L, LE);
            FloatVector g0 = FloatVector.fromMemorySegment(S, grad, r * 4L, LE);
            FloatVector g1 = FloatVector.fromMemorySegment(S, grad, (r + L) * 4L, LE);
            FloatVector g2 = FloatVector.fromMemorySegment(S, grad, (r + 2 * L) * 4L, LE);
            FloatVector g3 = FloatVector.fromMemorySegment(S, grad, (r + 3 * L) * 4L, LE);
            FloatVector y0 = FloatVector.zero(S);
            FloatVector y1 = FloatVector.zero(S);
            FloatVector y2 = FloatVector.zero(S);
            FloatVector y3 = FloatVector.zero(S);
            for (int n = 0; n < states; n++) {
                int i = n * W;
                int m = t * next + i;
                int q = t * states + n;
                FloatVector b = FloatVector.broadcast(S, bt.get(F32, q * 4L));
                FloatVector c = FloatVector.broadcast(S, ct.get(F32, q * 4L));
                FloatVector sum = FloatVector.fromMemorySegment(S, sums, q * L * 4L, LE);

                FloatVector a0 = FloatVector.fromMemorySegment(S, a, i * 4L, LE);
                FloatVector z0 = d0.fma(a0, magic);
                FloatVector f0 = d0.fma(a0, magic.sub(z0));
                FloatVector e0 = f0.fma(k6, k5).fma(f0, k4).fma(f0, k3).fma(f0, k2).fma(f0, k1).fma(f0, one)
                        .reinterpretAsInts().add(z0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                e0.intoMemorySegment(decay, m * 4L, LE);
                FloatVector h0 = e0.fma(FloatVector.fromMemorySegment(S, before, m * 4L, LE), w0.mul(b));
                h0.intoMemorySegment(before, (m + next) * 4L, LE);
                y0 = h0.fma(c, y0);
                sum = h0.fma(g0, sum);

                FloatVector a1 = FloatVector.fromMemorySegment(S, a, (i + L) * 4L, LE);
                FloatVector z1 = d1.fma(a1, magic);
                FloatVector f1 = d1.fma(a1, magic.sub(z1));
                FloatVector e1 = f1.fma(k6, k5).fma(f1, k4).fma(f1, k3).fma(f1, k2).fma(f1, k1).fma(f1, one)
                        .reinterpretAsInts().add(z1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                e1.intoMemorySegment(decay, (m + L) * 4L, LE);
                FloatVector h1 = e1.fma(FloatVector.fromMemorySegment(S, before, (m + L) * 4L, LE), w1.mul(b));
                h1.intoMemorySegment(before, (m + next + L) * 4L, LE);
                y1 = h1.fma(c, y1);
                sum = h1.fma(g1, sum);

                FloatVector a2 = FloatVector.fromMemorySegment(S, a, (i + 2 * L) * 4L, LE);
                FloatVector z2 = d2.fma(a2, magic);
                FloatVector f2 = d2.fma(a2, magic.sub(z2));
                FloatVector e2 = f2.fma(k6, k5).fma(f2, k4).fma(f2, k3).fma(f2, k2).fma(f2, k1).fma(f2, one)
                        .reinterpretAsInts().add(z2.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                e2.intoMemorySegment(decay, (m + 2 * L) * 4L, LE);
                FloatVector h2 = e2.fma(FloatVector.fromMemorySegment(S, before, (m + 2 * L) * 4L, LE), w2.mul(b));
                h2.intoMemorySegment(before, (m + next + 2 * L) * 4L, LE);
                y2 = h2.fma(c, y2);
                sum = h2.fma(g2, sum);

                FloatVector a3 = FloatVector.fromMemorySegment(S, a, (i + 3 * L) * 4L, LE);
                FloatVector z3 = d3.fma(a3, magic);
                FloatVector f3 = d3.fma(a3, magic.sub(z3));
                FloatVector e3 = f3.fma(k6, k5).fma(f3, k4).fma(f3, k3).fma(f3, k2).fma(f3, k1).fma(f3, one)
                        .reinterpretAsInts().add(z3.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                e3.intoMemorySegment(decay, (m + 3 * L) * 4L, LE);
                FloatVector h3 = e3.fma(FloatVector.fromMemorySegment(S, before, (m + 3 * L) * 4L, LE), w3.mul(b));
                h3.intoMemorySegment(before, (m + next + 3 * L) * 4L, LE);
                y3 = h3.fma(c, y3);
                sum = h3.fma(g3, sum);
                sum.intoMemorySegment(sums, q * L * 4L, LE);
            }
            y0.intoMemorySegment(out, r * 4L, LE);
            y1.intoMemorySegment(out, (r + L) * 4L, LE);
            y2.intoMemorySegment(out, (r + 2 * L) * 4L, LE);
            y3.intoMemorySegment(out, (r + 3 * L) * 4L, LE);
        }
    }

    private static void replayClamped(ScanScratch s, int from, int to, int states) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector k1 = FloatVector.broadcast(S, C1);
        final FloatVector k2 = FloatVector.broadcast(S, C2);
        final FloatVector k3 = FloatVector.broadcast(S, C3);
        final FloatVector k4 = FloatVector.broadcast(S, C4);
        final FloatVector k5 = FloatVector.broadcast(S, C5);
        final FloatVector k6 = FloatVector.broadcast(S, C6);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector lowest = FloatVector.broadcast(S, LOWEST);
        final FloatVector highest = FloatVector.broadcast(S, HIGHEST);
        MemorySegment step = s.step.asSlice(0, to * W * 4L);
        MemorySegment drive = s.drive.asSlice(0, to * W * 4L);
        MemorySegment out = s.out.asSlice(0, to * W * 4L);
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment grad = s.grad.asSlice(0, to * W * 4L);
        MemorySegment decay = s.decay.asSlice(0, (long) to * states * W * 4);
        MemorySegment before = s.before.asSlice(0, (to + 1L) * states * W * 4);
        MemorySegment sums = s.cGrad.asSlice(0, to * states * L * 4L);
        int next = states * W;
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector d = FloatVector.fromMemorySegment(S, step, (t * W + j) * 4L, LE);
                FloatVector w = FloatVector.fromMemorySegment(S, drive, (t * W + j) * 4L, LE);
                FloatVector g = FloatVector.fromMemorySegment(S, grad, (t * W + j) * 4L, LE);
                FloatVector y = FloatVector.zero(S);
                for (int n = 0; n < states; n++) {
                    int i = n * W + j;
                    int m = t * next + i;
                    int q = t * states + n;
                    FloatVector b = FloatVector.broadcast(S, bt.get(F32, q * 4L));
                    FloatVector c = FloatVector.broadcast(S, ct.get(F32, q * 4L));
                    FloatVector u = d.mul(FloatVector.fromMemorySegment(S, a, i * 4L, LE));
                    u = u.blend(lowest, u.compare(VectorOperators.LT, lowest));
                    u = u.blend(highest, u.compare(VectorOperators.GT, highest));
                    FloatVector z = u.add(magic);
                    FloatVector f = u.sub(z.sub(magic));
                    FloatVector e = f.fma(k6, k5).fma(f, k4).fma(f, k3).fma(f, k2).fma(f, k1).fma(f, one)
                            .reinterpretAsInts().add(z.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                    e.intoMemorySegment(decay, m * 4L, LE);
                    FloatVector h = e.fma(FloatVector.fromMemorySegment(S, before, m * 4L, LE), w.mul(b));
                    h.intoMemorySegment(before, (m + next) * 4L, LE);
                    y = h.fma(c, y);
                    h.fma(g, FloatVector.fromMemorySegment(S, sums, q * L * 4L, LE)).intoMemorySegment(sums, q * L * 4L, LE);
                }
                y.intoMemorySegment(out, (t * W + j) * 4L, LE);
            }
        }
    }

    @Override
    public void reverse(ScanScratch s, int from, int to, int states) {
        MemorySegment step = s.step.asSlice(0, to * W * 4L);
        MemorySegment drive = s.drive.asSlice(0, to * W * 4L);
        MemorySegment grad = s.grad.asSlice(0, to * W * 4L);
        MemorySegment driveGrad = s.driveGrad.asSlice(0, to * W * 4L);
        MemorySegment stepGrad = s.stepGrad.asSlice(0, to * W * 4L);
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment carry = s.carry.asSlice(0, states * W * 4L);
        MemorySegment aGrad = s.aGrad.asSlice(0, states * W * 4L);
        MemorySegment decay = s.decay.asSlice(0, (long) to * states * W * 4);
        MemorySegment before = s.before.asSlice(0, (long) to * states * W * 4);
        MemorySegment sums = s.bGrad.asSlice(0, to * states * L * 4L);
        for (int t = to - 1; t >= from; t--) {
            int r = t * W;
            FloatVector d0 = FloatVector.fromMemorySegment(S, step, r * 4L, LE);
            FloatVector d1 = FloatVector.fromMemorySegment(S, step, (r + L) * 4L, LE);
            FloatVector d2 = FloatVector.fromMemorySegment(S, step, (r + 2 * L) * 4L, LE);
            FloatVector d3 = FloatVector.fromMemorySegment(S, step, (r + 3 * L) * 4L, LE);
            FloatVector w0 = FloatVector.fromMemorySegment(S, drive, r * 4L, LE);
            FloatVector w1 = FloatVector.fromMemorySegment(S, drive, (r + L) * 4L, LE);
            FloatVector w2 = FloatVector.fromMemorySegment(S, drive, (r + 2 * L) * 4L, LE);
            FloatVector w3 = FloatVector.fromMemorySegment(S, drive, (r + 3 * L) * 4L, LE);
            FloatVector y0 = FloatVector.fromMemorySegment(S, grad, r * 4L, LE);
            FloatVector y1 = FloatVector.fromMemorySegment(S, grad, (r + L) * 4L, LE);
            FloatVector y2 = FloatVector.fromMemorySegment(S, grad, (r + 2 * L) * 4L, LE);
            FloatVector y3 = FloatVector.fromMemorySegment(S, grad, (r + 3 * L) * 4L, LE);
            FloatVector w0Grad = FloatVector.zero(S);
            FloatVector d0Grad = FloatVector.zero(S);
            FloatVector w1Grad = FloatVector.zero(S);
            FloatVector d1Grad = FloatVector.zero(S);
            FloatVector w2Grad = FloatVector.zero(S);
            FloatVector d2Grad = FloatVector.zero(S);
            FloatVector w3Grad = FloatVector.zero(S);
            FloatVector d3Grad = FloatVector.zero(S);
            for (int n = 0; n < states; n++) {
                int i = n * W;
                int m = t * states * W + i;
                int q = t * states + n;
                FloatVector b = FloatVector.broadcast(S, bt.get(F32, q * 4L));
                FloatVector c = FloatVector.broadcast(S, ct.get(F32, q * 4L));
                FloatVector sum = FloatVector.fromMemorySegment(S, sums, q * L * 4L, LE);

                FloatVector g0 = y0.fma(c, FloatVector.fromMemorySegment(S, carry, i * 4L, LE));
                sum = g0.fma(w0, sum);
                w0Grad = g0.fma(b, w0Grad);
                FloatVector p0 = g0.mul(FloatVector.fromMemorySegment(S, decay, m * 4L, LE));
                p0.intoMemorySegment(carry, i * 4L, LE);
                FloatVector q0 = p0.mul(FloatVector.fromMemorySegment(S, before, m * 4L, LE));
                d0Grad = q0.fma(FloatVector.fromMemorySegment(S, a, i * 4L, LE), d0Grad);
                q0.fma(d0, FloatVector.fromMemorySegment(S, aGrad, i * 4L, LE)).intoMemorySegment(aGrad, i * 4L, LE);

                FloatVector g1 = y1.fma(c, FloatVector.fromMemorySegment(S, carry, (i + L) * 4L, LE));
                sum = g1.fma(w1, sum);
                w1Grad = g1.fma(b, w1Grad);
                FloatVector p1 = g1.mul(FloatVector.fromMemorySegment(S, decay, (m + L) * 4L, LE));
                p1.intoMemorySegment(carry, (i + L) * 4L, LE);
                FloatVector q1 = p1.mul(FloatVector.fromMemorySegment(S, before, (m + L) * 4L, LE));
                d1Grad = q1.fma(FloatVector.fromMemorySegment(S, a, (i + L) * 4L, LE), d1Grad);
                q1.fma(d1, FloatVector.fromMemorySegment(S, aGrad, (i + L) * 4L, LE)).intoMemorySegment(aGrad, (i + L) * 4L, LE);

                FloatVector g2 = y2.fma(c, FloatVector.fromMemorySegment(S, carry, (i + 2 * L) * 4L, LE));
                sum = g2.fma(w2, sum);
                w2Grad = g2.fma(b, w2Grad);
                FloatVector p2 = g2.mul(FloatVector.fromMemorySegment(S, decay, (m + 2 * L) * 4L, LE));
                p2.intoMemorySegment(carry, (i + 2 * L) * 4L, LE);
                FloatVector q2 = p2.mul(FloatVector.fromMemorySegment(S, before, (m + 2 * L) * 4L, LE));
                d2Grad = q2.fma(FloatVector.fromMemorySegment(S, a, (i + 2 * L) * 4L, LE), d2Grad);
                q2.fma(d2, FloatVector.fromMemorySegment(S, aGrad, (i + 2 * L) * 4L, LE)).intoMemorySegment(aGrad, (i + 2 * L) * 4L, LE);

                FloatVector g3 = y3.fma(c, FloatVector.fromMemorySegment(S, carry, (i + 3 * L) * 4L, LE));
                sum = g3.fma(w3, sum);
                w3Grad = g3.fma(b, w3Grad);
                FloatVector p3 = g3.mul(FloatVector.fromMemorySegment(S, decay, (m + 3 * L) * 4L, LE));
                p3.intoMemorySegment(carry, (i + 3 * L) * 4L, LE);
                FloatVector q3 = p3.mul(FloatVector.fromMemorySegment(S, before, (m + 3 * L) * 4L, LE));
                d3Grad = q3.fma(FloatVector.fromMemorySegment(S, a, (i + 3 * L) * 4L, LE), d3Grad);
                q3.fma(d3, FloatVector.fromMemorySegment(S, aGrad, (i + 3 * L) * 4L, LE)).intoMemorySegment(aGrad, (i + 3 * L) * 4L, LE);
                sum.intoMemorySegment(sums, q * L * 4L, LE);
            }
            w0Grad.intoMemorySegment(driveGrad, r * 4L, LE);
            d0Grad.intoMemorySegment(stepGrad, r * 4L, LE);
            w1Grad.intoMemorySegment(driveGrad, (r + L) * 4L, LE);
            d1Grad.intoMemorySegment(stepGrad, (r + L) * 4L, LE);
            w2Grad.intoMemorySegment(driveGrad, (r + 2 * L) * 4L, LE);
            d2Grad.intoMemorySegment(stepGrad, (r + 2 * L) * 4L, LE);
            w3Grad.intoMemorySegment(driveGrad, (r + 3 * L) * 4L, LE);
            d3Grad.intoMemorySegment(stepGrad, (r + 3 * L) * 4L, LE);
        }
    }

    @Override
    public void finishBackward(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment du, long duStride,
            MemorySegment dDelta, long dDeltaStride, MemorySegment dz, long dzStride) {
        for (int j = 0; j < W; j += L) {
            inputGradients(s, from, to, j, u, uStride, du, duStride, dDelta, dDeltaStride);
            if (dz != null) {
                gateGradients(s, from, to, j, u, uStride, dz, dzStride);
            }
        }
    }

    private static void inputGradients(ScanScratch s, int from, int to, int j, MemorySegment u, long uStride, MemorySegment du, long duStride,
            MemorySegment dDelta, long dDeltaStride) {
        FloatVector skip = load(s.skip, j);
        FloatVector skipGrad = load(s.skipGrad, j);
        FloatVector biasGrad = load(s.biasGrad, j);
        FloatVector ln2 = FloatVector.broadcast(S, LN2);
        for (int t = from; t < to; t++) {
            FloatVector x = load(u, t * uStride + j);
            FloatVector g = load(s.grad, t * W + j);
            FloatVector w = load(s.driveGrad, t * W + j);
            // the scratch holds log2(e) A, hence ln(2)
            FloatVector d = load(s.stepGrad, t * W + j).fma(ln2, x.mul(w)).mul(load(s.slope, t * W + j));
            w.fma(load(s.step, t * W + j), g.mul(skip)).intoMemorySegment(du, (t * duStride + j) * 4L, LE);
            d.intoMemorySegment(dDelta, (t * dDeltaStride + j) * 4L, LE);
            skipGrad = g.fma(x, skipGrad);
            biasGrad = biasGrad.add(d);
        }
        skipGrad.intoMemorySegment(s.skipGrad, j * 4L, LE);
        biasGrad.intoMemorySegment(s.biasGrad, j * 4L, LE);
    }

    private static void gateGradients(ScanScratch s, int from, int to, int j, MemorySegment u, long uStride, MemorySegment dz, long dzStride) {
        FloatVector skip = load(s.skip, j);
        for (int t = from; t < to; t++) {
            FloatVector value = load(u, t * uStride + j).fma(skip, load(s.out, t * W + j));
            value.mul(load(s.gateGrad, t * W + j)).intoMemorySegment(dz, (t * dzStride + j) * 4L, LE);
        }
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
        int whole = states - states % L;
        VectorMask<Float> rest = S.indexInRange(whole, states);
        for (int e = 0; e < channels; e++) {
            FloatVector d = FloatVector.broadcast(S, s.step.getAtIndex(F32, e) * LOG2E);
            FloatVector w = FloatVector.broadcast(S, s.drive.getAtIndex(F32, e));
            FloatVector y = FloatVector.zero(S);
            long row = (long) e * states;
            for (int n = 0; n < whole; n += L) {
                FloatVector h = before == null ? FloatVector.zero(S) : load(before, row + n);
                h = advance(d.mul(load(a, row + n)), h, w.mul(load(b, n)));
                h.intoMemorySegment(after, (row + n) * 4L, LE);
                y = h.fma(load(c, n), y);
            }
            if (whole < states) {
                FloatVector h = before == null ? FloatVector.zero(S) : FloatVector.fromMemorySegment(S, before, (row + whole) * 4L, LE, rest);
                FloatVector u = d.mul(FloatVector.fromMemorySegment(S, a, (row + whole) * 4L, LE, rest));
                h = advance(u, h, w.mul(FloatVector.fromMemorySegment(S, b, whole * 4L, LE, rest)));
                h.intoMemorySegment(after, (row + whole) * 4L, LE, rest);
                y = h.fma(FloatVector.fromMemorySegment(S, c, whole * 4L, LE, rest), y);
            }
            s.out.setAtIndex(F32, e, LaneSum.of(y));
        }
    }

    /** 2^u h + input. */
    private static FloatVector advance(FloatVector exponent, FloatVector h, FloatVector input) {
        FloatVector u = exponent.blend(LOWEST, exponent.compare(VectorOperators.LT, LOWEST));
        u = u.blend(HIGHEST, u.compare(VectorOperators.GT, HIGHEST));
        FloatVector z = u.add(MAGIC);
        FloatVector f = u.sub(z.sub(MAGIC));
        FloatVector p = f.fma(FloatVector.broadcast(S, C6), FloatVector.broadcast(S, C5)).fma(f, FloatVector.broadcast(S, C4))
                .fma(f, FloatVector.broadcast(S, C3)).fma(f, FloatVector.broadcast(S, C2)).fma(f, FloatVector.broadcast(S, C1))
                .fma(f, FloatVector.broadcast(S, 1f));
        FloatVector decay = p.reinterpretAsInts().add(z.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
        return decay.fma(h, input);
    }
}
