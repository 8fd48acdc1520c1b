package dev.sequent.fused.conv;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of the causal convolution in vector instructions; lanes are channels, two vectors to a turn.
 *
 * <p>e^-|x| is 2^(k + f) with k = round(-|x| log2(e)) and a minimax polynomial of degree 6 for 2^f, exactly 1 at 0, relative error 1 ulp
 * and |x| 2^-24. It is written out where it is used: the compiler does not inline helpers into loops of this size.
 */
final class ConvTilesVector implements ConvTiles {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int L = S.length();
    /** 1.5 2^23: adding it rounds a number below 2^22 to an integer, which then stands in the lowest bits. */
    private static final float MAGIC = 12582912f;
    private static final float LOG2E = 1.44269504088896340736f;
    private static final float C1 = 0.6931472149680372f;
    private static final float C2 = 0.24022652782875056f;
    private static final float C3 = 0.05550310551000378f;
    private static final float C4 = 0.00961769297504919f;
    private static final float C5 = 0.0013406643903511178f;
    private static final float C6 = 0.00015594677500509606f;
    private static final int MAGNITUDE = 0x7fffffff;
    /** e^-x stays above 2^-126 up to here. */
    private static final int LARGEST_EXPONENT = Float.floatToRawIntBits(87.3f);

    private static MemorySegment head(MemorySegment s, int rows) {
        return s.asSlice(0, rows * WIDTH * 4L);
    }

    @Override
    public void move(int rows, MemorySegment source, long sourceStride, MemorySegment target, long targetStride) {
        for (int i = 0; i < rows; i++) {
            MemorySegment from = source.asSlice(i * sourceStride * 4, WIDTH * 4L);
            MemorySegment to = target.asSlice(i * targetStride * 4, WIDTH * 4L);
            for (int j = 0; j < WIDTH; j += L) {
                FloatVector.fromMemorySegment(S, from, j * 4L, LITTLE_ENDIAN).intoMemorySegment(to, j * 4L, LITTLE_ENDIAN);
            }
        }
    }

    @Override
    public void forward(int rows, int count, boolean silu, MemorySegment window, MemorySegment taps, MemorySegment bias,
            MemorySegment out) {
        sums(rows, count, window, taps, bias, out);
        if (silu) {
            activate(rows, out);
        }
    }

    private static void sums(int rows, int count, MemorySegment window, MemorySegment taps, MemorySegment bias, MemorySegment out) {
        MemorySegment x = head(window, rows + count - 1);
        MemorySegment w = head(taps, count);
        MemorySegment y = head(out, rows);
        MemorySegment b = head(bias, 1);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < WIDTH; j += 2 * L) {
                FloatVector sum0 = FloatVector.fromMemorySegment(S, b, j * 4L, LITTLE_ENDIAN);
                FloatVector sum1 = FloatVector.fromMemorySegment(S, b, (j + L) * 4L, LITTLE_ENDIAN);
                for (int k = 0; k < count; k++) {
                    int tap = k * WIDTH + j;
                    int from = (i + k) * WIDTH + j;
                    sum0 = FloatVector.fromMemorySegment(S, w, tap * 4L, LITTLE_ENDIAN)
                            .fma(FloatVector.fromMemorySegment(S, x, from * 4L, LITTLE_ENDIAN), sum0);
                    sum1 = FloatVector.fromMemorySegment(S, w, (tap + L) * 4L, LITTLE_ENDIAN)
                            .fma(FloatVector.fromMemorySegment(S, x, (from + L) * 4L, LITTLE_ENDIAN), sum1);
                }
                sum0.intoMemorySegment(y, (i * WIDTH + j) * 4L, LITTLE_ENDIAN);
                sum1.intoMemorySegment(y, (i * WIDTH + j + L) * 4L, LITTLE_ENDIAN);
            }
        }
    }

    /** y = SiLU(y). */
    private static void activate(int rows, MemorySegment out) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        final FloatVector c6 = FloatVector.broadcast(S, C6);
        MemorySegment y = head(out, rows);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < WIDTH; j += 2 * L) {
                int at = i * WIDTH + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, y, at * 4L, LITTLE_ENDIAN);
                FloatVector m0 = x0.reinterpretAsInts().and(MAGNITUDE).min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c6, c5).fma(f0, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p0 = e0.blend(one, x0.compare(VectorOperators.GE, 0f)).div(e0.add(one));
                FloatVector x1 = FloatVector.fromMemorySegment(S, y, (at + L) * 4L, LITTLE_ENDIAN);
                FloatVector m1 = x1.reinterpretAsInts().and(MAGNITUDE).min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c6, c5).fma(f1, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector p1 = e1.blend(one, x1.compare(VectorOperators.GE, 0f)).div(e1.add(one));
                x0.mul(p0).intoMemorySegment(y, at * 4L, LITTLE_ENDIAN);
                x1.mul(p1).intoMemorySegment(y, (at + L) * 4L, LITTLE_ENDIAN);
            }
        }
    }

    @Override
    public void activationGradient(int rows, int count, boolean silu, MemorySegment window, MemorySegment taps, MemorySegment bias,
            MemorySegment sums, MemorySegment grad, MemorySegment biasGrad) {
        if (silu) {
            sums(rows, count, window, taps, bias, sums);
            slopes(rows, sums, grad);
        }
        MemorySegment g = head(grad, rows);
        for (int j = 0; j < WIDTH; j += L) {
            FloatVector total = FloatVector.fromMemorySegment(S, biasGrad, j * 4L, LITTLE_ENDIAN);
            for (int i = 0; i < rows; i++) {
                total = total.add(FloatVector.fromMemorySegment(S, g, (i * WIDTH + j) * 4L, LITTLE_ENDIAN));
            }
            total.intoMemorySegment(biasGrad, j * 4L, LITTLE_ENDIAN);
        }
    }

    /** grad = grad SiLU'(x), SiLU'(x) = p (1 + x (1 - p)) with p the logistic function. */
    private static void slopes(int rows, MemorySegment sums, MemorySegment grad) {
        final FloatVector magic = FloatVector.broadcast(S, MAGIC);
        final FloatVector scale = FloatVector.broadcast(S, -LOG2E);
        final FloatVector one = FloatVector.broadcast(S, 1f);
        final FloatVector c1 = FloatVector.broadcast(S, C1);
        final FloatVector c2 = FloatVector.broadcast(S, C2);
        final FloatVector c3 = FloatVector.broadcast(S, C3);
        final FloatVector c4 = FloatVector.broadcast(S, C4);
        final FloatVector c5 = FloatVector.broadcast(S, C5);
        final FloatVector c6 = FloatVector.broadcast(S, C6);
        MemorySegment s = head(sums, rows);
        MemorySegment g = head(grad, rows);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < WIDTH; j += 2 * L) {
                int at = i * WIDTH + j;
                FloatVector x0 = FloatVector.fromMemorySegment(S, s, at * 4L, LITTLE_ENDIAN);
                FloatVector m0 = x0.reinterpretAsInts().and(MAGNITUDE).min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k0 = m0.fma(scale, magic);
                FloatVector f0 = m0.fma(scale, magic.sub(k0));
                FloatVector e0 = f0.fma(c6, c5).fma(f0, c4).fma(f0, c3).fma(f0, c2).fma(f0, c1).fma(f0, one)
                        .reinterpretAsInts().add(k0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector n0 = one.div(e0.add(one));
                VectorMask<Float> b0 = x0.compare(VectorOperators.GE, 0f);
                FloatVector p0 = e0.blend(one, b0).mul(n0);
                FloatVector o0 = one.blend(e0, b0).mul(n0);
                FloatVector x1 = FloatVector.fromMemorySegment(S, s, (at + L) * 4L, LITTLE_ENDIAN);
                FloatVector m1 = x1.reinterpretAsInts().and(MAGNITUDE).min(LARGEST_EXPONENT).reinterpretAsFloats();
                FloatVector k1 = m1.fma(scale, magic);
                FloatVector f1 = m1.fma(scale, magic.sub(k1));
                FloatVector e1 = f1.fma(c6, c5).fma(f1, c4).fma(f1, c3).fma(f1, c2).fma(f1, c1).fma(f1, one)
                        .reinterpretAsInts().add(k1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                FloatVector n1 = one.div(e1.add(one));
                VectorMask<Float> b1 = x1.compare(VectorOperators.GE, 0f);
                FloatVector p1 = e1.blend(one, b1).mul(n1);
                FloatVector o1 = one.blend(e1, b1).mul(n1);
                FloatVector d0 = FloatVector.fromMemorySegment(S, g, at * 4L, LITTLE_ENDIAN).mul(p0.mul(x0.fma(o0, one)));
                d0.intoMemorySegment(g, at * 4L, LITTLE_ENDIAN);
                FloatVector d1 = FloatVector.fromMemorySegment(S, g, (at + L) * 4L, LITTLE_ENDIAN).mul(p1.mul(x1.fma(o1, one)));
                d1.intoMemorySegment(g, (at + L) * 4L, LITTLE_ENDIAN);
            }
        }
    }

    @Override
    public void backward(int rows, int count, MemorySegment window, MemorySegment taps, MemorySegment grad, MemorySegment windowGrad,
            MemorySegment tapGrad) {
        MemorySegment x = head(window, rows + count - 1);
        MemorySegment dx = head(windowGrad, rows + count - 1);
        MemorySegment g = head(grad, rows);
        for (int k = 0; k < count; k++) {
            for (int j = 0; j < WIDTH; j += L) {
                int tap = k * WIDTH + j;
                FloatVector w = FloatVector.fromMemorySegment(S, taps, tap * 4L, LITTLE_ENDIAN);
                FloatVector dw = FloatVector.fromMemorySegment(S, tapGrad, tap * 4L, LITTLE_ENDIAN);
                for (int i = 0; i < rows; i++) {
                    int from = (i + k) * WIDTH + j;
                    FloatVector d = FloatVector.fromMemorySegment(S, g, (i * WIDTH + j) * 4L, LITTLE_ENDIAN);
                    dw = d.fma(FloatVector.fromMemorySegment(S, x, from * 4L, LITTLE_ENDIAN), dw);
                    d.fma(w, FloatVector.fromMemorySegment(S, dx, from * 4L, LITTLE_ENDIAN))
                            .intoMemorySegment(dx, from * 4L, LITTLE_ENDIAN);
                }
                dw.intoMemorySegment(tapGrad, tap * 4L, LITTLE_ENDIAN);
            }
        }
    }
}
