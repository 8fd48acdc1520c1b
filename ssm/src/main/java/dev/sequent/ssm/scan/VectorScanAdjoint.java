package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The recurrences of the backward pass of {@link VectorScanTiles}. Loops have two vectors to a turn: methods with four are beyond the
 * client compiler ("out of virtual registers"), and then run in the interpreter until the server compiler is done with them.
 */
final class VectorScanAdjoint {
    private static final VectorSpecies<Float> S = VectorScanTiles.S;
    private static final ByteOrder LE = VectorScanTiles.LE;
    private static final int L = VectorScanTiles.L;
    private static final int W = VectorScanTiles.W;
    private static final float MAGIC = VectorScanTiles.MAGIC;
    private static final float C1 = VectorScanTiles.C1;
    private static final float C2 = VectorScanTiles.C2;
    private static final float C3 = VectorScanTiles.C3;
    private static final float C4 = VectorScanTiles.C4;
    private static final float C5 = VectorScanTiles.C5;
    private static final float LOWEST = VectorScanTiles.LOWEST;
    private static final float HIGHEST = VectorScanTiles.HIGHEST;
    /** Without a check of the alignment in front of every access. */
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private VectorScanAdjoint() {}

    static void replayBounded(ScanScratch s, int from, int to, StateRange range) {
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
        MemorySegment step = s.step.segment().asSlice(0, ((to - 1) * s.step.stride() + W) * 4);
        MemorySegment input = s.input.segment().asSlice(0, ((to - 1) * s.input.stride() + W) * 4);
        MemorySegment out = s.out.segment().asSlice(0, to * W * 4L);
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment grad = s.grad.segment().asSlice(0, ((to - 1) * s.grad.stride() + W) * 4);
        int stride = s.stride;
        MemorySegment decay = s.decay.asSlice(0, (long) to * states * W * 4);
        MemorySegment before = s.before.asSlice(0, (to + 1L) * states * W * 4);
        MemorySegment sums = s.cGrad.asSlice(0, to * states * L * 4L);
        long next = states * W * 4L;
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += 2 * L) {
                int r = t * W + j;
                long row = t * (states * W * 4L);
                long entry = t * (states * 4L);
                int v = t * stride + j;
                FloatVector d0 = FloatVector.fromMemorySegment(S, step, v * 4L, LE);
                FloatVector d1 = FloatVector.fromMemorySegment(S, step, (v + L) * 4L, LE);
                FloatVector w0 = d0.mul(FloatVector.fromMemorySegment(S, input, v * 4L, LE));
                FloatVector w1 = d1.mul(FloatVector.fromMemorySegment(S, input, (v + L) * 4L, LE));
                FloatVector g0 = FloatVector.fromMemorySegment(S, grad, v * 4L, LE);
                FloatVector g1 = FloatVector.fromMemorySegment(S, grad, (v + L) * 4L, LE);
                FloatVector y0 = FloatVector.fromMemorySegment(S, out, r * 4L, LE);
                FloatVector y1 = FloatVector.fromMemorySegment(S, out, (r + L) * 4L, LE);
                for (int n = first; n < end; n++) {
                    long i = j * 4L + n * (W * 4L);
                    long m = row + i;
                    long q = entry + n * 4L;
                    long sq = entry * L + n * (L * 4L);
                    FloatVector b = FloatVector.broadcast(S, bt.get(F32, q));
                    FloatVector c = FloatVector.broadcast(S, ct.get(F32, q));
                    FloatVector sum = FloatVector.fromMemorySegment(S, sums, sq, LE);

                    FloatVector a0 = FloatVector.fromMemorySegment(S, a, i, LE);
                    FloatVector z0 = d0.fma(a0, magic);
                    FloatVector f0 = d0.fma(a0, magic.sub(z0));
                    FloatVector e0 = f0.fma(k5, k4).fma(f0, k3).fma(f0, k2).fma(f0, k1).fma(f0, one)
                            .reinterpretAsInts().add(z0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                    e0.intoMemorySegment(decay, m, LE);
                    FloatVector h0 = e0.fma(FloatVector.fromMemorySegment(S, before, m, LE), w0.mul(b));
                    h0.intoMemorySegment(before, m + next, LE);
                    y0 = h0.fma(c, y0);
                    sum = h0.fma(g0, sum);

                    FloatVector a1 = FloatVector.fromMemorySegment(S, a, i + L * 4L, LE);
                    FloatVector z1 = d1.fma(a1, magic);
                    FloatVector f1 = d1.fma(a1, magic.sub(z1));
                    FloatVector e1 = f1.fma(k5, k4).fma(f1, k3).fma(f1, k2).fma(f1, k1).fma(f1, one)
                            .reinterpretAsInts().add(z1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                    e1.intoMemorySegment(decay, m + L * 4L, LE);
                    FloatVector h1 = e1.fma(FloatVector.fromMemorySegment(S, before, m + L * 4L, LE), w1.mul(b));
                    h1.intoMemorySegment(before, m + next + L * 4L, LE);
                    y1 = h1.fma(c, y1);
                    sum = h1.fma(g1, sum);
                    sum.intoMemorySegment(sums, sq, LE);
                }
                y0.intoMemorySegment(out, r * 4L, LE);
                y1.intoMemorySegment(out, (r + L) * 4L, LE);
            }
        }
    }

    static void replayClamped(ScanScratch s, int from, int to, StateRange range) {
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
        MemorySegment step = s.step.segment().asSlice(0, ((to - 1) * s.step.stride() + W) * 4);
        MemorySegment input = s.input.segment().asSlice(0, ((to - 1) * s.input.stride() + W) * 4);
        MemorySegment out = s.out.segment().asSlice(0, to * W * 4L);
        MemorySegment a = s.a.asSlice(0, states * W * 4L);
        MemorySegment bt = s.b.asSlice(0, to * states * 4L);
        MemorySegment ct = s.c.asSlice(0, to * states * 4L);
        MemorySegment grad = s.grad.segment().asSlice(0, ((to - 1) * s.grad.stride() + W) * 4);
        int stride = s.stride;
        MemorySegment decay = s.decay.asSlice(0, (long) to * states * W * 4);
        MemorySegment before = s.before.asSlice(0, (to + 1L) * states * W * 4);
        MemorySegment sums = s.cGrad.asSlice(0, to * states * L * 4L);
        int next = states * W;
        for (int t = from; t < to; t++) {
            for (int j = 0; j < W; j += L) {
                FloatVector d = FloatVector.fromMemorySegment(S, step, (t * stride + j) * 4L, LE);
                FloatVector w = d.mul(FloatVector.fromMemorySegment(S, input, (t * stride + j) * 4L, LE));
                FloatVector g = FloatVector.fromMemorySegment(S, grad, (t * stride + j) * 4L, LE);
                FloatVector y = FloatVector.fromMemorySegment(S, out, (t * W + j) * 4L, LE);
                for (int n = first; n < end; n++) {
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
                    FloatVector e = f.fma(k5, k4).fma(f, k3).fma(f, k2).fma(f, k1).fma(f, one)
                            .reinterpretAsInts().add(z.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                    e = e.blend(u, u.compare(VectorOperators.NE, u));
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

    static void reverse(ScanScratch s, int from, int to, StateRange range) {
        int states = range.count();
        int first = range.from();
        int end = range.to();
        MemorySegment step = s.step.segment().asSlice(0, ((to - 1) * s.step.stride() + W) * 4);
        MemorySegment input = s.input.segment().asSlice(0, ((to - 1) * s.input.stride() + W) * 4);
        MemorySegment grad = s.grad.segment().asSlice(0, ((to - 1) * s.grad.stride() + W) * 4);
        int stride = s.stride;
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
            for (int j = 0; j < W; j += 2 * L) {
                int r = t * W + j;
                long row = t * (states * W * 4L);
                long entry = t * (states * 4L);
                int v = t * stride + j;
                FloatVector d0 = FloatVector.fromMemorySegment(S, step, v * 4L, LE);
                FloatVector d1 = FloatVector.fromMemorySegment(S, step, (v + L) * 4L, LE);
                FloatVector w0 = d0.mul(FloatVector.fromMemorySegment(S, input, v * 4L, LE));
                FloatVector w1 = d1.mul(FloatVector.fromMemorySegment(S, input, (v + L) * 4L, LE));
                FloatVector y0 = FloatVector.fromMemorySegment(S, grad, v * 4L, LE);
                FloatVector y1 = FloatVector.fromMemorySegment(S, grad, (v + L) * 4L, LE);
                FloatVector w0Grad = FloatVector.fromMemorySegment(S, driveGrad, r * 4L, LE);
                FloatVector d0Grad = FloatVector.fromMemorySegment(S, stepGrad, r * 4L, LE);
                FloatVector w1Grad = FloatVector.fromMemorySegment(S, driveGrad, (r + L) * 4L, LE);
                FloatVector d1Grad = FloatVector.fromMemorySegment(S, stepGrad, (r + L) * 4L, LE);
                for (int n = first; n < end; n++) {
                    long i = j * 4L + n * (W * 4L);
                    long m = row + i;
                    long q = entry + n * 4L;
                    long sq = entry * L + n * (L * 4L);
                    FloatVector b = FloatVector.broadcast(S, bt.get(F32, q));
                    FloatVector c = FloatVector.broadcast(S, ct.get(F32, q));
                    FloatVector sum = FloatVector.fromMemorySegment(S, sums, sq, LE);

                    FloatVector g0 = y0.fma(c, FloatVector.fromMemorySegment(S, carry, i, LE));
                    sum = g0.fma(w0, sum);
                    w0Grad = g0.fma(b, w0Grad);
                    FloatVector p0 = g0.mul(FloatVector.fromMemorySegment(S, decay, m, LE));
                    p0.intoMemorySegment(carry, i, LE);
                    FloatVector q0 = p0.mul(FloatVector.fromMemorySegment(S, before, m, LE));
                    d0Grad = q0.fma(FloatVector.fromMemorySegment(S, a, i, LE), d0Grad);
                    q0.fma(d0, FloatVector.fromMemorySegment(S, aGrad, i, LE)).intoMemorySegment(aGrad, i, LE);

                    FloatVector g1 = y1.fma(c, FloatVector.fromMemorySegment(S, carry, i + L * 4L, LE));
                    sum = g1.fma(w1, sum);
                    w1Grad = g1.fma(b, w1Grad);
                    FloatVector p1 = g1.mul(FloatVector.fromMemorySegment(S, decay, m + L * 4L, LE));
                    p1.intoMemorySegment(carry, i + L * 4L, LE);
                    FloatVector q1 = p1.mul(FloatVector.fromMemorySegment(S, before, m + L * 4L, LE));
                    d1Grad = q1.fma(FloatVector.fromMemorySegment(S, a, i + L * 4L, LE), d1Grad);
                    q1.fma(d1, FloatVector.fromMemorySegment(S, aGrad, i + L * 4L, LE)).intoMemorySegment(aGrad, i + L * 4L, LE);
                    sum.intoMemorySegment(sums, sq, LE);
                }
                w0Grad.intoMemorySegment(driveGrad, r * 4L, LE);
                d0Grad.intoMemorySegment(stepGrad, r * 4L, LE);
                w1Grad.intoMemorySegment(driveGrad, (r + L) * 4L, LE);
                d1Grad.intoMemorySegment(stepGrad, (r + L) * 4L, LE);
            }
        }
    }
}
