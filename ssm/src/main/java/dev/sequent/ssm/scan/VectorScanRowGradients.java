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
    private static final int MAGNITUDE = VectorScanTiles.MAGNITUDE;
    private static final int LARGEST_EXPONENT = VectorScanTiles.LARGEST_EXPONENT;

    private VectorScanRowGradients() {}

    /** Step sizes, and their derivative by delta: the logistic function. */
    static void softplusSlopes(ScanScratch s, int rows, int columns) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        final FloatVector a1 = FloatVector.broadcast(S, VectorScanRows.A1);
        final FloatVector a2 = FloatVector.broadcast(S, VectorScanRows.A2);
        final FloatVector a3 = FloatVector.broadcast(S, VectorScanRows.A3);
        final FloatVector a4 = FloatVector.broadcast(S, VectorScanRows.A4);
        final FloatVector two = FloatVector.broadcast(S, 2f);
        MemorySegment step = s.steps.asSlice(0, ((rows - 1L) * s.stride + columns) * 4);
        MemorySegment slope = s.slopes.asSlice(0, ((rows - 1L) * s.stride + columns) * 4);
        MemorySegment bias = s.bias.asSlice(0, columns * 4L);
        int stride = s.stride;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j += 2 * L) {
                int r = t * stride + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, step, r * 4L, LE)
                        .add(FloatVector.fromMemorySegment(S, bias, j * 4L, LE));
                FloatVector b0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats();
                FloatVector m0 = b0.reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c5, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p0 = e0.blend(one, x0.compare(VectorOperators.GE, 0f)).div(e0.add(one));
                p0.intoMemorySegment(slope, r * 4L, LE);
                FloatVector q0 = e0.div(e0.add(two));
                FloatVector s0 = q0.mul(q0);
                FloatVector l0 = s0.fma(a4, a3).fma(s0, a2).fma(s0, a1).fma(s0, two);
                q0.fma(l0, x0.add(b0).mul(0.5f)).intoMemorySegment(step, r * 4L, LE);
                FloatVector x1 = FloatVector.fromMemorySegment(S, step, (r + L) * 4L, LE)
                        .add(FloatVector.fromMemorySegment(S, bias, (j + L) * 4L, LE));
                FloatVector b1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats();
                FloatVector m1 = b1.reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c5, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p1 = e1.blend(one, x1.compare(VectorOperators.GE, 0f)).div(e1.add(one));
                p1.intoMemorySegment(slope, (r + L) * 4L, LE);
                FloatVector q1 = e1.div(e1.add(two));
                FloatVector s1 = q1.mul(q1);
                FloatVector l1 = s1.fma(a4, a3).fma(s1, a2).fma(s1, a1).fma(s1, two);
                q1.fma(l1, x1.add(b1).mul(0.5f)).intoMemorySegment(step, (r + L) * 4L, LE);
            }
        }
    }

    /** SiLU(z) = z p with p the logistic function, and SiLU'(z) = p (1 + z (1 - p)). */
    static void gateSlopes(ScanScratch s, int rows, int columns) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        MemorySegment gates = s.gates.asSlice(0, ((rows - 1L) * s.stride + columns) * 4);
        MemorySegment grad = s.grads.asSlice(0, ((rows - 1L) * s.stride + columns) * 4);
        int stride = s.stride;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j += 2 * L) {
                int r = t * stride + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, gates, r * 4L, LE);
                FloatVector m0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats()
                        .reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c5, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
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
                FloatVector e1 = f1.fma(c5, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector n1 = one.div(e1.add(one));
                VectorMask<Float> b1 = x1.compare(VectorOperators.GE, 0f);
                FloatVector p1 = e1.blend(one, b1).mul(n1);
                FloatVector o1 = one.blend(e1, b1).mul(n1);
                FloatVector g0 = FloatVector.fromMemorySegment(S, grad, r * 4L, LE);
                g0.mul(x0.mul(p0)).intoMemorySegment(grad, r * 4L, LE);
                g0.mul(p0.mul(x0.fma(o0, one))).intoMemorySegment(gates, r * 4L, LE);
                FloatVector g1 = FloatVector.fromMemorySegment(S, grad, (r + L) * 4L, LE);
                g1.mul(x1.mul(p1)).intoMemorySegment(grad, (r + L) * 4L, LE);
                g1.mul(p1.mul(x1.fma(o1, one))).intoMemorySegment(gates, (r + L) * 4L, LE);
            }
        }
    }

    static void inputGradients(ScanScratch s, int from, int to) {
        FloatVector ln2 = FloatVector.broadcast(S, LN2);
        MemorySegment input = s.input.segment().asSlice(0, ((to - 1) * s.input.stride() + W) * 4);
        MemorySegment step = s.step.segment().asSlice(0, ((to - 1) * s.step.stride() + W) * 4);
        MemorySegment slope = s.slope.segment().asSlice(0, ((to - 1) * s.slope.stride() + W) * 4);
        MemorySegment grad = s.grad.segment().asSlice(0, ((to - 1) * s.grad.stride() + W) * 4);
        MemorySegment driveGrad = s.driveGrad.asSlice(0, to * W * 4L);
        MemorySegment stepGrad = s.stepGrad.asSlice(0, to * W * 4L);
        int stride = s.stride;
        for (int j = 0; j < W; j += L) {
            FloatVector skip = FloatVector.fromMemorySegment(S, s.skip, j * 4L, LE);
            FloatVector skipGrad = FloatVector.fromMemorySegment(S, s.skipGrad, j * 4L, LE);
            FloatVector biasGrad = FloatVector.fromMemorySegment(S, s.biasGrad, j * 4L, LE);
            for (int t = from; t < to; t++) {
                int i = t * W + j;
                int r = t * stride + j;
                FloatVector x = FloatVector.fromMemorySegment(S, input, r * 4L, LE);
                FloatVector g = FloatVector.fromMemorySegment(S, grad, r * 4L, LE);
                FloatVector w = FloatVector.fromMemorySegment(S, driveGrad, i * 4L, LE);
                // the scratch holds log2(e) A, hence ln(2)
                FloatVector d = FloatVector.fromMemorySegment(S, stepGrad, i * 4L, LE).fma(ln2, x.mul(w))
                        .mul(FloatVector.fromMemorySegment(S, slope, r * 4L, LE));
                w.fma(FloatVector.fromMemorySegment(S, step, r * 4L, LE), g.mul(skip)).intoMemorySegment(input, r * 4L, LE);
                d.intoMemorySegment(step, r * 4L, LE);
                skipGrad = g.fma(x, skipGrad);
                biasGrad = biasGrad.add(d);
            }
            skipGrad.intoMemorySegment(s.skipGrad, j * 4L, LE);
            biasGrad.intoMemorySegment(s.biasGrad, j * 4L, LE);
        }
    }

    /** (out + D u) SiLU'(z) dy. */
    static void gateGradients(ScanScratch s, int from, int to) {
        MemorySegment input = s.input.segment().asSlice(0, ((to - 1) * s.input.stride() + W) * 4);
        MemorySegment gate = s.gate.segment().asSlice(0, ((to - 1) * s.gate.stride() + W) * 4);
        MemorySegment out = s.out.segment().asSlice(0, to * W * 4L);
        MemorySegment skip = s.skip.asSlice(0, W * 4L);
        int stride = s.stride;
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += L) {
                int r = t * stride + j;
                FloatVector value = FloatVector.fromMemorySegment(S, input, r * 4L, LE)
                        .fma(FloatVector.fromMemorySegment(S, skip, j * 4L, LE),
                                FloatVector.fromMemorySegment(S, out, (t * W + j) * 4L, LE));
                value.mul(FloatVector.fromMemorySegment(S, gate, r * 4L, LE)).intoMemorySegment(gate, r * 4L, LE);
            }
        }
    }
}
