package dev.sequent.ssm.scan;

import dev.sequent.fused.LaneSum;
import dev.sequent.fused.VectorExp;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of the state-space dual in the Vector API. Products of matrices with panels of {@link DualLayout#WIDE} columns keep eight
 * rows of two vectors in registers where vectors have 16 lanes; others keep eight rows of one vector.
 */
final class VectorDualTiles implements DualTiles {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int L = S.length();
    private static final int TILE = DualLayout.TILE;
    private static final int W = DualLayout.WIDE;
    /** Up to here {@link VectorExp} is defined. */
    private static final float LARGEST_EXPONENT = 0.5f;
    /** Row t is 1 in column t. */
    private static final float[] IDENTITY = identity();

    private static float[] identity() {
        float[] i = new float[TILE * TILE];
        for (int t = 0; t < TILE; t++) {
            i[t * TILE + t] = 1;
        }
        return i;
    }

    private static FloatVector load(MemorySegment source, int index) {
        return FloatVector.fromMemorySegment(S, source, index * 4L, LE);
    }

    private static FloatVector load(float[] source, int index) {
        return FloatVector.fromArray(S, source, index);
    }

    private static MemorySegment part(MemorySegment s, int at, int floats) {
        return s.asSlice(at * 4L, floats * 4L);
    }

    @Override
    public void multiply(int panel, float[] a, int aAt, int aRow, int k, float[] b, int bAt, int bRow, float[] out, int outAt, int rows,
            boolean fresh, float beta) {
        if (fresh) {
            Arrays.fill(out, outAt, outAt + rows * panel, 0);
        }
        if (panel == W && bRow == W && L == 16) {
            wide(a, aAt, aRow, k, b, bAt, out, outAt, rows, beta);
            wide(a, aAt, aRow, k, b, bAt + 2 * L, out, outAt + 2 * L, rows, beta);
        } else {
            for (int j = 0; j < panel; j += L) {
                narrow(a, aAt, aRow, k, b, bAt + j, bRow, out, outAt + j, panel, rows, beta);
            }
        }
    }

    /** Two vectors of columns: eight rows of them read the other matrix half as often as four rows of four do. */
    private static void wide(float[] a, int aAt, int aRow, int k, float[] b, int bAt, float[] out, int outAt, int rows, float beta) {
        for (int r = 0; r < rows; r += 8) {
            int o = outAt + r * W;
            FloatVector c00 = FloatVector.fromArray(S, out, o).mul(beta);
            FloatVector c01 = FloatVector.fromArray(S, out, o + L).mul(beta);
            FloatVector c10 = FloatVector.fromArray(S, out, o + W).mul(beta);
            FloatVector c11 = FloatVector.fromArray(S, out, o + W + L).mul(beta);
            FloatVector c20 = FloatVector.fromArray(S, out, o + 2 * W).mul(beta);
            FloatVector c21 = FloatVector.fromArray(S, out, o + 2 * W + L).mul(beta);
            FloatVector c30 = FloatVector.fromArray(S, out, o + 3 * W).mul(beta);
            FloatVector c31 = FloatVector.fromArray(S, out, o + 3 * W + L).mul(beta);
            FloatVector c40 = FloatVector.fromArray(S, out, o + 4 * W).mul(beta);
            FloatVector c41 = FloatVector.fromArray(S, out, o + 4 * W + L).mul(beta);
            FloatVector c50 = FloatVector.fromArray(S, out, o + 5 * W).mul(beta);
            FloatVector c51 = FloatVector.fromArray(S, out, o + 5 * W + L).mul(beta);
            FloatVector c60 = FloatVector.fromArray(S, out, o + 6 * W).mul(beta);
            FloatVector c61 = FloatVector.fromArray(S, out, o + 6 * W + L).mul(beta);
            FloatVector c70 = FloatVector.fromArray(S, out, o + 7 * W).mul(beta);
            FloatVector c71 = FloatVector.fromArray(S, out, o + 7 * W + L).mul(beta);
            int a0 = aAt + r * aRow;
            int a1 = a0 + aRow;
            int a2 = a1 + aRow;
            int a3 = a2 + aRow;
            int a4 = a3 + aRow;
            int a5 = a4 + aRow;
            int a6 = a5 + aRow;
            int a7 = a6 + aRow;
            for (int i = 0; i < k; i++) {
                int at = bAt + i * W;
                FloatVector b0 = FloatVector.fromArray(S, b, at);
                FloatVector b1 = FloatVector.fromArray(S, b, at + L);
                FloatVector f0 = FloatVector.broadcast(S, a[a0 + i]);
                c00 = b0.fma(f0, c00);
                c01 = b1.fma(f0, c01);
                FloatVector f1 = FloatVector.broadcast(S, a[a1 + i]);
                c10 = b0.fma(f1, c10);
                c11 = b1.fma(f1, c11);
                FloatVector f2 = FloatVector.broadcast(S, a[a2 + i]);
                c20 = b0.fma(f2, c20);
                c21 = b1.fma(f2, c21);
                FloatVector f3 = FloatVector.broadcast(S, a[a3 + i]);
                c30 = b0.fma(f3, c30);
                c31 = b1.fma(f3, c31);
                FloatVector f4 = FloatVector.broadcast(S, a[a4 + i]);
                c40 = b0.fma(f4, c40);
                c41 = b1.fma(f4, c41);
                FloatVector f5 = FloatVector.broadcast(S, a[a5 + i]);
                c50 = b0.fma(f5, c50);
                c51 = b1.fma(f5, c51);
                FloatVector f6 = FloatVector.broadcast(S, a[a6 + i]);
                c60 = b0.fma(f6, c60);
                c61 = b1.fma(f6, c61);
                FloatVector f7 = FloatVector.broadcast(S, a[a7 + i]);
                c70 = b0.fma(f7, c70);
                c71 = b1.fma(f7, c71);
            }
            c00.intoArray(out, o);
            c01.intoArray(out, o + L);
            c10.intoArray(out, o + W);
            c11.intoArray(out, o + W + L);
            c20.intoArray(out, o + 2 * W);
            c21.intoArray(out, o + 2 * W + L);
            c30.intoArray(out, o + 3 * W);
            c31.intoArray(out, o + 3 * W + L);
            c40.intoArray(out, o + 4 * W);
            c41.intoArray(out, o + 4 * W + L);
            c50.intoArray(out, o + 5 * W);
            c51.intoArray(out, o + 5 * W + L);
            c60.intoArray(out, o + 6 * W);
            c61.intoArray(out, o + 6 * W + L);
            c70.intoArray(out, o + 7 * W);
            c71.intoArray(out, o + 7 * W + L);
        }
    }

    private static void narrow(float[] a, int aAt, int aRow, int k, float[] b, int bAt, int bRow, float[] out, int outAt, int outRow, int rows,
            float beta) {
        for (int r = 0; r < rows; r += 8) {
            int o = outAt + r * outRow;
            FloatVector c0 = FloatVector.fromArray(S, out, o).mul(beta);
            FloatVector c1 = FloatVector.fromArray(S, out, o + outRow).mul(beta);
            FloatVector c2 = FloatVector.fromArray(S, out, o + 2 * outRow).mul(beta);
            FloatVector c3 = FloatVector.fromArray(S, out, o + 3 * outRow).mul(beta);
            FloatVector c4 = FloatVector.fromArray(S, out, o + 4 * outRow).mul(beta);
            FloatVector c5 = FloatVector.fromArray(S, out, o + 5 * outRow).mul(beta);
            FloatVector c6 = FloatVector.fromArray(S, out, o + 6 * outRow).mul(beta);
            FloatVector c7 = FloatVector.fromArray(S, out, o + 7 * outRow).mul(beta);
            int a0 = aAt + r * aRow;
            int a1 = a0 + aRow;
            int a2 = a1 + aRow;
            int a3 = a2 + aRow;
            int a4 = a3 + aRow;
            int a5 = a4 + aRow;
            int a6 = a5 + aRow;
            int a7 = a6 + aRow;
            for (int i = 0; i < k; i++) {
                FloatVector v = FloatVector.fromArray(S, b, bAt + i * bRow);
                c0 = v.fma(FloatVector.broadcast(S, a[a0 + i]), c0);
                c1 = v.fma(FloatVector.broadcast(S, a[a1 + i]), c1);
                c2 = v.fma(FloatVector.broadcast(S, a[a2 + i]), c2);
                c3 = v.fma(FloatVector.broadcast(S, a[a3 + i]), c3);
                c4 = v.fma(FloatVector.broadcast(S, a[a4 + i]), c4);
                c5 = v.fma(FloatVector.broadcast(S, a[a5 + i]), c5);
                c6 = v.fma(FloatVector.broadcast(S, a[a6 + i]), c6);
                c7 = v.fma(FloatVector.broadcast(S, a[a7 + i]), c7);
            }
            c0.intoArray(out, o);
            c1.intoArray(out, o + outRow);
            c2.intoArray(out, o + 2 * outRow);
            c3.intoArray(out, o + 3 * outRow);
            c4.intoArray(out, o + 4 * outRow);
            c5.intoArray(out, o + 5 * outRow);
            c6.intoArray(out, o + 6 * outRow);
            c7.intoArray(out, o + 7 * outRow);
        }
    }

    @Override
    public void triangle(int panel, float[] s, boolean upper, int rows, float[] b, int bAt, float[] out, int outAt) {
        if (panel % (4 * L) == 0) {
            for (int j = 0; j < panel; j += 4 * L) {
                triangleOfFour(panel, s, upper, rows, b, bAt + j, out, outAt + j);
            }
        } else {
            for (int j = 0; j < panel; j += L) {
                triangleOfOne(panel, s, upper, rows, b, bAt + j, out, outAt + j);
            }
        }
    }

    private static void triangleOfFour(int panel, float[] s, boolean upper, int rows, float[] b, int bAt, float[] out, int outAt) {
        for (int t = 0; t < rows; t++) {
            FloatVector c0 = FloatVector.zero(S);
            FloatVector c1 = FloatVector.zero(S);
            FloatVector c2 = FloatVector.zero(S);
            FloatVector c3 = FloatVector.zero(S);
            int to = upper ? rows : t + 1;
            for (int i = upper ? t : 0; i < to; i++) {
                FloatVector f = FloatVector.broadcast(S, s[t * TILE + i]);
                int at = bAt + i * panel;
                c0 = FloatVector.fromArray(S, b, at).fma(f, c0);
                c1 = FloatVector.fromArray(S, b, at + L).fma(f, c1);
                c2 = FloatVector.fromArray(S, b, at + 2 * L).fma(f, c2);
                c3 = FloatVector.fromArray(S, b, at + 3 * L).fma(f, c3);
            }
            int at = outAt + t * panel;
            c0.intoArray(out, at);
            c1.intoArray(out, at + L);
            c2.intoArray(out, at + 2 * L);
            c3.intoArray(out, at + 3 * L);
        }
    }

    private static void triangleOfOne(int panel, float[] s, boolean upper, int rows, float[] b, int bAt, float[] out, int outAt) {
        for (int t = 0; t < rows; t++) {
            FloatVector c = FloatVector.zero(S);
            int to = upper ? rows : t + 1;
            for (int i = upper ? t : 0; i < to; i++) {
                c = FloatVector.fromArray(S, b, bAt + i * panel).fma(FloatVector.broadcast(S, s[t * TILE + i]), c);
            }
            c.intoArray(out, outAt + t * panel);
        }
    }

    @Override
    public void decays(float[] dt, float a, int count, float[] out) {
        // arrays have whole tiles, and what lies beyond count is not used
        for (int i = 0; i < count; i += L) {
            FloatVector x = FloatVector.fromArray(S, dt, i).mul(a);
            if (x.compare(VectorOperators.GT, LARGEST_EXPONENT).anyTrue()) {
                exponentials(dt, a, i, out);
            } else {
                VectorExp.exp(x).intoArray(out, i);
            }
        }
    }

    private static void exponentials(float[] dt, float a, int from, float[] out) {
        for (int i = from; i < from + L; i++) {
            out[i] = (float) Math.exp(dt[i] * a);
        }
    }

    @Override
    public void weights(float[] m, int mAt, float[] decay, int from, int rows, float[] l, float[] s) {
        for (int j = 0; j < TILE; j += L) {
            FloatVector row = FloatVector.zero(S);
            for (int t = 0; t < rows; t++) {
                row = row.fma(FloatVector.broadcast(S, decay[from + t]), FloatVector.fromArray(S, IDENTITY, t * TILE + j));
                row.intoArray(l, t * TILE + j);
                row.mul(load(m, mAt + t * TILE + j)).intoArray(s, t * TILE + j);
            }
        }
    }

    @Override
    public void scale(MemorySegment x, int xAt, int xRow, float[] factors, int rows, int width, float[] out, int outAt, int outRow) {
        MemorySegment xs = part(x, xAt, (rows - 1) * xRow + width);
        int whole = width - width % L;
        for (int t = 0; t < rows; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[t]);
            for (int j = 0; j < whole; j += L) {
                load(xs, t * xRow + j).mul(f).intoArray(out, outAt + t * outRow + j);
            }
            for (int j = whole; j < width; j++) {
                out[outAt + t * outRow + j] = factors[t] * xs.get(F32, (t * xRow + j) * 4L);
            }
        }
    }

    @Override
    public void scale(float[] x, int xAt, int xRow, float[] factors, int rows, int width, float[] out, int outAt, int outRow) {
        int whole = width - width % L;
        for (int t = 0; t < rows; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[t]);
            for (int j = 0; j < whole; j += L) {
                load(x, xAt + t * xRow + j).mul(f).intoArray(out, outAt + t * outRow + j);
            }
            for (int j = whole; j < width; j++) {
                out[outAt + t * outRow + j] = factors[t] * x[xAt + t * xRow + j];
            }
        }
    }

    @Override
    public void combine(float[] x, int xAt, int xRow, float[] factors, MemorySegment y, int yAt, int yRow, float factor, int rows, int width,
            MemorySegment out, int outAt, int outRow) {
        MemorySegment ys = part(y, yAt, (rows - 1) * yRow + width);
        MemorySegment os = part(out, outAt, (rows - 1) * outRow + width);
        int whole = width - width % L;
        for (int t = 0; t < rows; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[t]);
            for (int j = 0; j < whole; j += L) {
                load(x, xAt + t * xRow + j).fma(f, load(ys, t * yRow + j).mul(factor)).intoMemorySegment(os, (t * outRow + j) * 4L, LE);
            }
            for (int j = whole; j < width; j++) {
                float value = Math.fma(x[xAt + t * xRow + j], factors[t], ys.get(F32, (t * yRow + j) * 4L) * factor);
                os.set(F32, (t * outRow + j) * 4L, value);
            }
        }
    }

    @Override
    public void dots(MemorySegment x, int xAt, int xRow, float[] y, int yAt, int yRow, int rows, int width, float[] sums) {
        MemorySegment xs = part(x, xAt, (rows - 1) * xRow + width);
        int whole = width - width % L;
        for (int t = 0; t < rows; t++) {
            FloatVector sum = FloatVector.zero(S);
            for (int j = 0; j < whole; j += L) {
                sum = load(xs, t * xRow + j).fma(load(y, yAt + t * yRow + j), sum);
            }
            float rest = 0;
            for (int j = whole; j < width; j++) {
                rest = Math.fma(xs.get(F32, (t * xRow + j) * 4L), y[yAt + t * yRow + j], rest);
            }
            sums[t] += LaneSum.of(sum) + rest;
        }
    }

    @Override
    public float dot(float[] x, int xAt, float[] y, int yAt, int count) {
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = FloatVector.zero(S);
        int pairs = count - count % (2 * L);
        for (int i = 0; i < pairs; i += 2 * L) {
            s0 = load(x, xAt + i).fma(load(y, yAt + i), s0);
            s1 = load(x, xAt + i + L).fma(load(y, yAt + i + L), s1);
        }
        for (int i = pairs; i < count; i += L) {
            s0 = load(x, xAt + i).fma(load(y, yAt + i), s0);
        }
        return LaneSum.of(s0.add(s1));
    }

    @Override
    public void transpose(float[] x, int xAt, int columns, float[] out, int outAt) {
        for (int j = 0; j < columns; j++) {
            for (int t = 0; t < TILE; t++) {
                out[outAt + j * TILE + t] = x[xAt + t * columns + j];
            }
        }
    }

    @Override
    public void collect(float[] x, int states, float[] factors, int rows, float[] weights, int weightsAt, float[] total, int totalAt, int row,
            float[] sums) {
        for (int j = 0; j < TILE; j += L) {
            VectorMask<Float> beyond = VectorMask.fromLong(S, -1L << Math.clamp(rows - j, 0, L));
            FloatVector f = FloatVector.fromArray(S, factors, j);
            FloatVector sum = FloatVector.zero(S);
            for (int n = 0; n < states; n++) {
                FloatVector value = load(x, n * TILE + j).mul(f).blend(0f, beyond);
                load(total, totalAt + n * row + j).add(value).intoArray(total, totalAt + n * row + j);
                sum = value.fma(load(weights, weightsAt + n * row + j), sum);
            }
            sum.intoArray(sums, j);
        }
    }

    @Override
    public void addProducts(float[] l, float[] k, int count, float[] total, int totalAt) {
        for (int i = 0; i < count; i += L) {
            load(l, i).fma(load(k, i), load(total, totalAt + i)).intoArray(total, totalAt + i);
        }
    }

    @Override
    public void add(float factor, float[] x, int xAt, int count, float[] out, int outAt) {
        int whole = count - count % L;
        for (int i = 0; i < whole; i += L) {
            load(x, xAt + i).fma(FloatVector.broadcast(S, factor), load(out, outAt + i)).intoArray(out, outAt + i);
        }
        for (int i = whole; i < count; i++) {
            out[outAt + i] = Math.fma(factor, x[xAt + i], out[outAt + i]);
        }
    }

    @Override
    public void step(int width, int states, MemorySegment before, MemorySegment after, float decay, float step, MemorySegment x,
            MemorySegment b, MemorySegment c, float skip, MemorySegment y) {
        // a fresh state is multiplied by nothing: whatever lies in its memory, zero goes in
        MemorySegment from = before == null ? after.fill((byte) 0) : before;
        int whole = states - states % L;
        for (int p = 0; p < width; p++) {
            float in = x.get(F32, p * 4L);
            float drive = step * in;
            int row = p * states;
            FloatVector sum = FloatVector.zero(S);
            for (int n = 0; n < whole; n += L) {
                FloatVector h = load(from, row + n).fma(FloatVector.broadcast(S, decay), load(b, n).mul(drive));
                h.intoMemorySegment(after, (row + n) * 4L, LE);
                sum = h.fma(load(c, n), sum);
            }
            float rest = 0;
            for (int n = whole; n < states; n++) {
                float h = Math.fma(decay, from.get(F32, (row + n) * 4L), drive * b.get(F32, n * 4L));
                after.set(F32, (row + n) * 4L, h);
                rest = Math.fma(h, c.get(F32, n * 4L), rest);
            }
            y.set(F32, p * 4L, LaneSum.of(sum) + rest + skip * in);
        }
    }
}
