package dev.sequent.ssm.scan;

import dev.sequent.fused.LaneSum;
import dev.sequent.fused.VectorExp;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops of the state-space dual in the Vector API. Products of matrices with panels of {@link DualLayout#WIDE} columns keep four rows
 * of four vectors in registers where vectors have 16 lanes; others keep eight rows of one vector.
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

    private static MemorySegment part(MemorySegment s, int at, int floats) {
        return s.asSlice(at * 4L, floats * 4L);
    }

    @Override
    public void multiply(int panel, MemorySegment a, int aAt, int aRow, int k, MemorySegment b, int bAt, int bRow, MemorySegment out,
            int outAt, int rows, boolean fresh, float beta) {
        if (fresh) {
            part(out, outAt, rows * panel).fill((byte) 0);
        }
        if (panel == W && bRow == W && L == TILE) {
            wide(a, aAt, aRow, k, b, bAt, out, outAt, rows, beta);
            wide(a, aAt, aRow, k, b, bAt + 2 * L, out, outAt + 2 * L, rows, beta);
        } else {
            for (int j = 0; j < panel; j += L) {
                narrow(a, aAt, aRow, k, b, bAt + j, bRow, out, outAt + j, panel, rows, beta);
            }
        }
    }

    /** Two vectors of columns; more in one method are beyond what the C1 compiler takes, and what it does not take stays interpreted. */
    private static void wide(MemorySegment a, int aAt, int aRow, int k, MemorySegment b, int bAt, MemorySegment out, int outAt, int rows,
            float beta) {
        MemorySegment as = part(a, aAt, (rows - 1) * aRow + k);
        MemorySegment bs = part(b, bAt, (k - 1) * W + 2 * L);
        MemorySegment os = part(out, outAt, (rows - 1) * W + 2 * L);
        for (int r = 0; r < rows; r += 4) {
            int o = r * W;
            FloatVector c00 = FloatVector.fromMemorySegment(S, os, o * 4L, LE).mul(beta);
            FloatVector c01 = FloatVector.fromMemorySegment(S, os, (o + L) * 4L, LE).mul(beta);
            FloatVector c10 = FloatVector.fromMemorySegment(S, os, (o + W) * 4L, LE).mul(beta);
            FloatVector c11 = FloatVector.fromMemorySegment(S, os, (o + W + L) * 4L, LE).mul(beta);
            FloatVector c20 = FloatVector.fromMemorySegment(S, os, (o + 2 * W) * 4L, LE).mul(beta);
            FloatVector c21 = FloatVector.fromMemorySegment(S, os, (o + 2 * W + L) * 4L, LE).mul(beta);
            FloatVector c30 = FloatVector.fromMemorySegment(S, os, (o + 3 * W) * 4L, LE).mul(beta);
            FloatVector c31 = FloatVector.fromMemorySegment(S, os, (o + 3 * W + L) * 4L, LE).mul(beta);
            int a0 = r * aRow;
            int a1 = a0 + aRow;
            int a2 = a1 + aRow;
            int a3 = a2 + aRow;
            for (int i = 0; i < k; i++) {
                FloatVector b0 = FloatVector.fromMemorySegment(S, bs, (i * W) * 4L, LE);
                FloatVector b1 = FloatVector.fromMemorySegment(S, bs, (i * W + L) * 4L, LE);
                FloatVector f0 = FloatVector.broadcast(S, as.get(F32, (a0 + i) * 4L));
                c00 = b0.fma(f0, c00);
                c01 = b1.fma(f0, c01);
                FloatVector f1 = FloatVector.broadcast(S, as.get(F32, (a1 + i) * 4L));
                c10 = b0.fma(f1, c10);
                c11 = b1.fma(f1, c11);
                FloatVector f2 = FloatVector.broadcast(S, as.get(F32, (a2 + i) * 4L));
                c20 = b0.fma(f2, c20);
                c21 = b1.fma(f2, c21);
                FloatVector f3 = FloatVector.broadcast(S, as.get(F32, (a3 + i) * 4L));
                c30 = b0.fma(f3, c30);
                c31 = b1.fma(f3, c31);
            }
            c00.intoMemorySegment(os, o * 4L, LE);
            c01.intoMemorySegment(os, (o + L) * 4L, LE);
            c10.intoMemorySegment(os, (o + W) * 4L, LE);
            c11.intoMemorySegment(os, (o + W + L) * 4L, LE);
            c20.intoMemorySegment(os, (o + 2 * W) * 4L, LE);
            c21.intoMemorySegment(os, (o + 2 * W + L) * 4L, LE);
            c30.intoMemorySegment(os, (o + 3 * W) * 4L, LE);
            c31.intoMemorySegment(os, (o + 3 * W + L) * 4L, LE);
        }
    }

    private static void narrow(MemorySegment a, int aAt, int aRow, int k, MemorySegment b, int bAt, int bRow, MemorySegment out, int outAt,
            int outRow, int rows,
            float beta) {
        MemorySegment as = part(a, aAt, (rows - 1) * aRow + k);
        MemorySegment bs = part(b, bAt, (k - 1) * bRow + L);
        MemorySegment os = part(out, outAt, (rows - 1) * outRow + L);
        for (int r = 0; r < rows; r += 8) {
            int o = r * outRow;
            FloatVector c0 = FloatVector.fromMemorySegment(S, os, o * 4L, LE).mul(beta);
            FloatVector c1 = FloatVector.fromMemorySegment(S, os, (o + outRow) * 4L, LE).mul(beta);
            FloatVector c2 = FloatVector.fromMemorySegment(S, os, (o + 2 * outRow) * 4L, LE).mul(beta);
            FloatVector c3 = FloatVector.fromMemorySegment(S, os, (o + 3 * outRow) * 4L, LE).mul(beta);
            FloatVector c4 = FloatVector.fromMemorySegment(S, os, (o + 4 * outRow) * 4L, LE).mul(beta);
            FloatVector c5 = FloatVector.fromMemorySegment(S, os, (o + 5 * outRow) * 4L, LE).mul(beta);
            FloatVector c6 = FloatVector.fromMemorySegment(S, os, (o + 6 * outRow) * 4L, LE).mul(beta);
            FloatVector c7 = FloatVector.fromMemorySegment(S, os, (o + 7 * outRow) * 4L, LE).mul(beta);
            int a0 = r * aRow;
            int a1 = a0 + aRow;
            int a2 = a1 + aRow;
            int a3 = a2 + aRow;
            int a4 = a3 + aRow;
            int a5 = a4 + aRow;
            int a6 = a5 + aRow;
            int a7 = a6 + aRow;
            for (int i = 0; i < k; i++) {
                FloatVector v = FloatVector.fromMemorySegment(S, bs, (i * bRow) * 4L, LE);
                c0 = v.fma(FloatVector.broadcast(S, as.get(F32, (a0 + i) * 4L)), c0);
                c1 = v.fma(FloatVector.broadcast(S, as.get(F32, (a1 + i) * 4L)), c1);
                c2 = v.fma(FloatVector.broadcast(S, as.get(F32, (a2 + i) * 4L)), c2);
                c3 = v.fma(FloatVector.broadcast(S, as.get(F32, (a3 + i) * 4L)), c3);
                c4 = v.fma(FloatVector.broadcast(S, as.get(F32, (a4 + i) * 4L)), c4);
                c5 = v.fma(FloatVector.broadcast(S, as.get(F32, (a5 + i) * 4L)), c5);
                c6 = v.fma(FloatVector.broadcast(S, as.get(F32, (a6 + i) * 4L)), c6);
                c7 = v.fma(FloatVector.broadcast(S, as.get(F32, (a7 + i) * 4L)), c7);
            }
            c0.intoMemorySegment(os, o * 4L, LE);
            c1.intoMemorySegment(os, (o + outRow) * 4L, LE);
            c2.intoMemorySegment(os, (o + 2 * outRow) * 4L, LE);
            c3.intoMemorySegment(os, (o + 3 * outRow) * 4L, LE);
            c4.intoMemorySegment(os, (o + 4 * outRow) * 4L, LE);
            c5.intoMemorySegment(os, (o + 5 * outRow) * 4L, LE);
            c6.intoMemorySegment(os, (o + 6 * outRow) * 4L, LE);
            c7.intoMemorySegment(os, (o + 7 * outRow) * 4L, LE);
        }
    }

    @Override
    public void triangle(int panel, MemorySegment s, boolean upper, int rows, MemorySegment b, int bAt, MemorySegment out, int outAt) {
        if (panel % (4 * L) == 0) {
            for (int j = 0; j < panel; j += 4 * L) {
                triangleOfFour(panel, s, upper, rows, part(b, bAt + j, TILE * panel - j), part(out, outAt + j, TILE * panel - j));
            }
        } else {
            for (int j = 0; j < panel; j += L) {
                triangleOfOne(panel, s, upper, rows, part(b, bAt + j, TILE * panel - j), part(out, outAt + j, TILE * panel - j));
            }
        }
    }

    private static void triangleOfFour(int panel, MemorySegment s, boolean upper, int rows, MemorySegment b, MemorySegment out) {
        MemorySegment weights = part(s, 0, TILE * TILE);
        for (int t = 0; t < rows; t++) {
            FloatVector c0 = FloatVector.zero(S);
            FloatVector c1 = c0;
            FloatVector c2 = c0;
            FloatVector c3 = c0;
            int to = upper ? rows : t + 1;
            for (int i = upper ? t : 0; i < to; i++) {
                FloatVector f = FloatVector.broadcast(S, weights.get(F32, (t * TILE + i) * 4L));
                c0 = FloatVector.fromMemorySegment(S, b, (i * panel) * 4L, LE).fma(f, c0);
                c1 = FloatVector.fromMemorySegment(S, b, (i * panel + L) * 4L, LE).fma(f, c1);
                c2 = FloatVector.fromMemorySegment(S, b, (i * panel + 2 * L) * 4L, LE).fma(f, c2);
                c3 = FloatVector.fromMemorySegment(S, b, (i * panel + 3 * L) * 4L, LE).fma(f, c3);
            }
            c0.intoMemorySegment(out, t * panel * 4L, LE);
            c1.intoMemorySegment(out, (t * panel + L) * 4L, LE);
            c2.intoMemorySegment(out, (t * panel + 2 * L) * 4L, LE);
            c3.intoMemorySegment(out, (t * panel + 3 * L) * 4L, LE);
        }
    }

    private static void triangleOfOne(int panel, MemorySegment s, boolean upper, int rows, MemorySegment b, MemorySegment out) {
        MemorySegment weights = part(s, 0, TILE * TILE);
        for (int t = 0; t < rows; t++) {
            FloatVector c = FloatVector.zero(S);
            int to = upper ? rows : t + 1;
            for (int i = upper ? t : 0; i < to; i++) {
                c = FloatVector.fromMemorySegment(S, b, (i * panel) * 4L, LE).fma(FloatVector.broadcast(S, weights.get(F32, (t * TILE + i) * 4L)), c);
            }
            c.intoMemorySegment(out, t * panel * 4L, LE);
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
    public void weights(MemorySegment m, int mAt, float[] decay, int from, int rows, MemorySegment l, MemorySegment s) {
        MemorySegment products = part(m, mAt, rows * TILE);
        MemorySegment decays = part(l, 0, rows * TILE);
        MemorySegment mix = part(s, 0, rows * TILE);
        for (int j = 0; j < TILE; j += L) {
            FloatVector row = FloatVector.zero(S);
            for (int t = 0; t < rows; t++) {
                row = row.fma(FloatVector.broadcast(S, decay[from + t]), FloatVector.fromArray(S, IDENTITY, t * TILE + j));
                row.intoMemorySegment(decays, (t * TILE + j) * 4L, LE);
                row.mul(load(products, t * TILE + j)).intoMemorySegment(mix, (t * TILE + j) * 4L, LE);
            }
        }
    }

    @Override
    public void scale(MemorySegment x, int xAt, int xRow, float[] factors, int rows, int width, MemorySegment out, int outAt, int outRow) {
        MemorySegment xs = part(x, xAt, (rows - 1) * xRow + width);
        MemorySegment os = part(out, outAt, (rows - 1) * outRow + width);
        int whole = width - width % L;
        for (int t = 0; t < rows; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[t]);
            for (int j = 0; j < whole; j += L) {
                load(xs, t * xRow + j).mul(f).intoMemorySegment(os, (t * outRow + j) * 4L, LE);
            }
            for (int j = whole; j < width; j++) {
                os.set(F32, (t * outRow + j) * 4L, factors[t] * xs.get(F32, (t * xRow + j) * 4L));
            }
        }
    }

    @Override
    public void combine(MemorySegment x, int xAt, int xRow, float[] factors, MemorySegment y, int yAt, int yRow, float factor, int rows,
            int width, MemorySegment out, int outAt, int outRow) {
        MemorySegment xs = part(x, xAt, (rows - 1) * xRow + width);
        MemorySegment ys = part(y, yAt, (rows - 1) * yRow + width);
        MemorySegment os = part(out, outAt, (rows - 1) * outRow + width);
        int whole = width - width % L;
        for (int t = 0; t < rows; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[t]);
            for (int j = 0; j < whole; j += L) {
                load(xs, t * xRow + j).fma(f, load(ys, t * yRow + j).mul(factor)).intoMemorySegment(os, (t * outRow + j) * 4L, LE);
            }
            for (int j = whole; j < width; j++) {
                float value = Math.fma(xs.get(F32, (t * xRow + j) * 4L), factors[t], ys.get(F32, (t * yRow + j) * 4L) * factor);
                os.set(F32, (t * outRow + j) * 4L, value);
            }
        }
    }

    @Override
    public void dots(MemorySegment x, int xAt, int xRow, MemorySegment y, int yAt, int yRow, int rows, int width, float[] sums) {
        MemorySegment xs = part(x, xAt, (rows - 1) * xRow + width);
        MemorySegment ys = part(y, yAt, (rows - 1) * yRow + width);
        int whole = width - width % L;
        for (int t = 0; t < rows; t++) {
            FloatVector sum = FloatVector.zero(S);
            for (int j = 0; j < whole; j += L) {
                sum = load(xs, t * xRow + j).fma(load(ys, t * yRow + j), sum);
            }
            float rest = 0;
            for (int j = whole; j < width; j++) {
                rest = Math.fma(xs.get(F32, (t * xRow + j) * 4L), ys.get(F32, (t * yRow + j) * 4L), rest);
            }
            sums[t] += LaneSum.of(sum) + rest;
        }
    }

    @Override
    public float dot(MemorySegment x, int xAt, MemorySegment y, int yAt, int count) {
        MemorySegment xs = part(x, xAt, count);
        MemorySegment ys = part(y, yAt, count);
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = s0;
        int pairs = count - count % (2 * L);
        for (int i = 0; i < pairs; i += 2 * L) {
            s0 = load(xs, i).fma(load(ys, i), s0);
            s1 = load(xs, i + L).fma(load(ys, i + L), s1);
        }
        for (int i = pairs; i < count; i += L) {
            s0 = load(xs, i).fma(load(ys, i), s0);
        }
        return LaneSum.of(s0.add(s1));
    }

    @Override
    public void transpose(MemorySegment x, int xAt, int columns, MemorySegment out, int outAt) {
        MemorySegment xs = part(x, xAt, TILE * columns);
        MemorySegment os = part(out, outAt, TILE * columns);
        for (int j = 0; j < columns; j++) {
            for (int t = 0; t < TILE; t++) {
                os.set(F32, (j * TILE + t) * 4L, xs.get(F32, (t * columns + j) * 4L));
            }
        }
    }

    @Override
    public void collect(MemorySegment x, int states, float[] factors, int rows, MemorySegment weights, int weightsAt, MemorySegment total,
            int totalAt, int row, float[] sums) {
        MemorySegment xs = part(x, 0, states * TILE);
        MemorySegment ws = part(weights, weightsAt, (states - 1) * row + TILE);
        MemorySegment ts = part(total, totalAt, (states - 1) * row + TILE);
        for (int j = 0; j < TILE; j += L) {
            VectorMask<Float> beyond = VectorMask.fromLong(S, -1L << Math.clamp(rows - j, 0, L));
            FloatVector f = FloatVector.fromArray(S, factors, j);
            FloatVector sum = FloatVector.zero(S);
            for (int n = 0; n < states; n++) {
                FloatVector value = load(xs, n * TILE + j).mul(f).blend(0f, beyond);
                load(ts, n * row + j).add(value).intoMemorySegment(ts, (n * row + j) * 4L, LE);
                sum = value.fma(load(ws, n * row + j), sum);
            }
            sum.intoArray(sums, j);
        }
    }

    @Override
    public void addProducts(MemorySegment l, MemorySegment k, int count, MemorySegment total, int totalAt) {
        MemorySegment ls = part(l, 0, count);
        MemorySegment ks = part(k, 0, count);
        MemorySegment ts = part(total, totalAt, count);
        for (int i = 0; i < count; i += L) {
            load(ls, i).fma(load(ks, i), load(ts, i)).intoMemorySegment(ts, i * 4L, LE);
        }
    }

    @Override
    public void add(float factor, MemorySegment x, int xAt, int count, MemorySegment out, int outAt) {
        MemorySegment xs = part(x, xAt, count);
        MemorySegment os = part(out, outAt, count);
        int whole = count - count % L;
        for (int i = 0; i < whole; i += L) {
            load(xs, i).fma(FloatVector.broadcast(S, factor), load(os, i)).intoMemorySegment(os, i * 4L, LE);
        }
        for (int i = whole; i < count; i++) {
            os.set(F32, i * 4L, Math.fma(factor, xs.get(F32, i * 4L), os.get(F32, i * 4L)));
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
