package dev.sequent.fused.conv;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.sequent.fused.VectorExp;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** The loops of the causal convolution in vector instructions; lanes are channels. */
final class ConvTilesVector implements ConvTiles {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final int L = S.length();

    private static FloatVector load(MemorySegment s, int index) {
        return FloatVector.fromMemorySegment(S, s, index * 4L, LITTLE_ENDIAN);
    }

    private static void store(FloatVector v, MemorySegment s, int index) {
        v.intoMemorySegment(s, index * 4L, LITTLE_ENDIAN);
    }

    private static MemorySegment head(MemorySegment s, int rows) {
        return s.asSlice(0, rows * WIDTH * 4L);
    }

    @Override
    public void forward(int rows, int count, boolean silu, MemorySegment window, MemorySegment taps, MemorySegment bias, MemorySegment out) {
        MemorySegment x = head(window, rows + count - 1);
        MemorySegment w = head(taps, count);
        MemorySegment y = head(out, rows);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < WIDTH; j += L) {
                FloatVector sum = load(bias, j);
                for (int k = 0; k < count; k++) {
                    sum = load(w, k * WIDTH + j).fma(load(x, (i + k) * WIDTH + j), sum);
                }
                if (silu) {
                    FloatVector e = VectorExp.exp(sum.lanewise(VectorOperators.ABS).neg());
                    FloatVector numerator = e.blend(1f, sum.compare(VectorOperators.GE, 0f));
                    sum = sum.mul(numerator.div(e.add(1f)));
                }
                store(sum, y, i * WIDTH + j);
            }
        }
    }

    @Override
    public void activationGradient(int rows, int count, boolean silu, MemorySegment window, MemorySegment taps, MemorySegment bias, MemorySegment grad,
            MemorySegment biasGrad) {
        MemorySegment x = head(window, rows + count - 1);
        MemorySegment w = head(taps, count);
        MemorySegment g = head(grad, rows);
        for (int j = 0; j < WIDTH; j += L) {
            FloatVector total = load(biasGrad, j);
            for (int i = 0; i < rows; i++) {
                FloatVector d = load(g, i * WIDTH + j);
                if (silu) {
                    FloatVector sum = load(bias, j);
                    for (int k = 0; k < count; k++) {
                        sum = load(w, k * WIDTH + j).fma(load(x, (i + k) * WIDTH + j), sum);
                    }
                    d = d.mul(slope(sum));
                    store(d, g, i * WIDTH + j);
                }
                total = total.add(d);
            }
            store(total, biasGrad, j);
        }
    }

    /** SiLU'(x) = p (1 + x (1 - p)) with p the logistic function. */
    private static FloatVector slope(FloatVector x) {
        FloatVector e = VectorExp.exp(x.lanewise(VectorOperators.ABS).neg());
        FloatVector scale = FloatVector.broadcast(S, 1f).div(e.add(1f));
        VectorMask<Float> positive = x.compare(VectorOperators.GE, 0f);
        FloatVector p = e.blend(1f, positive).mul(scale);
        FloatVector complement = FloatVector.broadcast(S, 1f).blend(e, positive).mul(scale);
        return p.mul(x.fma(complement, FloatVector.broadcast(S, 1f)));
    }

    @Override
    public void backward(int rows, int count, MemorySegment window, MemorySegment taps, MemorySegment grad, MemorySegment windowGrad, MemorySegment tapGrad) {
        MemorySegment x = head(window, rows + count - 1);
        MemorySegment dx = head(windowGrad, rows + count - 1);
        MemorySegment g = head(grad, rows);
        for (int k = 0; k < count; k++) {
            for (int j = 0; j < WIDTH; j += L) {
                FloatVector w = load(taps, k * WIDTH + j);
                FloatVector dw = load(tapGrad, k * WIDTH + j);
                for (int i = 0; i < rows; i++) {
                    FloatVector d = load(g, i * WIDTH + j);
                    int from = (i + k) * WIDTH + j;
                    dw = d.fma(load(x, from), dw);
                    store(d.fma(w, load(dx, from)), dx, from);
                }
                store(dw, tapGrad, k * WIDTH + j);
            }
        }
    }
}
