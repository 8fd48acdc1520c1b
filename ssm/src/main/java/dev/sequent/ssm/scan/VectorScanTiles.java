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
 * <p>The exponentials are written out where they are used, and loops that use them have two or four vectors to a turn: the compiler inlines neither
 * helpers into loops of this size nor methods of this size into their callers, and where it does for smaller ones the loops run at a quarter of the speed.
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
        if (softplus) {
            softplusSteps(s, rows, delta, deltaStride);
        } else {
            plainSteps(s, rows, delta, deltaStride);
        }
        return drives(s, rows, u, uStride);
    }

    private static void plainSteps(ScanScratch s, int rows, MemorySegment delta, long deltaStride) {
        MemorySegment step = s.step.asSlice(0, rows * W * 4L);
        for (int j = 0; j < W; j += L) {
            FloatVector bias = load(s.bias, j);
            for (int t = 0; t < rows; t++) {
                load(delta, t * deltaStride + j).add(bias).intoMemorySegment(step, (t * W + j) * 4L, LE);
            }
        }
    }

    private static void softplusSteps(ScanScratch s, int rows, MemorySegment delta, long deltaStride) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        final FloatVector c6 = FloatVector.broadcast(S, C6);
        final FloatVector a1 = FloatVector.broadcast(S, A1);
        final FloatVector a2 = FloatVector.broadcast(S, A2);
        final FloatVector a3 = FloatVector.broadcast(S, A3);
        final FloatVector a4 = FloatVector.broadcast(S, A4);
        final FloatVector two = FloatVector.broadcast(S, 2f);
        MemorySegment source = delta.asSlice(0, ((rows - 1) * deltaStride + W) * 4);
        MemorySegment step = s.step.asSlice(0, rows * W * 4L);
        MemorySegment bias = s.bias.asSlice(0, W * 4L);
        int stride = (int) deltaStride;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += 2 * L) {
                int r = t * stride + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, source, r * 4L, LE).add(FloatVector.fromMemorySegment(S, bias, j * 4L, LE));
                FloatVector p0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats();
                FloatVector m0 = p0.reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c6, c5).fma(f0, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector q0 = e0.div(e0.add(two));
                FloatVector s0 = q0.mul(q0);
                FloatVector l0 = s0.fma(a4, a3).fma(s0, a2).fma(s0, a1).fma(s0, two);
                FloatVector x1 = FloatVector.fromMemorySegment(S, source, (r + L) * 4L, LE).add(FloatVector.fromMemorySegment(S, bias, (j + L) * 4L, LE));
                FloatVector p1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats();
                FloatVector m1 = p1.reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c6, c5).fma(f1, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector q1 = e1.div(e1.add(two));
                FloatVector s1 = q1.mul(q1);
                FloatVector l1 = s1.fma(a4, a3).fma(s1, a2).fma(s1, a1).fma(s1, two);
                // (x + |x|) / 2 is max(x, 0), and keeps a NaN
                q0.fma(l0, x0.add(p0).mul(0.5f)).intoMemorySegment(step, (t * W + j) * 4L, LE);
                q1.fma(l1, x1.add(p1).mul(0.5f)).intoMemorySegment(step, (t * W + j + L) * 4L, LE);
            }
        }
    }

    private static float drives(ScanScratch s, int rows, MemorySegment u, long uStride) {
        MemorySegment step = s.step.asSlice(0, rows * W * 4L);
        MemorySegment drive = s.drive.asSlice(0, rows * W * 4L);
        IntVector largest = IntVector.zero(SI);
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector d = load(step, t * W + j);
                largest = largest.max(d.reinterpretAsInts().and(MAGNITUDE));
                d.mul(load(u, t * uStride + j)).intoMemorySegment(drive, (t * W + j) * 4L, LE);
            }
        }
        return Float.intBitsToFloat(largest.reduceLanes(VectorOperators.MAX));
    }

    private static FloatVector load(MemorySegment source, long index) {
        return FloatVector.fromMemorySegment(S, source, index * 4L, LE);
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
        finishPlain(s, from, to, u, uStride, z == null ? y : s.out, z == null ? yStride : W);
        if (z != null) {
            finishGated(s, from, to, z, zStride, y, yStride);
        }
    }

    /** out + D u. */
    private static void finishPlain(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment y, long yStride) {
        MemorySegment out = s.out.asSlice(0, to * W * 4L);
        MemorySegment skip = s.skip.asSlice(0, W * 4L);
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector value = load(u, t * uStride + j).fma(load(skip, j), load(out, t * W + j));
                value.intoMemorySegment(y, (t * yStride + j) * 4L, LE);
            }
        }
    }

    /** out SiLU(z). */
    private static void finishGated(ScanScratch s, int from, int to, MemorySegment z, long zStride, MemorySegment y, long yStride) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        final FloatVector c6 = FloatVector.broadcast(S, C6);
        MemorySegment out = s.out.asSlice(0, to * W * 4L);
        MemorySegment gates = z.asSlice(0, ((to - 1) * zStride + W) * 4);
        MemorySegment target = y.asSlice(0, ((to - 1) * yStride + W) * 4);
        int stride = (int) zStride;
        int targetStride = (int) yStride;
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += 2 * L) {
                int r = t * stride + j;
                int w = t * targetStride + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, gates, r * 4L, LE);
                FloatVector m0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats().reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c6, c5).fma(f0, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p0 = e0.blend(one, x0.compare(VectorOperators.GE, 0f)).div(e0.add(one));
                FloatVector x1 = FloatVector.fromMemorySegment(S, gates, (r + L) * 4L, LE);
                FloatVector m1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats().reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c6, c5).fma(f1, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p1 = e1.blend(one, x1.compare(VectorOperators.GE, 0f)).div(e1.add(one));
                FloatVector v0 = FloatVector.fromMemorySegment(S, out, (t * W + j) * 4L, LE);
                v0.mul(x0.mul(p0)).intoMemorySegment(target, w * 4L, LE);
                FloatVector v1 = FloatVector.fromMemorySegment(S, out, (t * W + j + L) * 4L, LE);
                v1.mul(x1.mul(p1)).intoMemorySegment(target, (w + L) * 4L, LE);
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

    /** Derivative of the step size by delta: the logistic function, or 1. */
    private static void slopes(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride) {
        if (softplus) {
            softplusSlopes(s, rows, delta, deltaStride);
        } else {
            for (int i = 0; i < rows * W; i += L) {
                FloatVector.broadcast(S, 1f).intoMemorySegment(s.slope, i * 4L, LE);
            }
        }
    }

    private static void softplusSlopes(ScanScratch s, int rows, MemorySegment delta, long deltaStride) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        final FloatVector c6 = FloatVector.broadcast(S, C6);
        MemorySegment source = delta.asSlice(0, ((rows - 1) * deltaStride + W) * 4);
        MemorySegment slope = s.slope.asSlice(0, rows * W * 4L);
        MemorySegment bias = s.bias.asSlice(0, W * 4L);
        int stride = (int) deltaStride;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += 2 * L) {
                int r = t * stride + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, source, r * 4L, LE).add(FloatVector.fromMemorySegment(S, bias, j * 4L, LE));
                FloatVector m0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats().reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c6, c5).fma(f0, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p0 = e0.blend(one, x0.compare(VectorOperators.GE, 0f)).div(e0.add(one));
                FloatVector x1 = FloatVector.fromMemorySegment(S, source, (r + L) * 4L, LE).add(FloatVector.fromMemorySegment(S, bias, (j + L) * 4L, LE));
                FloatVector m1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats().reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c6, c5).fma(f1, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p1 = e1.blend(one, x1.compare(VectorOperators.GE, 0f)).div(e1.add(one));
                p0.intoMemorySegment(slope, (t * W + j) * 4L, LE);
                p1.intoMemorySegment(slope, (t * W + j + L) * 4L, LE);
            }
        }
    }

    /** SiLU(z) = z p with p the logistic function, and SiLU'(z) = p (1 + z (1 - p)). */
    private static void gates(ScanScratch s, int rows, MemorySegment z, long zStride, MemorySegment dy, long dyStride) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        final FloatVector c6 = FloatVector.broadcast(S, C6);
        MemorySegment gates = z.asSlice(0, ((rows - 1) * zStride + W) * 4);
        MemorySegment source = dy.asSlice(0, ((rows - 1) * dyStride + W) * 4);
        MemorySegment grad = s.grad.asSlice(0, rows * W * 4L);
        MemorySegment gateGrad = s.gateGrad.asSlice(0, rows * W * 4L);
        int stride = (int) zStride;
        int sourceStride = (int) dyStride;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += 2 * L) {
                int r = t * stride + j;
                int q = t * sourceStride + j;
                int w = t * W + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, gates, r * 4L, LE);
                FloatVector m0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats().reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c6, c5).fma(f0, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector n0 = one.div(e0.add(one));
                VectorMask<Float> b0 = x0.compare(VectorOperators.GE, 0f);
                FloatVector p0 = e0.blend(one, b0).mul(n0);
                FloatVector o0 = one.blend(e0, b0).mul(n0);
                FloatVector x1 = FloatVector.fromMemorySegment(S, gates, (r + L) * 4L, LE);
                FloatVector m1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats().reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c6, c5).fma(f1, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector n1 = one.div(e1.add(one));
                VectorMask<Float> b1 = x1.compare(VectorOperators.GE, 0f);
                FloatVector p1 = e1.blend(one, b1).mul(n1);
                FloatVector o1 = one.blend(e1, b1).mul(n1);
                FloatVector g0 = FloatVector.fromMemorySegment(S, source, q * 4L, LE);
                g0.mul(x0.mul(p0)).intoMemorySegment(grad, w * 4L, LE);
                g0.mul(p0.mul(x0.fma(o0, one))).intoMemorySegment(gateGrad, w * 4L, LE);
                FloatVector g1 = FloatVector.fromMemorySegment(S, source, (q + L) * 4L, LE);
                g1.mul(x1.mul(p1)).intoMemorySegment(grad, (w + L) * 4L, LE);
                g1.mul(p1.mul(x1.fma(o1, one))).intoMemorySegment(gateGrad, (w + L) * 4L, LE);
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
        if (dz != null) {
            gateGradients(s, from, to, u, uStride, dz, dzStride);
        }
        inputGradients(s, from, to, u, uStride, du, duStride, dDelta, dDeltaStride);
    }

    private static void inputGradients(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment du, long duStride,
            MemorySegment dDelta, long dDeltaStride) {
        FloatVector ln2 = FloatVector.broadcast(S, LN2);
        MemorySegment input = u.asSlice(0, ((to - 1) * uStride + W) * 4);
        MemorySegment inputGrad = du.asSlice(0, ((to - 1) * duStride + W) * 4);
        MemorySegment deltaGrad = dDelta.asSlice(0, ((to - 1) * dDeltaStride + W) * 4);
        MemorySegment step = s.step.asSlice(0, to * W * 4L);
        MemorySegment slope = s.slope.asSlice(0, to * W * 4L);
        MemorySegment grad = s.grad.asSlice(0, to * W * 4L);
        MemorySegment driveGrad = s.driveGrad.asSlice(0, to * W * 4L);
        MemorySegment stepGrad = s.stepGrad.asSlice(0, to * W * 4L);
        int stride = (int) uStride;
        int inputStride = (int) duStride;
        int deltaStride = (int) dDeltaStride;
        for (int j = 0; j < W; j += 2 * L) {
            FloatVector skip0 = load(s.skip, j);
            FloatVector skipGrad0 = load(s.skipGrad, j);
            FloatVector biasGrad0 = load(s.biasGrad, j);
            FloatVector skip1 = load(s.skip, j + L);
            FloatVector skipGrad1 = load(s.skipGrad, j + L);
            FloatVector biasGrad1 = load(s.biasGrad, j + L);
            for (int t = from; t < to; t++) {
                int i = t * W + j;
                int r = t * stride + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, input, r * 4L, LE);
                FloatVector g0 = FloatVector.fromMemorySegment(S, grad, i * 4L, LE);
                FloatVector w0 = FloatVector.fromMemorySegment(S, driveGrad, i * 4L, LE);
                FloatVector x1 = FloatVector.fromMemorySegment(S, input, (r + L) * 4L, LE);
                FloatVector g1 = FloatVector.fromMemorySegment(S, grad, (i + L) * 4L, LE);
                FloatVector w1 = FloatVector.fromMemorySegment(S, driveGrad, (i + L) * 4L, LE);
                // the scratch holds log2(e) A, hence ln(2)
                FloatVector d0 = FloatVector.fromMemorySegment(S, stepGrad, i * 4L, LE).fma(ln2, x0.mul(w0)).mul(FloatVector.fromMemorySegment(S, slope, i * 4L, LE));
                FloatVector v0 = w0.fma(FloatVector.fromMemorySegment(S, step, i * 4L, LE), g0.mul(skip0));
                v0.intoMemorySegment(inputGrad, (t * inputStride + j) * 4L, LE);
                d0.intoMemorySegment(deltaGrad, (t * deltaStride + j) * 4L, LE);
                skipGrad0 = g0.fma(x0, skipGrad0);
                biasGrad0 = biasGrad0.add(d0);
                FloatVector d1 = FloatVector.fromMemorySegment(S, stepGrad, (i + L) * 4L, LE).fma(ln2, x1.mul(w1)).mul(FloatVector.fromMemorySegment(S, slope, (i + L) * 4L, LE));
                FloatVector v1 = w1.fma(FloatVector.fromMemorySegment(S, step, (i + L) * 4L, LE), g1.mul(skip1));
                v1.intoMemorySegment(inputGrad, (t * inputStride + j + L) * 4L, LE);
                d1.intoMemorySegment(deltaGrad, (t * deltaStride + j + L) * 4L, LE);
                skipGrad1 = g1.fma(x1, skipGrad1);
                biasGrad1 = biasGrad1.add(d1);
            }
            skipGrad0.intoMemorySegment(s.skipGrad, j * 4L, LE);
            biasGrad0.intoMemorySegment(s.biasGrad, j * 4L, LE);
            skipGrad1.intoMemorySegment(s.skipGrad, (j + L) * 4L, LE);
            biasGrad1.intoMemorySegment(s.biasGrad, (j + L) * 4L, LE);
        }
    }

    private static void gateGradients(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment dz, long dzStride) {
        MemorySegment out = s.out.asSlice(0, to * W * 4L);
        MemorySegment gateGrad = s.gateGrad.asSlice(0, to * W * 4L);
        MemorySegment skip = s.skip.asSlice(0, W * 4L);
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector value = load(u, t * uStride + j).fma(load(skip, j), load(out, t * W + j));
                value.mul(load(gateGrad, t * W + j)).intoMemorySegment(dz, (t * dzStride + j) * 4L, LE);
            }
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
