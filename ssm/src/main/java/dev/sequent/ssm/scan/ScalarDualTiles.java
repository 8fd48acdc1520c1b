package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The loops of the state-space dual without the Vector API: slow, and always available. */
final class ScalarDualTiles implements DualTiles {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int TILE = DualLayout.TILE;

    private static float at(MemorySegment source, long index) {
        return source.getAtIndex(F32, index);
    }

    private static void put(MemorySegment target, long index, float value) {
        target.setAtIndex(F32, index, value);
    }

    private static float at(float[] source, int index) {
        return source[index];
    }

    private static void put(float[] target, int index, float value) {
        target[index] = value;
    }

    @Override
    public void multiply(int panel, float[] a, int aAt, int aRow, int k, float[] b, int bAt, int bRow, float[] out,
            int outAt, int rows, boolean fresh, float beta) {
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < panel; j++) {
                float sum = fresh ? 0 : beta * at(out, outAt + r * panel + j);
                for (int i = 0; i < k; i++) {
                    sum += at(a, aAt + r * aRow + i) * at(b, bAt + i * bRow + j);
                }
                put(out, outAt + r * panel + j, sum);
            }
        }
    }

    @Override
    public void triangle(int panel, float[] s, boolean upper, int rows, float[] b, int bAt, float[] out, int outAt) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < panel; j++) {
                float sum = 0;
                for (int i = upper ? t : 0; i < (upper ? rows : t + 1); i++) {
                    sum += at(s, t * TILE + i) * at(b, bAt + i * panel + j);
                }
                put(out, outAt + t * panel + j, sum);
            }
        }
    }

    @Override
    public void decays(float[] dt, float a, int count, float[] out) {
        for (int i = 0; i < count; i++) {
            out[i] = (float) Math.exp(dt[i] * a);
        }
    }

    @Override
    public void weights(float[] m, int mAt, float[] decay, int from, int rows, float[] l, float[] s) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j <= t; j++) {
                float value = j == t ? 1 : decay[from + t] * at(l, (t - 1) * TILE + j);
                put(l, t * TILE + j, value);
                put(s, t * TILE + j, value * at(m, mAt + t * TILE + j));
            }
        }
    }

    @Override
    public void scale(MemorySegment x, int xAt, int xRow, float[] factors, int rows, int width, float[] out, int outAt, int outRow) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < width; j++) {
                put(out, outAt + t * outRow + j, factors[t] * at(x, xAt + t * xRow + j));
            }
        }
    }

    @Override
    public void scale(float[] x, int xAt, int xRow, float[] factors, int rows, int width, float[] out, int outAt, int outRow) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < width; j++) {
                put(out, outAt + t * outRow + j, factors[t] * at(x, xAt + t * xRow + j));
            }
        }
    }

    @Override
    public void combine(float[] x, int xAt, int xRow, float[] factors, MemorySegment y, int yAt, int yRow, float factor, int rows,
            int width, MemorySegment out, int outAt, int outRow) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < width; j++) {
                put(out, outAt + t * outRow + j, factors[t] * at(x, xAt + t * xRow + j) + factor * at(y, yAt + t * yRow + j));
            }
        }
    }

    @Override
    public void dots(MemorySegment x, int xAt, int xRow, float[] y, int yAt, int yRow, int rows, int width, float[] sums) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < width; j++) {
                sums[t] += at(x, xAt + t * xRow + j) * at(y, yAt + t * yRow + j);
            }
        }
    }

    @Override
    public float dot(float[] x, int xAt, float[] y, int yAt, int count) {
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += at(x, xAt + i) * at(y, yAt + i);
        }
        return (float) sum;
    }

    @Override
    public void transpose(float[] x, int xAt, int columns, float[] out, int outAt) {
        for (int t = 0; t < TILE; t++) {
            for (int j = 0; j < columns; j++) {
                put(out, outAt + j * TILE + t, at(x, xAt + t * columns + j));
            }
        }
    }

    @Override
    public void collect(float[] x, int states, float[] factors, int rows, float[] weights, int weightsAt, float[] total,
            int totalAt, int row, float[] sums) {
        for (int t = 0; t < rows; t++) {
            float sum = 0;
            for (int n = 0; n < states; n++) {
                float value = factors[t] * at(x, n * TILE + t);
                put(total, totalAt + n * row + t, at(total, totalAt + n * row + t) + value);
                sum += value * at(weights, weightsAt + n * row + t);
            }
            sums[t] = sum;
        }
    }

    @Override
    public void addProducts(float[] l, float[] k, int count, float[] total, int totalAt) {
        for (int i = 0; i < count; i++) {
            put(total, totalAt + i, at(total, totalAt + i) + at(l, i) * at(k, i));
        }
    }

    @Override
    public void add(float factor, float[] x, int xAt, int count, float[] out, int outAt) {
        for (int i = 0; i < count; i++) {
            put(out, outAt + i, at(out, outAt + i) + factor * at(x, xAt + i));
        }
    }

    @Override
    public void step(int width, int states, MemorySegment before, MemorySegment after, float decay, float step, MemorySegment x,
            MemorySegment b, MemorySegment c, float skip, MemorySegment y) {
        for (int p = 0; p < width; p++) {
            float drive = step * at(x, p);
            float sum = 0;
            for (int n = 0; n < states; n++) {
                int i = p * states + n;
                float h = (before == null ? 0 : decay * at(before, i)) + drive * at(b, n);
                put(after, i, h);
                sum += h * at(c, n);
            }
            put(y, p, sum + skip * at(x, p));
        }
    }
}
