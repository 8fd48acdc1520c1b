package dev.sequent.ssm.scan;

import dev.sequent.fused.LaneSum;
import dev.sequent.fused.VectorExp;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
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

    private static final float[] ZEROS = new float[TILE * TILE];
    private static final MemorySegment NOTHING = Arena.global().allocate(TILE * W * 4L, 64);

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

    private static void store(FloatVector v, MemorySegment target, int index) {
        v.intoMemorySegment(target, index * 4L, LE);
    }

    @Override
    public void products(float[] a, int aAt, int k, float[] b, int bAt, int bRow, float[] out, int outAt) {
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

    @Override
    public void read(int panel, float[] a, int aAt, int aRow, int states, MemorySegment state, float[] factors, float[] mix, boolean upper,
            boolean finite, int rows, MemorySegment x, MemorySegment out, int outRow) {
        MemorySegment h = part(state, 0, states * panel);
        MemorySegment in = part(x, 0, TILE * panel);
        int padded = (rows + 7) & -8;
        MemorySegment o = part(out, 0, (padded - 1) * outRow + panel);
        if (!finite) {
            // products with the zeros of mix would carry a NaN to tokens that do not depend on it
            readWith(panel, a, aAt, aRow, states, h, factors, ZEROS, upper, padded, part(NOTHING, 0, TILE * W), o, outRow);
            addTriangle(panel, mix, upper, rows, in, o, outRow);
        } else {
            readWith(panel, a, aAt, aRow, states, h, factors, mix, upper, padded, in, o, outRow);
        }
    }

    private static void readWith(int panel, float[] a, int aAt, int aRow, int states, MemorySegment state, float[] factors, float[] mix,
            boolean upper, int rows, MemorySegment x, MemorySegment out, int outRow) {
        if (panel == W && L == 16) {
            readWide(a, aAt, aRow, states, state, factors, mix, upper, rows, x, out, outRow);
        } else {
            for (int j = 0; j < panel; j += L) {
                readNarrow(panel, j, a, aAt, aRow, states, state, factors, mix, upper, rows, x, out, outRow);
            }
        }
    }

    private static void addTriangle(int panel, float[] mix, boolean upper, int rows, MemorySegment x, MemorySegment out, int outRow) {
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < panel; j += L) {
                FloatVector c = load(out, t * outRow + j);
                for (int i = upper ? t : 0; i < (upper ? rows : t + 1); i++) {
                    c = load(x, i * panel + j).fma(FloatVector.broadcast(S, mix[i * TILE + t]), c);
                }
                store(c, out, t * outRow + j);
            }
        }
    }

    /** Four rows of four vectors; {@code rows} is a multiple of four. */
    private static void readWide(float[] a, int aAt, int aRow, int states, MemorySegment state, float[] factors, float[] mix, boolean upper, int rows,
            MemorySegment x, MemorySegment out, int outRow) {
        for (int r = 0; r < rows; r += 4) {
            FloatVector c00 = FloatVector.zero(S);
            FloatVector c01 = FloatVector.zero(S);
            FloatVector c02 = FloatVector.zero(S);
            FloatVector c03 = FloatVector.zero(S);
            FloatVector c10 = FloatVector.zero(S);
            FloatVector c11 = FloatVector.zero(S);
            FloatVector c12 = FloatVector.zero(S);
            FloatVector c13 = FloatVector.zero(S);
            FloatVector c20 = FloatVector.zero(S);
            FloatVector c21 = FloatVector.zero(S);
            FloatVector c22 = FloatVector.zero(S);
            FloatVector c23 = FloatVector.zero(S);
            FloatVector c30 = FloatVector.zero(S);
            FloatVector c31 = FloatVector.zero(S);
            FloatVector c32 = FloatVector.zero(S);
            FloatVector c33 = FloatVector.zero(S);
            int at = aAt + r;
            for (int i = 0; i < states; i++) {
                int q = at + i * aRow;
                FloatVector b0 = load(state, i * W);
                FloatVector b1 = load(state, i * W + L);
                FloatVector b2 = load(state, i * W + 2 * L);
                FloatVector b3 = load(state, i * W + 3 * L);
                FloatVector f = FloatVector.broadcast(S, a[q]);
                c00 = b0.fma(f, c00);
                c01 = b1.fma(f, c01);
                c02 = b2.fma(f, c02);
                c03 = b3.fma(f, c03);
                f = FloatVector.broadcast(S, a[q + 1]);
                c10 = b0.fma(f, c10);
                c11 = b1.fma(f, c11);
                c12 = b2.fma(f, c12);
                c13 = b3.fma(f, c13);
                f = FloatVector.broadcast(S, a[q + 2]);
                c20 = b0.fma(f, c20);
                c21 = b1.fma(f, c21);
                c22 = b2.fma(f, c22);
                c23 = b3.fma(f, c23);
                f = FloatVector.broadcast(S, a[q + 3]);
                c30 = b0.fma(f, c30);
                c31 = b1.fma(f, c31);
                c32 = b2.fma(f, c32);
                c33 = b3.fma(f, c33);
            }
            FloatVector g = FloatVector.broadcast(S, factors[r]);
            c00 = c00.mul(g);
            c01 = c01.mul(g);
            c02 = c02.mul(g);
            c03 = c03.mul(g);
            g = FloatVector.broadcast(S, factors[r + 1]);
            c10 = c10.mul(g);
            c11 = c11.mul(g);
            c12 = c12.mul(g);
            c13 = c13.mul(g);
            g = FloatVector.broadcast(S, factors[r + 2]);
            c20 = c20.mul(g);
            c21 = c21.mul(g);
            c22 = c22.mul(g);
            c23 = c23.mul(g);
            g = FloatVector.broadcast(S, factors[r + 3]);
            c30 = c30.mul(g);
            c31 = c31.mul(g);
            c32 = c32.mul(g);
            c33 = c33.mul(g);
            int to = upper ? rows : Math.min(rows, r + 4);
            for (int i = upper ? r : 0; i < to; i++) {
                int q = i * TILE + r;
                FloatVector b0 = load(x, i * W);
                FloatVector b1 = load(x, i * W + L);
                FloatVector b2 = load(x, i * W + 2 * L);
                FloatVector b3 = load(x, i * W + 3 * L);
                FloatVector f = FloatVector.broadcast(S, mix[q]);
                c00 = b0.fma(f, c00);
                c01 = b1.fma(f, c01);
                c02 = b2.fma(f, c02);
                c03 = b3.fma(f, c03);
                f = FloatVector.broadcast(S, mix[q + 1]);
                c10 = b0.fma(f, c10);
                c11 = b1.fma(f, c11);
                c12 = b2.fma(f, c12);
                c13 = b3.fma(f, c13);
                f = FloatVector.broadcast(S, mix[q + 2]);
                c20 = b0.fma(f, c20);
                c21 = b1.fma(f, c21);
                c22 = b2.fma(f, c22);
                c23 = b3.fma(f, c23);
                f = FloatVector.broadcast(S, mix[q + 3]);
                c30 = b0.fma(f, c30);
                c31 = b1.fma(f, c31);
                c32 = b2.fma(f, c32);
                c33 = b3.fma(f, c33);
            }
            int o = r * outRow;
            store(c00, out, o);
            store(c01, out, o + 1 * L);
            store(c02, out, o + 2 * L);
            store(c03, out, o + 3 * L);
            o += outRow;
            store(c10, out, o);
            store(c11, out, o + 1 * L);
            store(c12, out, o + 2 * L);
            store(c13, out, o + 3 * L);
            o += outRow;
            store(c20, out, o);
            store(c21, out, o + 1 * L);
            store(c22, out, o + 2 * L);
            store(c23, out, o + 3 * L);
            o += outRow;
            store(c30, out, o);
            store(c31, out, o + 1 * L);
            store(c32, out, o + 2 * L);
            store(c33, out, o + 3 * L);
        }
    }

    private static void readNarrow(int panel, int j, float[] a, int aAt, int aRow, int states, MemorySegment state, float[] factors, float[] mix,
            boolean upper, int rows, MemorySegment x, MemorySegment out, int outRow) {
        for (int r = 0; r < rows; r += 8) {
            FloatVector c0 = FloatVector.zero(S);
            FloatVector c1 = FloatVector.zero(S);
            FloatVector c2 = FloatVector.zero(S);
            FloatVector c3 = FloatVector.zero(S);
            FloatVector c4 = FloatVector.zero(S);
            FloatVector c5 = FloatVector.zero(S);
            FloatVector c6 = FloatVector.zero(S);
            FloatVector c7 = FloatVector.zero(S);
            int at = aAt + r;
            for (int i = 0; i < states; i++) {
                int q = at + i * aRow;
                FloatVector b = load(state, i * panel + j);
                c0 = b.fma(FloatVector.broadcast(S, a[q]), c0);
                c1 = b.fma(FloatVector.broadcast(S, a[q + 1]), c1);
                c2 = b.fma(FloatVector.broadcast(S, a[q + 2]), c2);
                c3 = b.fma(FloatVector.broadcast(S, a[q + 3]), c3);
                c4 = b.fma(FloatVector.broadcast(S, a[q + 4]), c4);
                c5 = b.fma(FloatVector.broadcast(S, a[q + 5]), c5);
                c6 = b.fma(FloatVector.broadcast(S, a[q + 6]), c6);
                c7 = b.fma(FloatVector.broadcast(S, a[q + 7]), c7);
            }
            c0 = c0.mul(factors[r]);
            c1 = c1.mul(factors[r + 1]);
            c2 = c2.mul(factors[r + 2]);
            c3 = c3.mul(factors[r + 3]);
            c4 = c4.mul(factors[r + 4]);
            c5 = c5.mul(factors[r + 5]);
            c6 = c6.mul(factors[r + 6]);
            c7 = c7.mul(factors[r + 7]);
            int to = upper ? rows : Math.min(rows, r + 8);
            for (int i = upper ? r : 0; i < to; i++) {
                int q = i * TILE + r;
                FloatVector b = load(x, i * panel + j);
                c0 = b.fma(FloatVector.broadcast(S, mix[q]), c0);
                c1 = b.fma(FloatVector.broadcast(S, mix[q + 1]), c1);
                c2 = b.fma(FloatVector.broadcast(S, mix[q + 2]), c2);
                c3 = b.fma(FloatVector.broadcast(S, mix[q + 3]), c3);
                c4 = b.fma(FloatVector.broadcast(S, mix[q + 4]), c4);
                c5 = b.fma(FloatVector.broadcast(S, mix[q + 5]), c5);
                c6 = b.fma(FloatVector.broadcast(S, mix[q + 6]), c6);
                c7 = b.fma(FloatVector.broadcast(S, mix[q + 7]), c7);
            }
            int o = r * outRow + j;
            store(c0, out, o);
            store(c1, out, o + outRow);
            store(c2, out, o + 2 * outRow);
            store(c3, out, o + 3 * outRow);
            store(c4, out, o + 4 * outRow);
            store(c5, out, o + 5 * outRow);
            store(c6, out, o + 6 * outRow);
            store(c7, out, o + 7 * outRow);
        }
    }

    @Override
    public void advance(int panel, float[] a, int aAt, int aRow, int rows, MemorySegment x, MemorySegment state, int states, float decay) {
        MemorySegment in = part(x, 0, TILE * panel);
        MemorySegment h = part(state, 0, states * panel);
        if (panel == W && L == 16) {
            advanceWide(a, aAt, aRow, rows, in, h, states, decay);
        } else {
            for (int j = 0; j < panel; j += L) {
                advanceNarrow(panel, j, a, aAt, aRow, rows, in, h, states, decay);
            }
        }
    }

    /** Four rows of four vectors. */
    private static void advanceWide(float[] a, int aAt, int aRow, int rows, MemorySegment x, MemorySegment state, int states, float decay) {
        for (int r = 0; r < states; r += 4) {
            int o = r * W;
            FloatVector c00 = load(state, o).mul(decay);
            FloatVector c01 = load(state, o + 1 * L).mul(decay);
            FloatVector c02 = load(state, o + 2 * L).mul(decay);
            FloatVector c03 = load(state, o + 3 * L).mul(decay);
            FloatVector c10 = load(state, o + 4 * L).mul(decay);
            FloatVector c11 = load(state, o + 5 * L).mul(decay);
            FloatVector c12 = load(state, o + 6 * L).mul(decay);
            FloatVector c13 = load(state, o + 7 * L).mul(decay);
            FloatVector c20 = load(state, o + 8 * L).mul(decay);
            FloatVector c21 = load(state, o + 9 * L).mul(decay);
            FloatVector c22 = load(state, o + 10 * L).mul(decay);
            FloatVector c23 = load(state, o + 11 * L).mul(decay);
            FloatVector c30 = load(state, o + 12 * L).mul(decay);
            FloatVector c31 = load(state, o + 13 * L).mul(decay);
            FloatVector c32 = load(state, o + 14 * L).mul(decay);
            FloatVector c33 = load(state, o + 15 * L).mul(decay);
            int at = aAt + r;
            for (int i = 0; i < rows; i++) {
                int q = at + i * aRow;
                FloatVector b0 = load(x, i * W);
                FloatVector b1 = load(x, i * W + L);
                FloatVector b2 = load(x, i * W + 2 * L);
                FloatVector b3 = load(x, i * W + 3 * L);
                FloatVector f = FloatVector.broadcast(S, a[q]);
                c00 = b0.fma(f, c00);
                c01 = b1.fma(f, c01);
                c02 = b2.fma(f, c02);
                c03 = b3.fma(f, c03);
                f = FloatVector.broadcast(S, a[q + 1]);
                c10 = b0.fma(f, c10);
                c11 = b1.fma(f, c11);
                c12 = b2.fma(f, c12);
                c13 = b3.fma(f, c13);
                f = FloatVector.broadcast(S, a[q + 2]);
                c20 = b0.fma(f, c20);
                c21 = b1.fma(f, c21);
                c22 = b2.fma(f, c22);
                c23 = b3.fma(f, c23);
                f = FloatVector.broadcast(S, a[q + 3]);
                c30 = b0.fma(f, c30);
                c31 = b1.fma(f, c31);
                c32 = b2.fma(f, c32);
                c33 = b3.fma(f, c33);
            }
            store(c00, state, o);
            store(c01, state, o + 1 * L);
            store(c02, state, o + 2 * L);
            store(c03, state, o + 3 * L);
            store(c10, state, o + 4 * L);
            store(c11, state, o + 5 * L);
            store(c12, state, o + 6 * L);
            store(c13, state, o + 7 * L);
            store(c20, state, o + 8 * L);
            store(c21, state, o + 9 * L);
            store(c22, state, o + 10 * L);
            store(c23, state, o + 11 * L);
            store(c30, state, o + 12 * L);
            store(c31, state, o + 13 * L);
            store(c32, state, o + 14 * L);
            store(c33, state, o + 15 * L);
        }
    }

    private static void advanceNarrow(int panel, int j, float[] a, int aAt, int aRow, int rows, MemorySegment x, MemorySegment state, int states,
            float decay) {
        for (int r = 0; r < states; r += 8) {
            int o = r * panel + j;
            FloatVector c0 = load(state, o).mul(decay);
            FloatVector c1 = load(state, o + panel).mul(decay);
            FloatVector c2 = load(state, o + 2 * panel).mul(decay);
            FloatVector c3 = load(state, o + 3 * panel).mul(decay);
            FloatVector c4 = load(state, o + 4 * panel).mul(decay);
            FloatVector c5 = load(state, o + 5 * panel).mul(decay);
            FloatVector c6 = load(state, o + 6 * panel).mul(decay);
            FloatVector c7 = load(state, o + 7 * panel).mul(decay);
            int at = aAt + r;
            for (int i = 0; i < rows; i++) {
                int q = at + i * aRow;
                FloatVector b = load(x, i * panel + j);
                c0 = b.fma(FloatVector.broadcast(S, a[q]), c0);
                c1 = b.fma(FloatVector.broadcast(S, a[q + 1]), c1);
                c2 = b.fma(FloatVector.broadcast(S, a[q + 2]), c2);
                c3 = b.fma(FloatVector.broadcast(S, a[q + 3]), c3);
                c4 = b.fma(FloatVector.broadcast(S, a[q + 4]), c4);
                c5 = b.fma(FloatVector.broadcast(S, a[q + 5]), c5);
                c6 = b.fma(FloatVector.broadcast(S, a[q + 6]), c6);
                c7 = b.fma(FloatVector.broadcast(S, a[q + 7]), c7);
            }
            store(c0, state, o);
            store(c1, state, o + panel);
            store(c2, state, o + 2 * panel);
            store(c3, state, o + 3 * panel);
            store(c4, state, o + 4 * panel);
            store(c5, state, o + 5 * panel);
            store(c6, state, o + 6 * panel);
            store(c7, state, o + 7 * panel);
        }
    }

    @Override
    public void project(int panel, MemorySegment a, int rows, MemorySegment columns, MemorySegment out, boolean add) {
        MemorySegment as = part(a, 0, rows * panel);
        MemorySegment cs = part(columns, 0, panel * TILE);
        MemorySegment os = part(out, 0, rows * TILE);
        for (int j = 0; j < TILE; j += L) {
            projectRows(panel, as, rows, cs, j, os, add);
        }
    }

    /** Eight rows of one vector. */
    private static void projectRows(int panel, MemorySegment a, int rows, MemorySegment columns, int j, MemorySegment out, boolean add) {
        for (int r = 0; r < rows; r += 8) {
            int o = r * TILE + j;
            FloatVector c0 = add ? load(out, o) : FloatVector.zero(S);
            FloatVector c1 = add ? load(out, o + 1 * TILE) : FloatVector.zero(S);
            FloatVector c2 = add ? load(out, o + 2 * TILE) : FloatVector.zero(S);
            FloatVector c3 = add ? load(out, o + 3 * TILE) : FloatVector.zero(S);
            FloatVector c4 = add ? load(out, o + 4 * TILE) : FloatVector.zero(S);
            FloatVector c5 = add ? load(out, o + 5 * TILE) : FloatVector.zero(S);
            FloatVector c6 = add ? load(out, o + 6 * TILE) : FloatVector.zero(S);
            FloatVector c7 = add ? load(out, o + 7 * TILE) : FloatVector.zero(S);
            int a0 = r * panel;
            int a1 = a0 + panel;
            int a2 = a1 + panel;
            int a3 = a2 + panel;
            int a4 = a3 + panel;
            int a5 = a4 + panel;
            int a6 = a5 + panel;
            int a7 = a6 + panel;
            for (int i = 0; i < panel; i++) {
                FloatVector b = load(columns, i * TILE + j);
                c0 = b.fma(FloatVector.broadcast(S, a.get(F32, (a0 + i) * 4L)), c0);
                c1 = b.fma(FloatVector.broadcast(S, a.get(F32, (a1 + i) * 4L)), c1);
                c2 = b.fma(FloatVector.broadcast(S, a.get(F32, (a2 + i) * 4L)), c2);
                c3 = b.fma(FloatVector.broadcast(S, a.get(F32, (a3 + i) * 4L)), c3);
                c4 = b.fma(FloatVector.broadcast(S, a.get(F32, (a4 + i) * 4L)), c4);
                c5 = b.fma(FloatVector.broadcast(S, a.get(F32, (a5 + i) * 4L)), c5);
                c6 = b.fma(FloatVector.broadcast(S, a.get(F32, (a6 + i) * 4L)), c6);
                c7 = b.fma(FloatVector.broadcast(S, a.get(F32, (a7 + i) * 4L)), c7);
            }
            store(c0, out, o);
            store(c1, out, o + 1 * TILE);
            store(c2, out, o + 2 * TILE);
            store(c3, out, o + 3 * TILE);
            store(c4, out, o + 4 * TILE);
            store(c5, out, o + 5 * TILE);
            store(c6, out, o + 6 * TILE);
            store(c7, out, o + 7 * TILE);
        }
    }

    @Override
    public boolean pack(MemorySegment x, int xRow, int rows, int columns, int panel, float[] factors, MemorySegment plain, MemorySegment scaled) {
        MemorySegment xs = part(x, 0, (rows - 1) * xRow + columns);
        MemorySegment ps = part(plain, 0, TILE * panel);
        MemorySegment ss = part(scaled, 0, TILE * panel);
        int whole = columns - columns % L;
        FloatVector zeros = FloatVector.zero(S);
        float rest = 0;
        for (int t = 0; t < rows; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[t]);
            for (int j = 0; j < whole; j += L) {
                FloatVector v = load(xs, t * xRow + j);
                zeros = v.fma(FloatVector.zero(S), zeros);
                store(v, ps, t * panel + j);
                store(v.mul(f), ss, t * panel + j);
            }
            for (int j = whole; j < columns; j++) {
                float v = xs.get(F32, (t * xRow + j) * 4L);
                rest += v * 0;
                ps.set(F32, (t * panel + j) * 4L, v);
                ss.set(F32, (t * panel + j) * 4L, v * factors[t]);
            }
            for (int j = columns; j < panel; j++) {
                ps.set(F32, (t * panel + j) * 4L, 0);
                ss.set(F32, (t * panel + j) * 4L, 0);
            }
        }
        for (int i = rows * panel; i < TILE * panel; i += L) {
            store(FloatVector.zero(S), ps, i);
            store(FloatVector.zero(S), ss, i);
        }
        return rest == 0 && zeros.compare(VectorOperators.EQ, 0f).allTrue();
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
            for (int t = 0; t < TILE; t++) {
                VectorMask<Float> beyond = VectorMask.fromLong(S, t < rows ? beyond(t + 1 - j) : -1L);
                row = row.fma(FloatVector.broadcast(S, decay[from + t]), FloatVector.fromArray(S, IDENTITY, t * TILE + j)).blend(0f, beyond);
                row.intoArray(l, t * TILE + j);
                row.mul(FloatVector.fromArray(S, m, mAt + t * TILE + j)).blend(0f, beyond).intoArray(s, t * TILE + j);
            }
        }
    }

    /** The lanes from {@code count} on. */
    private static long beyond(int count) {
        return -1L << Math.clamp(count, 0, L);
    }

    @Override
    public void sourceWeights(float[] m, int mAt, float[] decay, int from, float[] steps, float skip, int rows, float[] s) {
        for (int j = 0; j < TILE; j += L) {
            FloatVector row = FloatVector.zero(S);
            for (int i = TILE - 1; i >= rows; i--) {
                row.intoArray(s, i * TILE + j);
            }
            for (int i = rows - 1; i >= 0; i--) {
                FloatVector one = FloatVector.fromArray(S, IDENTITY, i * TILE + j);
                VectorMask<Float> earlier = VectorMask.fromLong(S, ~beyond(i - j));
                // zeros times a decay or step that is NaN are none
                row = row.blend(0f, VectorMask.fromLong(S, ~beyond(i + 1 - j))).add(one);
                row.mul(steps[i]).mul(FloatVector.fromArray(S, m, mAt + i * TILE + j)).add(one.mul(skip)).blend(0f, earlier).intoArray(s, i * TILE + j);
                row = row.mul(decay[from + i]);
            }
        }
    }

    @Override
    public void combine(MemorySegment x, int xAt, int xRow, float[] factors, MemorySegment y, int yAt, int yRow, float factor, int rows, int width,
            MemorySegment out, int outAt, int outRow) {
        MemorySegment zs = part(x, xAt, (rows - 1) * xRow + width);
        MemorySegment ys = part(y, yAt, (rows - 1) * yRow + width);
        MemorySegment os = part(out, outAt, (rows - 1) * outRow + width);
        int whole = width - width % L;
        for (int t = 0; t < rows; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[t]);
            for (int j = 0; j < whole; j += L) {
                load(zs, t * xRow + j).fma(f, load(ys, t * yRow + j).mul(factor)).intoMemorySegment(os, (t * outRow + j) * 4L, LE);
            }
            for (int j = whole; j < width; j++) {
                float value = Math.fma(zs.get(F32, (t * xRow + j) * 4L), factors[t], ys.get(F32, (t * yRow + j) * 4L) * factor);
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
    public float dot(MemorySegment x, MemorySegment y, int count) {
        MemorySegment xs = part(x, 0, count);
        MemorySegment ys = part(y, 0, count);
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = FloatVector.zero(S);
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
    public void transpose(MemorySegment x, int columns, float[] factors, MemorySegment out) {
        MemorySegment xs = part(x, 0, TILE * columns);
        MemorySegment os = part(out, 0, columns * TILE);
        for (int t = 0; t < TILE; t++) {
            float f = factors[t];
            for (int j = 0; j < columns; j++) {
                os.set(F32, (j * TILE + t) * 4L, f * xs.get(F32, (t * columns + j) * 4L));
            }
        }
    }

    @Override
    public void collect(MemorySegment x, int states, float[] factors, int rows, float[] weights, int weightsAt, float[] total, int totalAt, int row,
            float[] sums) {
        MemorySegment xs = part(x, 0, states * TILE);
        for (int j = 0; j < TILE; j += L) {
            VectorMask<Float> beyond = VectorMask.fromLong(S, beyond(rows - j));
            FloatVector f = FloatVector.fromArray(S, factors, j);
            FloatVector sum = FloatVector.zero(S);
            for (int n = 0; n < states; n++) {
                FloatVector value = load(xs, n * TILE + j).mul(f).blend(0f, beyond);
                load(total, totalAt + n * row + j).add(value).intoArray(total, totalAt + n * row + j);
                sum = value.fma(load(weights, weightsAt + n * row + j), sum);
            }
            sum.intoArray(sums, j);
        }
    }

    @Override
    public void addProducts(float[] l, MemorySegment k, int count, float[] total, int totalAt) {
        MemorySegment ks = part(k, 0, count);
        for (int i = 0; i < count; i += L) {
            load(l, i).fma(load(ks, i), load(total, totalAt + i)).intoArray(total, totalAt + i);
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
