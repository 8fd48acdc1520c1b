package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The products of matrices of {@link DualTiles} in the Vector API. Those with panels of {@link DualLayout#WIDE} columns keep eight rows of
 * two vectors in registers where vectors have 16 lanes; others keep eight rows of one vector, and sums over columns sixteen.
 */
final class VectorDualProducts {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final int L = S.length();
    private static final int TILE = DualLayout.TILE;
    private static final int W = DualLayout.WIDE;

    private VectorDualProducts() {}

    private static MemorySegment part(MemorySegment s, int at, int floats) {
        return s.asSlice(at * 4L, floats * 4L);
    }

    static void products(float[] a, int aAt, int k, float[] b, int bAt, int bRow, float[] out, int outAt) {
        for (int j = 0; j < TILE; j += L) {
            for (int r = 0; r < TILE; r += 8) {
                productRows(a, aAt + r * k, k, b, bAt + j, bRow, out, outAt + r * TILE + j);
            }
        }
    }

    private static void productRows(float[] a, int aAt, int k, float[] b, int bAt, int bRow, float[] out, int outAt) {
        FloatVector c0 = FloatVector.zero(S);
        FloatVector c1 = FloatVector.zero(S);
        FloatVector c2 = FloatVector.zero(S);
        FloatVector c3 = FloatVector.zero(S);
        FloatVector c4 = FloatVector.zero(S);
        FloatVector c5 = FloatVector.zero(S);
        FloatVector c6 = FloatVector.zero(S);
        FloatVector c7 = FloatVector.zero(S);
        int a1 = aAt + k;
        int a2 = a1 + k;
        int a3 = a2 + k;
        int a4 = a3 + k;
        int a5 = a4 + k;
        int a6 = a5 + k;
        int a7 = a6 + k;
        for (int i = 0; i < k; i++) {
            FloatVector v = FloatVector.fromArray(S, b, bAt + i * bRow);
            c0 = v.fma(FloatVector.broadcast(S, a[aAt + i]), c0);
            c1 = v.fma(FloatVector.broadcast(S, a[a1 + i]), c1);
            c2 = v.fma(FloatVector.broadcast(S, a[a2 + i]), c2);
            c3 = v.fma(FloatVector.broadcast(S, a[a3 + i]), c3);
            c4 = v.fma(FloatVector.broadcast(S, a[a4 + i]), c4);
            c5 = v.fma(FloatVector.broadcast(S, a[a5 + i]), c5);
            c6 = v.fma(FloatVector.broadcast(S, a[a6 + i]), c6);
            c7 = v.fma(FloatVector.broadcast(S, a[a7 + i]), c7);
        }
        c0.intoArray(out, outAt);
        c1.intoArray(out, outAt + 1 * TILE);
        c2.intoArray(out, outAt + 2 * TILE);
        c3.intoArray(out, outAt + 3 * TILE);
        c4.intoArray(out, outAt + 4 * TILE);
        c5.intoArray(out, outAt + 5 * TILE);
        c6.intoArray(out, outAt + 6 * TILE);
        c7.intoArray(out, outAt + 7 * TILE);
    }

    static void read(int panel, float[] a, int aAt, int aRow, int states, float[] state, int stateAt, float[] factors,
            int factorsAt, float[] mix, boolean finite, int rows, float[] x, int xAt, MemorySegment out,
            int outRow) {
        int padded = (rows + 7) & -8;
        MemorySegment o = part(out, 0, (padded - 1) * outRow + panel);
        // products with the zeros of mix would carry a NaN to tokens that do not depend on it
        int sources = finite ? rows : 0;
        if (panel == W && L == 16) {
            readWide(a, aAt, aRow, states, state, stateAt, factors, factorsAt, mix, padded, sources, x, xAt, o, outRow);
        } else {
            for (int j = 0; j < panel; j += L) {
                readNarrow(panel, a, aAt, aRow, states, state, stateAt + j, factors, factorsAt, mix, padded, sources, x,
                        xAt + j, part(o, j, (padded - 1) * outRow + L), outRow);
            }
        }
        if (!finite) {
            addTriangle(panel, mix, rows, x, xAt, o, outRow);
        }
    }

    private static void addTriangle(int panel, float[] mix, int rows, float[] x, int xAt, MemorySegment out,
            int outRow) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < panel; j += L) {
                FloatVector c = FloatVector.fromMemorySegment(S, out, (t * outRow + j) * 4L, LE);
                for (int i = t; i < rows; i++) {
                    c = FloatVector.fromArray(S, x, xAt + i * panel + j).fma(FloatVector.broadcast(S, mix[i * TILE + t]), c);
                }
                c.intoMemorySegment(out, (t * outRow + j) * 4L, LE);
            }
        }
    }

    /** Eight rows of two vectors. */
    private static void readWide(float[] a, int aAt, int aRow, int states, float[] state, int stateAt, float[] factors,
            int factorsAt, float[] mix, int rows, int sources, float[] x, int xAt, MemorySegment out, int outRow) {
        for (int r = 0; r < rows; r += 8) {
            FloatVector c00 = FloatVector.zero(S);
            FloatVector c01 = FloatVector.zero(S);
            FloatVector c10 = FloatVector.zero(S);
            FloatVector c11 = FloatVector.zero(S);
            FloatVector c20 = FloatVector.zero(S);
            FloatVector c21 = FloatVector.zero(S);
            FloatVector c30 = FloatVector.zero(S);
            FloatVector c31 = FloatVector.zero(S);
            FloatVector c40 = FloatVector.zero(S);
            FloatVector c41 = FloatVector.zero(S);
            FloatVector c50 = FloatVector.zero(S);
            FloatVector c51 = FloatVector.zero(S);
            FloatVector c60 = FloatVector.zero(S);
            FloatVector c61 = FloatVector.zero(S);
            FloatVector c70 = FloatVector.zero(S);
            FloatVector c71 = FloatVector.zero(S);
            for (int i = 0; i < states; i++) {
                FloatVector b0 = FloatVector.fromArray(S, state, stateAt + i * W);
                FloatVector b1 = FloatVector.fromArray(S, state, stateAt + i * W + L);
                int q = aAt + r + i * aRow;
                FloatVector f0 = FloatVector.broadcast(S, a[q]);
                c00 = b0.fma(f0, c00);
                c01 = b1.fma(f0, c01);
                FloatVector f1 = FloatVector.broadcast(S, a[q + 1]);
                c10 = b0.fma(f1, c10);
                c11 = b1.fma(f1, c11);
                FloatVector f2 = FloatVector.broadcast(S, a[q + 2]);
                c20 = b0.fma(f2, c20);
                c21 = b1.fma(f2, c21);
                FloatVector f3 = FloatVector.broadcast(S, a[q + 3]);
                c30 = b0.fma(f3, c30);
                c31 = b1.fma(f3, c31);
                FloatVector f4 = FloatVector.broadcast(S, a[q + 4]);
                c40 = b0.fma(f4, c40);
                c41 = b1.fma(f4, c41);
                FloatVector f5 = FloatVector.broadcast(S, a[q + 5]);
                c50 = b0.fma(f5, c50);
                c51 = b1.fma(f5, c51);
                FloatVector f6 = FloatVector.broadcast(S, a[q + 6]);
                c60 = b0.fma(f6, c60);
                c61 = b1.fma(f6, c61);
                FloatVector f7 = FloatVector.broadcast(S, a[q + 7]);
                c70 = b0.fma(f7, c70);
                c71 = b1.fma(f7, c71);
            }
            c00 = c00.mul(factors[factorsAt + r]);
            c01 = c01.mul(factors[factorsAt + r]);
            c10 = c10.mul(factors[factorsAt + r + 1]);
            c11 = c11.mul(factors[factorsAt + r + 1]);
            c20 = c20.mul(factors[factorsAt + r + 2]);
            c21 = c21.mul(factors[factorsAt + r + 2]);
            c30 = c30.mul(factors[factorsAt + r + 3]);
            c31 = c31.mul(factors[factorsAt + r + 3]);
            c40 = c40.mul(factors[factorsAt + r + 4]);
            c41 = c41.mul(factors[factorsAt + r + 4]);
            c50 = c50.mul(factors[factorsAt + r + 5]);
            c51 = c51.mul(factors[factorsAt + r + 5]);
            c60 = c60.mul(factors[factorsAt + r + 6]);
            c61 = c61.mul(factors[factorsAt + r + 6]);
            c70 = c70.mul(factors[factorsAt + r + 7]);
            c71 = c71.mul(factors[factorsAt + r + 7]);
            for (int i = r; i < sources; i++) {
                FloatVector b0 = FloatVector.fromArray(S, x, xAt + i * W);
                FloatVector b1 = FloatVector.fromArray(S, x, xAt + i * W + L);
                int q = i * TILE + r;
                FloatVector f0 = FloatVector.broadcast(S, mix[q]);
                c00 = b0.fma(f0, c00);
                c01 = b1.fma(f0, c01);
                FloatVector f1 = FloatVector.broadcast(S, mix[q + 1]);
                c10 = b0.fma(f1, c10);
                c11 = b1.fma(f1, c11);
                FloatVector f2 = FloatVector.broadcast(S, mix[q + 2]);
                c20 = b0.fma(f2, c20);
                c21 = b1.fma(f2, c21);
                FloatVector f3 = FloatVector.broadcast(S, mix[q + 3]);
                c30 = b0.fma(f3, c30);
                c31 = b1.fma(f3, c31);
                FloatVector f4 = FloatVector.broadcast(S, mix[q + 4]);
                c40 = b0.fma(f4, c40);
                c41 = b1.fma(f4, c41);
                FloatVector f5 = FloatVector.broadcast(S, mix[q + 5]);
                c50 = b0.fma(f5, c50);
                c51 = b1.fma(f5, c51);
                FloatVector f6 = FloatVector.broadcast(S, mix[q + 6]);
                c60 = b0.fma(f6, c60);
                c61 = b1.fma(f6, c61);
                FloatVector f7 = FloatVector.broadcast(S, mix[q + 7]);
                c70 = b0.fma(f7, c70);
                c71 = b1.fma(f7, c71);
            }
            int o = r * outRow;
            c00.intoMemorySegment(out, o * 4L, LE);
            c01.intoMemorySegment(out, (o + L) * 4L, LE);
            o += outRow;
            c10.intoMemorySegment(out, o * 4L, LE);
            c11.intoMemorySegment(out, (o + L) * 4L, LE);
            o += outRow;
            c20.intoMemorySegment(out, o * 4L, LE);
            c21.intoMemorySegment(out, (o + L) * 4L, LE);
            o += outRow;
            c30.intoMemorySegment(out, o * 4L, LE);
            c31.intoMemorySegment(out, (o + L) * 4L, LE);
            o += outRow;
            c40.intoMemorySegment(out, o * 4L, LE);
            c41.intoMemorySegment(out, (o + L) * 4L, LE);
            o += outRow;
            c50.intoMemorySegment(out, o * 4L, LE);
            c51.intoMemorySegment(out, (o + L) * 4L, LE);
            o += outRow;
            c60.intoMemorySegment(out, o * 4L, LE);
            c61.intoMemorySegment(out, (o + L) * 4L, LE);
            o += outRow;
            c70.intoMemorySegment(out, o * 4L, LE);
            c71.intoMemorySegment(out, (o + L) * 4L, LE);
        }
    }

    private static void readNarrow(int panel, float[] a, int aAt, int aRow, int states, float[] state, int stateAt, float[] factors,
            int factorsAt, float[] mix, int rows, int sources, float[] x, int xAt, MemorySegment out,
            int outRow) {
        for (int r = 0; r < rows; r += 8) {
            FloatVector c0 = FloatVector.zero(S);
            FloatVector c1 = FloatVector.zero(S);
            FloatVector c2 = FloatVector.zero(S);
            FloatVector c3 = FloatVector.zero(S);
            FloatVector c4 = FloatVector.zero(S);
            FloatVector c5 = FloatVector.zero(S);
            FloatVector c6 = FloatVector.zero(S);
            FloatVector c7 = FloatVector.zero(S);
            for (int i = 0; i < states; i++) {
                FloatVector b = FloatVector.fromArray(S, state, stateAt + i * panel);
                int q = aAt + r + i * aRow;
                c0 = b.fma(FloatVector.broadcast(S, a[q]), c0);
                c1 = b.fma(FloatVector.broadcast(S, a[q + 1]), c1);
                c2 = b.fma(FloatVector.broadcast(S, a[q + 2]), c2);
                c3 = b.fma(FloatVector.broadcast(S, a[q + 3]), c3);
                c4 = b.fma(FloatVector.broadcast(S, a[q + 4]), c4);
                c5 = b.fma(FloatVector.broadcast(S, a[q + 5]), c5);
                c6 = b.fma(FloatVector.broadcast(S, a[q + 6]), c6);
                c7 = b.fma(FloatVector.broadcast(S, a[q + 7]), c7);
            }
            c0 = c0.mul(factors[factorsAt + r]);
            c1 = c1.mul(factors[factorsAt + r + 1]);
            c2 = c2.mul(factors[factorsAt + r + 2]);
            c3 = c3.mul(factors[factorsAt + r + 3]);
            c4 = c4.mul(factors[factorsAt + r + 4]);
            c5 = c5.mul(factors[factorsAt + r + 5]);
            c6 = c6.mul(factors[factorsAt + r + 6]);
            c7 = c7.mul(factors[factorsAt + r + 7]);
            for (int i = r; i < sources; i++) {
                FloatVector b = FloatVector.fromArray(S, x, xAt + i * panel);
                int q = i * TILE + r;
                c0 = b.fma(FloatVector.broadcast(S, mix[q]), c0);
                c1 = b.fma(FloatVector.broadcast(S, mix[q + 1]), c1);
                c2 = b.fma(FloatVector.broadcast(S, mix[q + 2]), c2);
                c3 = b.fma(FloatVector.broadcast(S, mix[q + 3]), c3);
                c4 = b.fma(FloatVector.broadcast(S, mix[q + 4]), c4);
                c5 = b.fma(FloatVector.broadcast(S, mix[q + 5]), c5);
                c6 = b.fma(FloatVector.broadcast(S, mix[q + 6]), c6);
                c7 = b.fma(FloatVector.broadcast(S, mix[q + 7]), c7);
            }
            int o = r * outRow;
            c0.intoMemorySegment(out, o * 4L, LE);
            o += outRow;
            c1.intoMemorySegment(out, o * 4L, LE);
            o += outRow;
            c2.intoMemorySegment(out, o * 4L, LE);
            o += outRow;
            c3.intoMemorySegment(out, o * 4L, LE);
            o += outRow;
            c4.intoMemorySegment(out, o * 4L, LE);
            o += outRow;
            c5.intoMemorySegment(out, o * 4L, LE);
            o += outRow;
            c6.intoMemorySegment(out, o * 4L, LE);
            o += outRow;
            c7.intoMemorySegment(out, o * 4L, LE);
        }
    }

    static void advance(int panel, float[] a, int aAt, int aRow, int rows, float[] x, int xAt, float[] from, int fromAt, float[] to,
            int toAt, int states, float decay) {
        if (panel == W && L == 16) {
            advanceWide(a, aAt, aRow, rows, x, xAt, from, fromAt, to, toAt, states, decay);
        } else {
            for (int j = 0; j < panel; j += L) {
                advanceNarrow(panel, a, aAt, aRow, rows, x, xAt + j, from, fromAt + j, to, toAt + j, states, decay);
            }
        }
    }

    /** Eight rows of two vectors. */
    private static void advanceWide(float[] a, int aAt, int aRow, int rows, float[] x, int xAt, float[] from, int fromAt,
            float[] to, int toAt, int states, float decay) {
        for (int r = 0; r < states; r += 8) {
            int o = fromAt + r * W;
            FloatVector c00 = FloatVector.fromArray(S, from, o).mul(decay);
            FloatVector c01 = FloatVector.fromArray(S, from, o + 1 * L).mul(decay);
            FloatVector c10 = FloatVector.fromArray(S, from, o + 2 * L).mul(decay);
            FloatVector c11 = FloatVector.fromArray(S, from, o + 3 * L).mul(decay);
            FloatVector c20 = FloatVector.fromArray(S, from, o + 4 * L).mul(decay);
            FloatVector c21 = FloatVector.fromArray(S, from, o + 5 * L).mul(decay);
            FloatVector c30 = FloatVector.fromArray(S, from, o + 6 * L).mul(decay);
            FloatVector c31 = FloatVector.fromArray(S, from, o + 7 * L).mul(decay);
            FloatVector c40 = FloatVector.fromArray(S, from, o + 8 * L).mul(decay);
            FloatVector c41 = FloatVector.fromArray(S, from, o + 9 * L).mul(decay);
            FloatVector c50 = FloatVector.fromArray(S, from, o + 10 * L).mul(decay);
            FloatVector c51 = FloatVector.fromArray(S, from, o + 11 * L).mul(decay);
            FloatVector c60 = FloatVector.fromArray(S, from, o + 12 * L).mul(decay);
            FloatVector c61 = FloatVector.fromArray(S, from, o + 13 * L).mul(decay);
            FloatVector c70 = FloatVector.fromArray(S, from, o + 14 * L).mul(decay);
            FloatVector c71 = FloatVector.fromArray(S, from, o + 15 * L).mul(decay);
            for (int i = 0; i < rows; i++) {
                FloatVector b0 = FloatVector.fromArray(S, x, xAt + i * W);
                FloatVector b1 = FloatVector.fromArray(S, x, xAt + i * W + L);
                int q = aAt + r + i * aRow;
                FloatVector f0 = FloatVector.broadcast(S, a[q]);
                c00 = b0.fma(f0, c00);
                c01 = b1.fma(f0, c01);
                FloatVector f1 = FloatVector.broadcast(S, a[q + 1]);
                c10 = b0.fma(f1, c10);
                c11 = b1.fma(f1, c11);
                FloatVector f2 = FloatVector.broadcast(S, a[q + 2]);
                c20 = b0.fma(f2, c20);
                c21 = b1.fma(f2, c21);
                FloatVector f3 = FloatVector.broadcast(S, a[q + 3]);
                c30 = b0.fma(f3, c30);
                c31 = b1.fma(f3, c31);
                FloatVector f4 = FloatVector.broadcast(S, a[q + 4]);
                c40 = b0.fma(f4, c40);
                c41 = b1.fma(f4, c41);
                FloatVector f5 = FloatVector.broadcast(S, a[q + 5]);
                c50 = b0.fma(f5, c50);
                c51 = b1.fma(f5, c51);
                FloatVector f6 = FloatVector.broadcast(S, a[q + 6]);
                c60 = b0.fma(f6, c60);
                c61 = b1.fma(f6, c61);
                FloatVector f7 = FloatVector.broadcast(S, a[q + 7]);
                c70 = b0.fma(f7, c70);
                c71 = b1.fma(f7, c71);
            }
            o = toAt + r * W;
            c00.intoArray(to, o);
            c01.intoArray(to, o + 1 * L);
            c10.intoArray(to, o + 2 * L);
            c11.intoArray(to, o + 3 * L);
            c20.intoArray(to, o + 4 * L);
            c21.intoArray(to, o + 5 * L);
            c30.intoArray(to, o + 6 * L);
            c31.intoArray(to, o + 7 * L);
            c40.intoArray(to, o + 8 * L);
            c41.intoArray(to, o + 9 * L);
            c50.intoArray(to, o + 10 * L);
            c51.intoArray(to, o + 11 * L);
            c60.intoArray(to, o + 12 * L);
            c61.intoArray(to, o + 13 * L);
            c70.intoArray(to, o + 14 * L);
            c71.intoArray(to, o + 15 * L);
        }
    }

    private static void advanceNarrow(int panel, float[] a, int aAt, int aRow, int rows, float[] x, int xAt, float[] from,
            int fromAt, float[] to, int toAt, int states, float decay) {
        for (int r = 0; r < states; r += 8) {
            int o = fromAt + r * panel;
            FloatVector c0 = FloatVector.fromArray(S, from, o).mul(decay);
            FloatVector c1 = FloatVector.fromArray(S, from, o + 1 * panel).mul(decay);
            FloatVector c2 = FloatVector.fromArray(S, from, o + 2 * panel).mul(decay);
            FloatVector c3 = FloatVector.fromArray(S, from, o + 3 * panel).mul(decay);
            FloatVector c4 = FloatVector.fromArray(S, from, o + 4 * panel).mul(decay);
            FloatVector c5 = FloatVector.fromArray(S, from, o + 5 * panel).mul(decay);
            FloatVector c6 = FloatVector.fromArray(S, from, o + 6 * panel).mul(decay);
            FloatVector c7 = FloatVector.fromArray(S, from, o + 7 * panel).mul(decay);
            for (int i = 0; i < rows; i++) {
                FloatVector b = FloatVector.fromArray(S, x, xAt + i * panel);
                int q = aAt + r + i * aRow;
                c0 = b.fma(FloatVector.broadcast(S, a[q]), c0);
                c1 = b.fma(FloatVector.broadcast(S, a[q + 1]), c1);
                c2 = b.fma(FloatVector.broadcast(S, a[q + 2]), c2);
                c3 = b.fma(FloatVector.broadcast(S, a[q + 3]), c3);
                c4 = b.fma(FloatVector.broadcast(S, a[q + 4]), c4);
                c5 = b.fma(FloatVector.broadcast(S, a[q + 5]), c5);
                c6 = b.fma(FloatVector.broadcast(S, a[q + 6]), c6);
                c7 = b.fma(FloatVector.broadcast(S, a[q + 7]), c7);
            }
            o = toAt + r * panel;
            c0.intoArray(to, o);
            c1.intoArray(to, o + 1 * panel);
            c2.intoArray(to, o + 2 * panel);
            c3.intoArray(to, o + 3 * panel);
            c4.intoArray(to, o + 4 * panel);
            c5.intoArray(to, o + 5 * panel);
            c6.intoArray(to, o + 6 * panel);
            c7.intoArray(to, o + 7 * panel);
        }
    }

    static void project(int panel, int panels, float[] a, int aAt, int aPanel, int rows, float[] columns, float[] out) {
        for (int j = 0; j < TILE; j += L) {
            for (int r = 0; r < rows; r += TILE) {
                projectSixteen(a, aAt + r * panel, aPanel, panel, panels, columns, j, out, j + r * TILE);
            }
        }
    }

    private static void projectSixteen(float[] a, int aAt, int aPanel, int panel, int panels, float[] columns, int columnsAt, float[] out,
            int outAt) {
        FloatVector c0 = FloatVector.zero(S);
        FloatVector c1 = FloatVector.zero(S);
        FloatVector c2 = FloatVector.zero(S);
        FloatVector c3 = FloatVector.zero(S);
        FloatVector c4 = FloatVector.zero(S);
        FloatVector c5 = FloatVector.zero(S);
        FloatVector c6 = FloatVector.zero(S);
        FloatVector c7 = FloatVector.zero(S);
        FloatVector c8 = FloatVector.zero(S);
        FloatVector c9 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c11 = FloatVector.zero(S);
        FloatVector c12 = FloatVector.zero(S);
        FloatVector c13 = FloatVector.zero(S);
        FloatVector c14 = FloatVector.zero(S);
        FloatVector c15 = FloatVector.zero(S);
        for (int p = 0; p < panels; p++) {
            int b = columnsAt + p * panel * TILE;
            int a0 = aAt + p * aPanel;
            int a1 = a0 + panel;
            int a2 = a1 + panel;
            int a3 = a2 + panel;
            int a4 = a3 + panel;
            int a5 = a4 + panel;
            int a6 = a5 + panel;
            int a7 = a6 + panel;
            int a8 = a7 + panel;
            int a9 = a8 + panel;
            int a10 = a9 + panel;
            int a11 = a10 + panel;
            int a12 = a11 + panel;
            int a13 = a12 + panel;
            int a14 = a13 + panel;
            int a15 = a14 + panel;
            for (int i = 0; i < panel; i++) {
                FloatVector v = FloatVector.fromArray(S, columns, b + i * TILE);
                c0 = v.fma(FloatVector.broadcast(S, a[a0 + i]), c0);
                c1 = v.fma(FloatVector.broadcast(S, a[a1 + i]), c1);
                c2 = v.fma(FloatVector.broadcast(S, a[a2 + i]), c2);
                c3 = v.fma(FloatVector.broadcast(S, a[a3 + i]), c3);
                c4 = v.fma(FloatVector.broadcast(S, a[a4 + i]), c4);
                c5 = v.fma(FloatVector.broadcast(S, a[a5 + i]), c5);
                c6 = v.fma(FloatVector.broadcast(S, a[a6 + i]), c6);
                c7 = v.fma(FloatVector.broadcast(S, a[a7 + i]), c7);
                c8 = v.fma(FloatVector.broadcast(S, a[a8 + i]), c8);
                c9 = v.fma(FloatVector.broadcast(S, a[a9 + i]), c9);
                c10 = v.fma(FloatVector.broadcast(S, a[a10 + i]), c10);
                c11 = v.fma(FloatVector.broadcast(S, a[a11 + i]), c11);
                c12 = v.fma(FloatVector.broadcast(S, a[a12 + i]), c12);
                c13 = v.fma(FloatVector.broadcast(S, a[a13 + i]), c13);
                c14 = v.fma(FloatVector.broadcast(S, a[a14 + i]), c14);
                c15 = v.fma(FloatVector.broadcast(S, a[a15 + i]), c15);
            }
        }
        c0.intoArray(out, outAt);
        c1.intoArray(out, outAt + 1 * TILE);
        c2.intoArray(out, outAt + 2 * TILE);
        c3.intoArray(out, outAt + 3 * TILE);
        c4.intoArray(out, outAt + 4 * TILE);
        c5.intoArray(out, outAt + 5 * TILE);
        c6.intoArray(out, outAt + 6 * TILE);
        c7.intoArray(out, outAt + 7 * TILE);
        c8.intoArray(out, outAt + 8 * TILE);
        c9.intoArray(out, outAt + 9 * TILE);
        c10.intoArray(out, outAt + 10 * TILE);
        c11.intoArray(out, outAt + 11 * TILE);
        c12.intoArray(out, outAt + 12 * TILE);
        c13.intoArray(out, outAt + 13 * TILE);
        c14.intoArray(out, outAt + 14 * TILE);
        c15.intoArray(out, outAt + 15 * TILE);
    }
}
