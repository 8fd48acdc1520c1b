package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * What the forward pass of {@link VectorScanTiles} does once for every token and channel: step sizes and the gate.
 *
 * <p>The activations use exp(-x), x at least 0, as 2^u; see {@link VectorScanTiles}. softplus(x) = max(x, 0) + log(1 + e^-|x|), the
 * logarithm as 2 artanh(e / (2 + e)) by a minimax polynomial (4e-9), relative error below 4.5e-7 for x above -20 and 1.4e-6 above -87,
 * most of it from the rounding of log2(e) x.
 */
final class VectorScanRows {
    private static final VectorSpecies<Float> S = VectorScanTiles.S;
    private static final ByteOrder LE = VectorScanTiles.LE;
    private static final int L = VectorScanTiles.L;
    private static final int W = VectorScanTiles.W;
    private static final float MAGIC = VectorScanTiles.MAGIC;
    private static final float LOG2E = VectorScanTiles.LOG2E;
    private static final float C1 = VectorScanTiles.C1;
    private static final float C2 = VectorScanTiles.C2;
    private static final float C3 = VectorScanTiles.C3;
    private static final float C4 = VectorScanTiles.C4;
    private static final float C5 = VectorScanTiles.C5;
    // artanh(s) 2 / s in s^2 on [0, 1/9]
    static final float A1 = 0.66666317f;
    static final float A2 = 0.4002491f;
    static final float A3 = 0.279606f;
    static final float A4 = 0.28178334f;

    private static final VectorSpecies<Integer> SI = IntVector.SPECIES_PREFERRED;
    private static final int MAGNITUDE = VectorScanTiles.MAGNITUDE;
    private static final int LARGEST_EXPONENT = VectorScanTiles.LARGEST_EXPONENT;

    private VectorScanRows() {}

    /** Largest magnitude, NaN if one is NaN. */
    static float largest(int rows, MemorySegment x, long stride) {
        MemorySegment source = x.asSlice(0, ((rows - 1) * stride + W) * 4);
        int distance = (int) stride;
        IntVector m0 = IntVector.zero(SI);
        IntVector m1 = m0;
        IntVector m2 = m0;
        IntVector m3 = m0;
        for (int t = 0; t < rows; t++) {
            int r = t * distance;
            m0 = m0.max(FloatVector.fromMemorySegment(S, source, r * 4L, LE).reinterpretAsInts().and(MAGNITUDE));
            m1 = m1.max(FloatVector.fromMemorySegment(S, source, (r + L) * 4L, LE).reinterpretAsInts().and(MAGNITUDE));
            m2 = m2.max(FloatVector.fromMemorySegment(S, source, (r + 2 * L) * 4L, LE).reinterpretAsInts().and(MAGNITUDE));
            m3 = m3.max(FloatVector.fromMemorySegment(S, source, (r + 3 * L) * 4L, LE).reinterpretAsInts().and(MAGNITUDE));
        }
        return Float.intBitsToFloat(m0.max(m1).max(m2.max(m3)).reduceLanes(VectorOperators.MAX));
    }

    static void plainSteps(ScanScratch s, int rows, int columns) {
        MemorySegment step = s.steps.asSlice(0, ((rows - 1L) * s.stride + columns) * 4);
        MemorySegment bias = s.bias.asSlice(0, columns * 4L);
        int stride = s.stride;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j += L) {
                int r = t * stride + j;
                FloatVector.fromMemorySegment(S, step, r * 4L, LE).add(FloatVector.fromMemorySegment(S, bias, j * 4L, LE))
                        .intoMemorySegment(step, r * 4L, LE);
            }
        }
    }

    static void softplusSteps(ScanScratch s, int rows, int columns) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        final FloatVector a1 = FloatVector.broadcast(S, A1);
        final FloatVector a2 = FloatVector.broadcast(S, A2);
        final FloatVector a3 = FloatVector.broadcast(S, A3);
        final FloatVector a4 = FloatVector.broadcast(S, A4);
        final FloatVector two = FloatVector.broadcast(S, 2f);
        MemorySegment step = s.steps.asSlice(0, ((rows - 1L) * s.stride + columns) * 4);
        MemorySegment bias = s.bias.asSlice(0, columns * 4L);
        int stride = s.stride;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j += 2 * L) {
                int r = t * stride + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, step, r * 4L, LE)
                        .add(FloatVector.fromMemorySegment(S, bias, j * 4L, LE));
                FloatVector p0 = x0.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats();
                FloatVector m0 = p0.reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c5, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector q0 = e0.div(e0.add(two));
                FloatVector s0 = q0.mul(q0);
                FloatVector l0 = s0.fma(a4, a3).fma(s0, a2).fma(s0, a1).fma(s0, two);
                FloatVector x1 = FloatVector.fromMemorySegment(S, step, (r + L) * 4L, LE)
                        .add(FloatVector.fromMemorySegment(S, bias, (j + L) * 4L, LE));
                FloatVector p1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats();
                FloatVector m1 = p1.reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c5, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector q1 = e1.div(e1.add(two));
                FloatVector s1 = q1.mul(q1);
                FloatVector l1 = s1.fma(a4, a3).fma(s1, a2).fma(s1, a1).fma(s1, two);
                // (x + |x|) / 2 is max(x, 0), and keeps a NaN
                q0.fma(l0, x0.add(p0).mul(0.5f)).intoMemorySegment(step, r * 4L, LE);
                q1.fma(l1, x1.add(p1).mul(0.5f)).intoMemorySegment(step, (r + L) * 4L, LE);
            }
        }
    }

    /** out SiLU(z). */
    static void gate(ScanScratch s, int rows, int columns) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        MemorySegment out = s.outs.asSlice(0, ((rows - 1L) * s.stride + columns) * 4);
        MemorySegment gates = s.gates.asSlice(0, ((rows - 1L) * s.stride + columns) * 4);
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
                FloatVector p0 = e0.blend(one, x0.compare(VectorOperators.GE, 0f)).div(e0.add(one));
                FloatVector x1 = FloatVector.fromMemorySegment(S, gates, (r + L) * 4L, LE);
                FloatVector m1 = x1.reinterpretAsInts().and(MAGNITUDE).reinterpretAsFloats()
                        .reinterpretAsInts().min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c5, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p1 = e1.blend(one, x1.compare(VectorOperators.GE, 0f)).div(e1.add(one));
                FloatVector v0 = FloatVector.fromMemorySegment(S, out, r * 4L, LE);
                v0.mul(x0.mul(p0)).intoMemorySegment(out, r * 4L, LE);
                FloatVector v1 = FloatVector.fromMemorySegment(S, out, (r + L) * 4L, LE);
                v1.mul(x1.mul(p1)).intoMemorySegment(out, (r + L) * 4L, LE);
            }
        }
    }
}
