package dev.sequent.backend.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The innermost loops of {@link JavaGemm}: a tile of C, held in registers, is the product of a packed panel of A and a packed
 * panel of B.
 *
 * <p>A panel of A holds {@code rows} rows of A with k slowest: element (i, k) stands at {@code k * rows + i}. A panel of B holds one
 * or two vectors of columns with k slowest: element (k, j) stands at {@code k * LANES * vectors + j}. The tile is written to a small
 * heap array with rows of {@link #WIDTH} elements, so that the kernels know neither the layout of C nor its edges.
 *
 * <p>The bodies are written out because C2 does not keep arrays of vectors in registers: 12 rows by 2 vectors fill 24 of the 32
 * registers of AVX-512 and AArch64, 6 by 2 fill 12 of the 16 of AVX2. Every element of C is one chain of fused multiply-adds in
 * ascending k in all of them, so a result does not depend on the tile that an element falls into.
 *
 * <p>Stateless. Loads only when the vector module is present.
 */
final class GemmKernels {
    static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    static final int LANES = S.length();
    /** Columns of a full tile. */
    static final int WIDTH = 2 * LANES;
    /** Rows of a full tile. */
    static final int ROWS = LANES == 16 || System.getProperty("os.arch").equals("aarch64") ? 12 : 6;
    /** Elements of a tile array. */
    static final int TILE = ROWS * WIDTH;

    private GemmKernels() {}

    /** Rows of the kernel that serves {@code rest} remaining rows. */
    static int rowsFor(int rest) {
        if (rest <= 4) {
            return 4;
        }
        return ROWS == 12 && rest <= 8 ? 8 : ROWS;
    }

    /** Writes the product of a panel of A with {@code rows} rows and a panel of B with {@code vectors} vectors to {@code tile}. */
    static void multiply(int rows, int vectors, int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        switch (2 * rows + vectors) {
            case 2 * 12 + 2 -> tile12x2(kc, a, ao, b, bo, tile);
            case 2 * 12 + 1 -> tile12x1(kc, a, ao, b, bo, tile);
            case 2 * 8 + 2 -> tile8x2(kc, a, ao, b, bo, tile);
            case 2 * 8 + 1 -> tile8x1(kc, a, ao, b, bo, tile);
            case 2 * 6 + 2 -> tile6x2(kc, a, ao, b, bo, tile);
            case 2 * 6 + 1 -> tile6x1(kc, a, ao, b, bo, tile);
            case 2 * 4 + 2 -> tile4x2(kc, a, ao, b, bo, tile);
            case 2 * 4 + 1 -> tile4x1(kc, a, ao, b, bo, tile);
            default -> throw new IllegalArgumentException("no kernel for " + rows + " rows and " + vectors + " vectors");
        }
    }

    private static void tile12x2(int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        FloatVector c0u = FloatVector.zero(S);
        FloatVector c0v = FloatVector.zero(S);
        FloatVector c1u = FloatVector.zero(S);
        FloatVector c1v = FloatVector.zero(S);
        FloatVector c2u = FloatVector.zero(S);
        FloatVector c2v = FloatVector.zero(S);
        FloatVector c3u = FloatVector.zero(S);
        FloatVector c3v = FloatVector.zero(S);
        FloatVector c4u = FloatVector.zero(S);
        FloatVector c4v = FloatVector.zero(S);
        FloatVector c5u = FloatVector.zero(S);
        FloatVector c5v = FloatVector.zero(S);
        FloatVector c6u = FloatVector.zero(S);
        FloatVector c6v = FloatVector.zero(S);
        FloatVector c7u = FloatVector.zero(S);
        FloatVector c7v = FloatVector.zero(S);
        FloatVector c8u = FloatVector.zero(S);
        FloatVector c8v = FloatVector.zero(S);
        FloatVector c9u = FloatVector.zero(S);
        FloatVector c9v = FloatVector.zero(S);
        FloatVector c10u = FloatVector.zero(S);
        FloatVector c10v = FloatVector.zero(S);
        FloatVector c11u = FloatVector.zero(S);
        FloatVector c11v = FloatVector.zero(S);
        for (int k = 0; k < kc; k++) {
            FloatVector u = FloatVector.fromArray(S, b, bo + k * WIDTH);
            FloatVector v = FloatVector.fromArray(S, b, bo + k * WIDTH + LANES);
            FloatVector a0 = FloatVector.broadcast(S, a[ao + k * 12]);
            c0u = a0.fma(u, c0u);
            c0v = a0.fma(v, c0v);
            FloatVector a1 = FloatVector.broadcast(S, a[ao + k * 12 + 1]);
            c1u = a1.fma(u, c1u);
            c1v = a1.fma(v, c1v);
            FloatVector a2 = FloatVector.broadcast(S, a[ao + k * 12 + 2]);
            c2u = a2.fma(u, c2u);
            c2v = a2.fma(v, c2v);
            FloatVector a3 = FloatVector.broadcast(S, a[ao + k * 12 + 3]);
            c3u = a3.fma(u, c3u);
            c3v = a3.fma(v, c3v);
            FloatVector a4 = FloatVector.broadcast(S, a[ao + k * 12 + 4]);
            c4u = a4.fma(u, c4u);
            c4v = a4.fma(v, c4v);
            FloatVector a5 = FloatVector.broadcast(S, a[ao + k * 12 + 5]);
            c5u = a5.fma(u, c5u);
            c5v = a5.fma(v, c5v);
            FloatVector a6 = FloatVector.broadcast(S, a[ao + k * 12 + 6]);
            c6u = a6.fma(u, c6u);
            c6v = a6.fma(v, c6v);
            FloatVector a7 = FloatVector.broadcast(S, a[ao + k * 12 + 7]);
            c7u = a7.fma(u, c7u);
            c7v = a7.fma(v, c7v);
            FloatVector a8 = FloatVector.broadcast(S, a[ao + k * 12 + 8]);
            c8u = a8.fma(u, c8u);
            c8v = a8.fma(v, c8v);
            FloatVector a9 = FloatVector.broadcast(S, a[ao + k * 12 + 9]);
            c9u = a9.fma(u, c9u);
            c9v = a9.fma(v, c9v);
            FloatVector a10 = FloatVector.broadcast(S, a[ao + k * 12 + 10]);
            c10u = a10.fma(u, c10u);
            c10v = a10.fma(v, c10v);
            FloatVector a11 = FloatVector.broadcast(S, a[ao + k * 12 + 11]);
            c11u = a11.fma(u, c11u);
            c11v = a11.fma(v, c11v);
        }
        c0u.intoArray(tile, 0);
        c0v.intoArray(tile, LANES);
        c1u.intoArray(tile, WIDTH);
        c1v.intoArray(tile, WIDTH + LANES);
        c2u.intoArray(tile, 2 * WIDTH);
        c2v.intoArray(tile, 2 * WIDTH + LANES);
        c3u.intoArray(tile, 3 * WIDTH);
        c3v.intoArray(tile, 3 * WIDTH + LANES);
        c4u.intoArray(tile, 4 * WIDTH);
        c4v.intoArray(tile, 4 * WIDTH + LANES);
        c5u.intoArray(tile, 5 * WIDTH);
        c5v.intoArray(tile, 5 * WIDTH + LANES);
        c6u.intoArray(tile, 6 * WIDTH);
        c6v.intoArray(tile, 6 * WIDTH + LANES);
        c7u.intoArray(tile, 7 * WIDTH);
        c7v.intoArray(tile, 7 * WIDTH + LANES);
        c8u.intoArray(tile, 8 * WIDTH);
        c8v.intoArray(tile, 8 * WIDTH + LANES);
        c9u.intoArray(tile, 9 * WIDTH);
        c9v.intoArray(tile, 9 * WIDTH + LANES);
        c10u.intoArray(tile, 10 * WIDTH);
        c10v.intoArray(tile, 10 * WIDTH + LANES);
        c11u.intoArray(tile, 11 * WIDTH);
        c11v.intoArray(tile, 11 * WIDTH + LANES);
    }

    private static void tile8x2(int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        FloatVector c0u = FloatVector.zero(S);
        FloatVector c0v = FloatVector.zero(S);
        FloatVector c1u = FloatVector.zero(S);
        FloatVector c1v = FloatVector.zero(S);
        FloatVector c2u = FloatVector.zero(S);
        FloatVector c2v = FloatVector.zero(S);
        FloatVector c3u = FloatVector.zero(S);
        FloatVector c3v = FloatVector.zero(S);
        FloatVector c4u = FloatVector.zero(S);
        FloatVector c4v = FloatVector.zero(S);
        FloatVector c5u = FloatVector.zero(S);
        FloatVector c5v = FloatVector.zero(S);
        FloatVector c6u = FloatVector.zero(S);
        FloatVector c6v = FloatVector.zero(S);
        FloatVector c7u = FloatVector.zero(S);
        FloatVector c7v = FloatVector.zero(S);
        for (int k = 0; k < kc; k++) {
            FloatVector u = FloatVector.fromArray(S, b, bo + k * WIDTH);
            FloatVector v = FloatVector.fromArray(S, b, bo + k * WIDTH + LANES);
            FloatVector a0 = FloatVector.broadcast(S, a[ao + k * 8]);
            c0u = a0.fma(u, c0u);
            c0v = a0.fma(v, c0v);
            FloatVector a1 = FloatVector.broadcast(S, a[ao + k * 8 + 1]);
            c1u = a1.fma(u, c1u);
            c1v = a1.fma(v, c1v);
            FloatVector a2 = FloatVector.broadcast(S, a[ao + k * 8 + 2]);
            c2u = a2.fma(u, c2u);
            c2v = a2.fma(v, c2v);
            FloatVector a3 = FloatVector.broadcast(S, a[ao + k * 8 + 3]);
            c3u = a3.fma(u, c3u);
            c3v = a3.fma(v, c3v);
            FloatVector a4 = FloatVector.broadcast(S, a[ao + k * 8 + 4]);
            c4u = a4.fma(u, c4u);
            c4v = a4.fma(v, c4v);
            FloatVector a5 = FloatVector.broadcast(S, a[ao + k * 8 + 5]);
            c5u = a5.fma(u, c5u);
            c5v = a5.fma(v, c5v);
            FloatVector a6 = FloatVector.broadcast(S, a[ao + k * 8 + 6]);
            c6u = a6.fma(u, c6u);
            c6v = a6.fma(v, c6v);
            FloatVector a7 = FloatVector.broadcast(S, a[ao + k * 8 + 7]);
            c7u = a7.fma(u, c7u);
            c7v = a7.fma(v, c7v);
        }
        c0u.intoArray(tile, 0);
        c0v.intoArray(tile, LANES);
        c1u.intoArray(tile, WIDTH);
        c1v.intoArray(tile, WIDTH + LANES);
        c2u.intoArray(tile, 2 * WIDTH);
        c2v.intoArray(tile, 2 * WIDTH + LANES);
        c3u.intoArray(tile, 3 * WIDTH);
        c3v.intoArray(tile, 3 * WIDTH + LANES);
        c4u.intoArray(tile, 4 * WIDTH);
        c4v.intoArray(tile, 4 * WIDTH + LANES);
        c5u.intoArray(tile, 5 * WIDTH);
        c5v.intoArray(tile, 5 * WIDTH + LANES);
        c6u.intoArray(tile, 6 * WIDTH);
        c6v.intoArray(tile, 6 * WIDTH + LANES);
        c7u.intoArray(tile, 7 * WIDTH);
        c7v.intoArray(tile, 7 * WIDTH + LANES);
    }

    private static void tile6x2(int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        FloatVector c0u = FloatVector.zero(S);
        FloatVector c0v = FloatVector.zero(S);
        FloatVector c1u = FloatVector.zero(S);
        FloatVector c1v = FloatVector.zero(S);
        FloatVector c2u = FloatVector.zero(S);
        FloatVector c2v = FloatVector.zero(S);
        FloatVector c3u = FloatVector.zero(S);
        FloatVector c3v = FloatVector.zero(S);
        FloatVector c4u = FloatVector.zero(S);
        FloatVector c4v = FloatVector.zero(S);
        FloatVector c5u = FloatVector.zero(S);
        FloatVector c5v = FloatVector.zero(S);
        for (int k = 0; k < kc; k++) {
            FloatVector u = FloatVector.fromArray(S, b, bo + k * WIDTH);
            FloatVector v = FloatVector.fromArray(S, b, bo + k * WIDTH + LANES);
            FloatVector a0 = FloatVector.broadcast(S, a[ao + k * 6]);
            c0u = a0.fma(u, c0u);
            c0v = a0.fma(v, c0v);
            FloatVector a1 = FloatVector.broadcast(S, a[ao + k * 6 + 1]);
            c1u = a1.fma(u, c1u);
            c1v = a1.fma(v, c1v);
            FloatVector a2 = FloatVector.broadcast(S, a[ao + k * 6 + 2]);
            c2u = a2.fma(u, c2u);
            c2v = a2.fma(v, c2v);
            FloatVector a3 = FloatVector.broadcast(S, a[ao + k * 6 + 3]);
            c3u = a3.fma(u, c3u);
            c3v = a3.fma(v, c3v);
            FloatVector a4 = FloatVector.broadcast(S, a[ao + k * 6 + 4]);
            c4u = a4.fma(u, c4u);
            c4v = a4.fma(v, c4v);
            FloatVector a5 = FloatVector.broadcast(S, a[ao + k * 6 + 5]);
            c5u = a5.fma(u, c5u);
            c5v = a5.fma(v, c5v);
        }
        c0u.intoArray(tile, 0);
        c0v.intoArray(tile, LANES);
        c1u.intoArray(tile, WIDTH);
        c1v.intoArray(tile, WIDTH + LANES);
        c2u.intoArray(tile, 2 * WIDTH);
        c2v.intoArray(tile, 2 * WIDTH + LANES);
        c3u.intoArray(tile, 3 * WIDTH);
        c3v.intoArray(tile, 3 * WIDTH + LANES);
        c4u.intoArray(tile, 4 * WIDTH);
        c4v.intoArray(tile, 4 * WIDTH + LANES);
        c5u.intoArray(tile, 5 * WIDTH);
        c5v.intoArray(tile, 5 * WIDTH + LANES);
    }

    private static void tile4x2(int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        FloatVector c0u = FloatVector.zero(S);
        FloatVector c0v = FloatVector.zero(S);
        FloatVector c1u = FloatVector.zero(S);
        FloatVector c1v = FloatVector.zero(S);
        FloatVector c2u = FloatVector.zero(S);
        FloatVector c2v = FloatVector.zero(S);
        FloatVector c3u = FloatVector.zero(S);
        FloatVector c3v = FloatVector.zero(S);
        for (int k = 0; k < kc; k++) {
            FloatVector u = FloatVector.fromArray(S, b, bo + k * WIDTH);
            FloatVector v = FloatVector.fromArray(S, b, bo + k * WIDTH + LANES);
            FloatVector a0 = FloatVector.broadcast(S, a[ao + k * 4]);
            c0u = a0.fma(u, c0u);
            c0v = a0.fma(v, c0v);
            FloatVector a1 = FloatVector.broadcast(S, a[ao + k * 4 + 1]);
            c1u = a1.fma(u, c1u);
            c1v = a1.fma(v, c1v);
            FloatVector a2 = FloatVector.broadcast(S, a[ao + k * 4 + 2]);
            c2u = a2.fma(u, c2u);
            c2v = a2.fma(v, c2v);
            FloatVector a3 = FloatVector.broadcast(S, a[ao + k * 4 + 3]);
            c3u = a3.fma(u, c3u);
            c3v = a3.fma(v, c3v);
        }
        c0u.intoArray(tile, 0);
        c0v.intoArray(tile, LANES);
        c1u.intoArray(tile, WIDTH);
        c1v.intoArray(tile, WIDTH + LANES);
        c2u.intoArray(tile, 2 * WIDTH);
        c2v.intoArray(tile, 2 * WIDTH + LANES);
        c3u.intoArray(tile, 3 * WIDTH);
        c3v.intoArray(tile, 3 * WIDTH + LANES);
    }

    private static void tile12x1(int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        FloatVector c0u = FloatVector.zero(S);
        FloatVector c1u = FloatVector.zero(S);
        FloatVector c2u = FloatVector.zero(S);
        FloatVector c3u = FloatVector.zero(S);
        FloatVector c4u = FloatVector.zero(S);
        FloatVector c5u = FloatVector.zero(S);
        FloatVector c6u = FloatVector.zero(S);
        FloatVector c7u = FloatVector.zero(S);
        FloatVector c8u = FloatVector.zero(S);
        FloatVector c9u = FloatVector.zero(S);
        FloatVector c10u = FloatVector.zero(S);
        FloatVector c11u = FloatVector.zero(S);
        for (int k = 0; k < kc; k++) {
            FloatVector u = FloatVector.fromArray(S, b, bo + k * LANES);
            c0u = u.fma(FloatVector.broadcast(S, a[ao + k * 12]), c0u);
            c1u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 1]), c1u);
            c2u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 2]), c2u);
            c3u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 3]), c3u);
            c4u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 4]), c4u);
            c5u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 5]), c5u);
            c6u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 6]), c6u);
            c7u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 7]), c7u);
            c8u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 8]), c8u);
            c9u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 9]), c9u);
            c10u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 10]), c10u);
            c11u = u.fma(FloatVector.broadcast(S, a[ao + k * 12 + 11]), c11u);
        }
        c0u.intoArray(tile, 0);
        c1u.intoArray(tile, WIDTH);
        c2u.intoArray(tile, 2 * WIDTH);
        c3u.intoArray(tile, 3 * WIDTH);
        c4u.intoArray(tile, 4 * WIDTH);
        c5u.intoArray(tile, 5 * WIDTH);
        c6u.intoArray(tile, 6 * WIDTH);
        c7u.intoArray(tile, 7 * WIDTH);
        c8u.intoArray(tile, 8 * WIDTH);
        c9u.intoArray(tile, 9 * WIDTH);
        c10u.intoArray(tile, 10 * WIDTH);
        c11u.intoArray(tile, 11 * WIDTH);
    }

    private static void tile8x1(int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        FloatVector c0u = FloatVector.zero(S);
        FloatVector c1u = FloatVector.zero(S);
        FloatVector c2u = FloatVector.zero(S);
        FloatVector c3u = FloatVector.zero(S);
        FloatVector c4u = FloatVector.zero(S);
        FloatVector c5u = FloatVector.zero(S);
        FloatVector c6u = FloatVector.zero(S);
        FloatVector c7u = FloatVector.zero(S);
        for (int k = 0; k < kc; k++) {
            FloatVector u = FloatVector.fromArray(S, b, bo + k * LANES);
            c0u = u.fma(FloatVector.broadcast(S, a[ao + k * 8]), c0u);
            c1u = u.fma(FloatVector.broadcast(S, a[ao + k * 8 + 1]), c1u);
            c2u = u.fma(FloatVector.broadcast(S, a[ao + k * 8 + 2]), c2u);
            c3u = u.fma(FloatVector.broadcast(S, a[ao + k * 8 + 3]), c3u);
            c4u = u.fma(FloatVector.broadcast(S, a[ao + k * 8 + 4]), c4u);
            c5u = u.fma(FloatVector.broadcast(S, a[ao + k * 8 + 5]), c5u);
            c6u = u.fma(FloatVector.broadcast(S, a[ao + k * 8 + 6]), c6u);
            c7u = u.fma(FloatVector.broadcast(S, a[ao + k * 8 + 7]), c7u);
        }
        c0u.intoArray(tile, 0);
        c1u.intoArray(tile, WIDTH);
        c2u.intoArray(tile, 2 * WIDTH);
        c3u.intoArray(tile, 3 * WIDTH);
        c4u.intoArray(tile, 4 * WIDTH);
        c5u.intoArray(tile, 5 * WIDTH);
        c6u.intoArray(tile, 6 * WIDTH);
        c7u.intoArray(tile, 7 * WIDTH);
    }

    private static void tile6x1(int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        FloatVector c0u = FloatVector.zero(S);
        FloatVector c1u = FloatVector.zero(S);
        FloatVector c2u = FloatVector.zero(S);
        FloatVector c3u = FloatVector.zero(S);
        FloatVector c4u = FloatVector.zero(S);
        FloatVector c5u = FloatVector.zero(S);
        for (int k = 0; k < kc; k++) {
            FloatVector u = FloatVector.fromArray(S, b, bo + k * LANES);
            c0u = u.fma(FloatVector.broadcast(S, a[ao + k * 6]), c0u);
            c1u = u.fma(FloatVector.broadcast(S, a[ao + k * 6 + 1]), c1u);
            c2u = u.fma(FloatVector.broadcast(S, a[ao + k * 6 + 2]), c2u);
            c3u = u.fma(FloatVector.broadcast(S, a[ao + k * 6 + 3]), c3u);
            c4u = u.fma(FloatVector.broadcast(S, a[ao + k * 6 + 4]), c4u);
            c5u = u.fma(FloatVector.broadcast(S, a[ao + k * 6 + 5]), c5u);
        }
        c0u.intoArray(tile, 0);
        c1u.intoArray(tile, WIDTH);
        c2u.intoArray(tile, 2 * WIDTH);
        c3u.intoArray(tile, 3 * WIDTH);
        c4u.intoArray(tile, 4 * WIDTH);
        c5u.intoArray(tile, 5 * WIDTH);
    }

    private static void tile4x1(int kc, float[] a, int ao, float[] b, int bo, float[] tile) {
        FloatVector c0u = FloatVector.zero(S);
        FloatVector c1u = FloatVector.zero(S);
        FloatVector c2u = FloatVector.zero(S);
        FloatVector c3u = FloatVector.zero(S);
        for (int k = 0; k < kc; k++) {
            FloatVector u = FloatVector.fromArray(S, b, bo + k * LANES);
            c0u = u.fma(FloatVector.broadcast(S, a[ao + k * 4]), c0u);
            c1u = u.fma(FloatVector.broadcast(S, a[ao + k * 4 + 1]), c1u);
            c2u = u.fma(FloatVector.broadcast(S, a[ao + k * 4 + 2]), c2u);
            c3u = u.fma(FloatVector.broadcast(S, a[ao + k * 4 + 3]), c3u);
        }
        c0u.intoArray(tile, 0);
        c1u.intoArray(tile, WIDTH);
        c2u.intoArray(tile, 2 * WIDTH);
        c3u.intoArray(tile, 3 * WIDTH);
    }
}
