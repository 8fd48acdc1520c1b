package dev.sequent.ssm.scan;

import dev.sequent.fused.RowMath;
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
    public RowMath rowMath() {
        return RowMath.of(false);
    }

    @Override
    public void products(float[] a, int aAt, int k, float[] b, int bAt, int bRow, float[] out, int outAt) {
        for (int r = 0; r < TILE; r++) {
            for (int j = 0; j < TILE; j++) {
                float sum = 0;
                for (int i = 0; i < k; i++) {
                    sum += a[aAt + r * k + i] * b[bAt + i * bRow + j];
                }
                out[outAt + r * TILE + j] = sum;
            }
        }
    }

    @Override
    public void read(int panel, float[] a, int aAt, int aRow, int states, float[] state, int stateAt, float[] factors,
            int factorsAt, float[] mix, boolean finite, int rows, float[] x, int xAt, MemorySegment out,
            int outRow) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < panel; j++) {
                float sum = 0;
                for (int n = 0; n < states; n++) {
                    sum += a[aAt + n * aRow + t] * state[stateAt + n * panel + j];
                }
                sum *= factors[factorsAt + t];
                for (int i = t; i < rows; i++) {
                    sum += mix[i * TILE + t] * x[xAt + i * panel + j];
                }
                put(out, t * outRow + j, sum);
            }
        }
    }

    @Override
    public void advance(int panel, float[] a, int aAt, int aRow, int rows, float[] x, int xAt, float[] from, int fromAt, float[] to,
            int toAt, int states, float decay) {
        for (int n = 0; n < states; n++) {
            for (int j = 0; j < panel; j++) {
                float sum = decay * from[fromAt + n * panel + j];
                for (int t = 0; t < rows; t++) {
                    sum += a[aAt + t * aRow + n] * x[xAt + t * panel + j];
                }
                to[toAt + n * panel + j] = sum;
            }
        }
    }

    @Override
    public void project(int panel, int panels, float[] a, int aAt, int aPanel, int rows, float[] columns, float[] out) {
        for (int r = 0; r < rows; r++) {
            for (int t = 0; t < TILE; t++) {
                float sum = 0;
                for (int i = 0; i < panel * panels; i++) {
                    sum += a[aAt + i / panel * aPanel + r * panel + i % panel] * columns[i * TILE + t];
                }
                out[r * TILE + t] = sum;
            }
        }
    }

    @Override
    public boolean pack(MemorySegment x, int xRow, int rows, int columns, int panel, float[] factors, int factorsAt, float[] plain,
            float[] scaled, int at) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < panel; j++) {
                float value = j < columns ? at(x, t * xRow + j) : 0;
                plain[at + t * panel + j] = value;
                scaled[at + t * panel + j] = factors[factorsAt + t] * value;
            }
        }
        return true;
    }

    @Override
    public void copy(MemorySegment from, int fromRow, int rows, int columns, MemorySegment to, int toRow) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j++) {
                put(to, t * toRow + j, at(from, t * fromRow + j));
            }
        }
    }

    @Override
    public void weights(float[] m, int mAt, float[] decay, int from, int rows, float[] l, float[] s) {
        for (int t = 0; t < TILE; t++) {
            for (int j = 0; j < TILE; j++) {
                boolean used = t < rows && j <= t;
                l[t * TILE + j] = !used ? 0 : j == t ? 1 : decay[from + t] * l[(t - 1) * TILE + j];
                s[t * TILE + j] = used ? l[t * TILE + j] * m[mAt + t * TILE + j] : 0;
            }
        }
    }

    @Override
    public void inputGradients(MemorySegment drive, float[] x, float[] dy, int at, int panel, float[] steps, int stepsAt, float skip,
            int rows, int columns, MemorySegment dx, int dxRow, float[] driveDots, float[] skipDots) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < columns; j++) {
                int i = t * panel + j;
                float d = at(drive, i);
                put(dx, t * dxRow + j, steps[stepsAt + t] * d + skip * dy[at + i]);
                driveDots[t] += x[at + i] * d;
                skipDots[t] += x[at + i] * dy[at + i];
            }
        }
    }

    @Override
    public float dot(float[] x, float[] y, int at, int count) {
        double sum = 0;
        for (int i = at; i < at + count; i++) {
            sum += at(x, i) * at(y, i);
        }
        return (float) sum;
    }

    @Override
    public void transpose(float[] x, int xAt, int rows, int columns, float[] factors, int factorsAt, float[] out, int outAt) {
        for (int j = 0; j < columns; j++) {
            for (int t = 0; t < TILE; t++) {
                out[outAt + j * TILE + t] = t < rows ? factors[factorsAt + t] * x[xAt + t * columns + j] : 0;
            }
        }
    }

    @Override
    public void collect(float[] x, int states, float[] factors, int factorsAt, int rows, float[] weights, int weightsAt, float[] total,
            int totalAt, int row, float[] sums) {
        for (int t = 0; t < rows; t++) {
            float sum = 0;
            for (int n = 0; n < states; n++) {
                float value = factors[factorsAt + t] * at(x, n * TILE + t);
                put(total, totalAt + n * row + t, at(total, totalAt + n * row + t) + value);
                sum += value * at(weights, weightsAt + n * rows + t);
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
}
