package dev.sequent.fused.conv;

import dev.sequent.op.ScalarMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The loops of the causal convolution without the Vector API. */
final class ConvTilesScalar implements ConvTiles {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    private static float at(MemorySegment s, int index) {
        return s.getAtIndex(F32, index);
    }

    private static float sum(int row, int j, int count, MemorySegment window, MemorySegment taps, MemorySegment bias) {
        float sum = at(bias, j);
        for (int k = 0; k < count; k++) {
            sum = Math.fma(at(taps, k * WIDTH + j), at(window, (row + k) * WIDTH + j), sum);
        }
        return sum;
    }

    @Override
    public void move(int rows, MemorySegment source, long sourceStride, MemorySegment target, long targetStride) {
        for (int i = 0; i < rows; i++) {
            MemorySegment.copy(source, i * sourceStride * Float.BYTES, target, i * targetStride * Float.BYTES, (long) WIDTH * Float.BYTES);
        }
    }

    @Override
    public void forward(int rows, int count, boolean silu, MemorySegment window, MemorySegment taps, MemorySegment bias,
            MemorySegment out) {
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < WIDTH; j++) {
                float x = sum(i, j, count, window, taps, bias);
                out.setAtIndex(F32, i * WIDTH + j, silu ? (float) (x * ScalarMath.sigmoid(x)) : x);
            }
        }
    }

    @Override
    public void activationGradient(int rows, int count, boolean silu, MemorySegment window, MemorySegment taps, MemorySegment bias,
            MemorySegment sums, MemorySegment grad, MemorySegment biasGrad) {
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < WIDTH; j++) {
                float g = at(grad, i * WIDTH + j);
                if (silu) {
                    double x = sum(i, j, count, window, taps, bias);
                    g = (float) (g * ScalarMath.sigmoid(x) * (1 + x * ScalarMath.sigmoid(-x)));
                    grad.setAtIndex(F32, i * WIDTH + j, g);
                }
                biasGrad.setAtIndex(F32, j, at(biasGrad, j) + g);
            }
        }
    }

    @Override
    public void backward(int rows, int count, MemorySegment window, MemorySegment taps, MemorySegment grad, MemorySegment windowGrad,
            MemorySegment tapGrad) {
        for (int k = 0; k < count; k++) {
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < WIDTH; j++) {
                    int from = (i + k) * WIDTH + j;
                    float g = at(grad, i * WIDTH + j);
                    windowGrad.setAtIndex(F32, from, Math.fma(at(taps, k * WIDTH + j), g, at(windowGrad, from)));
                    tapGrad.setAtIndex(F32, k * WIDTH + j, Math.fma(at(window, from), g, at(tapGrad, k * WIDTH + j)));
                }
            }
        }
    }
}
