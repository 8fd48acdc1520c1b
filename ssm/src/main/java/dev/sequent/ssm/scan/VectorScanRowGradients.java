package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * What the backward pass of {@link VectorScanTiles} does once for every token and channel: derivatives of the activations, D and the
 * gate.
 */
final class VectorScanRowGradients {
    private static final VectorSpecies<Float> S = VectorScanTiles.S;
    private static final ByteOrder LE = VectorScanTiles.LE;
    private static final int L = VectorScanTiles.L;
    private static final int W = VectorScanTiles.W;
    private static final float MAGIC = VectorScanTiles.MAGIC;
    private static final float LOG2E = VectorScanTiles.LOG2E;
    private static final float LN2 = 0.69314718055994530942f;
    private static final float C1 = VectorScanTiles.C1;
    private static final float C2 = VectorScanTiles.C2;
    private static final float C3 = VectorScanTiles.C3;
    private static final float C4 = VectorScanTiles.C4;
    private static final float C5 = VectorScanTiles.C5;
    private static final float C6 = VectorScanTiles.C6;
    private static final int MAGNITUDE = VectorScanTiles.MAGNITUDE;
    private static final int LARGEST_EXPONENT = VectorScanTiles.LARGEST_EXPONENT;

    private VectorScanRowGradients() {}

    private static FloatVector load(MemorySegment source, long index) {
        return FloatVector.fromMemorySegment(S, source, index * 4L, LE);
    }

    /** Copies rows of the output's gradient. */
    static void copy(ScanScratch s, int rows, MemorySegment dy, long dyStride) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < W; j += L) {
                load(dy, t * dyStride + j).intoMemorySegment(s.grad, (t * W + j) * 4L, LE);
            }
        }
    }

    /** Derivative of the step size by delta: the logistic function, or 1. */
    static void slopes(ScanScratch s, int rows, boolean softplus, MemorySegment delta, long deltaStride) {
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
                FloatVector x0 = FloatVector.fromMemorySegment(S, source, r * 4L, LE)
                        .add(FloatVector.fromMemorySegment(S, bias, j * 4L, LE));
                FloatVector m0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats()
                        .reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c6, c5).fma(f0, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p0 = e0.blend(one, x0.compare(VectorOperators.GE, 0f)).div(e0.add(one));
                FloatVector x1 = FloatVector.fromMemorySegment(S, source, (r + L) * 4L, LE)
                        .add(FloatVector.fromMemorySegment(S, bias, (j + L) * 4L, LE));
                FloatVector m1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats()
                        .reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
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
    static void gates(ScanScratch s, int rows, MemorySegment z, long zStride, MemorySegment dy, long dyStride) {
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
                FloatVector m0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats()
                        .reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c6, c5).fma(f0, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector n0 = one.div(e0.add(one));
                VectorMask<Float> b0 = x0.compare(VectorOperators.GE, 0f);
                FloatVector p0 = e0.blend(one, b0).mul(n0);
                FloatVector o0 = one.blend(e0, b0).mul(n0);
                FloatVector x1 = FloatVector.fromMemorySegment(S, gates, (r + L) * 4L, LE);
                FloatVector m1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats()
                        .reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
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

    static void inputGradients(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment du, long duStride,
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
                FloatVector d0 = FloatVector.fromMemorySegment(S, stepGrad, i * 4L, LE).fma(ln2, x0.mul(w0))
                        .mul(FloatVector.fromMemorySegment(S, slope, i * 4L, LE));
                FloatVector v0 = w0.fma(FloatVector.fromMemorySegment(S, step, i * 4L, LE), g0.mul(skip0));
                v0.intoMemorySegment(inputGrad, (t * inputStride + j) * 4L, LE);
                d0.intoMemorySegment(deltaGrad, (t * deltaStride + j) * 4L, LE);
                skipGrad0 = g0.fma(x0, skipGrad0);
                biasGrad0 = biasGrad0.add(d0);
                FloatVector d1 = FloatVector.fromMemorySegment(S, stepGrad, (i + L) * 4L, LE).fma(ln2, x1.mul(w1))
                        .mul(FloatVector.fromMemorySegment(S, slope, (i + L) * 4L, LE));
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

    static void gateGradients(ScanScratch s, int from, int to, MemorySegment u, long uStride, MemorySegment dz, long dzStride) {
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
}
