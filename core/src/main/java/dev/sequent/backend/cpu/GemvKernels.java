package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.GemmKernels.LANES;
import static dev.sequent.backend.cpu.GemmKernels.S;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Kernels for products with few rows, which read every element of B once and straight from native memory: packing it would cost more
 * than multiplying it. Rows of A stand in a heap array, each padded with zeros to a multiple of {@code LANES} elements; results go to
 * a heap array. Distances of rows of B are in bytes. Stateless.
 */
final class GemvKernels {
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;

    private GemvKernels() {}

    /** Products of one row of A with rows of B stored as (n, k), four at a time; the output is written in fours. */
    static void dotOne(float[] a, MemorySegment b, long offset, long ld, int columns, int k, float[] out) {
        for (int j = 0; j < columns; j += 4) {
            int last = columns - 1 - j;
            long first = offset + j * ld;
            dot1x4(a, b, first, first + Math.min(1, last) * ld, first + Math.min(2, last) * ld, first + Math.min(3, last) * ld, k, out, j);
        }
    }

    /** Products of rows of A with rows of B stored as (n, k), four by four; rows of the output are {@code ldo} apart. */
    static void dotMany(float[] a, int m, int lda, MemorySegment b, long offset, long ld, int columns, int k, float[] out, int ldo) {
        for (int j = 0; j < columns; j += 4) {
            int last = columns - 1 - j;
            long first = offset + j * ld;
            for (int i = 0; i < m; i += 4) {
                dot4x4(a, i * lda, lda, b, first, first + Math.min(1, last) * ld, first + Math.min(2, last) * ld,
                        first + Math.min(3, last) * ld, k, out, i * ldo + j, ldo);
            }
        }
    }

    private static void dot1x4(float[] a, MemorySegment b, long o0, long o1, long o2, long o3, int k, float[] out, int to) {
        FloatVector u0 = FloatVector.zero(S);
        FloatVector u1 = FloatVector.zero(S);
        FloatVector u2 = FloatVector.zero(S);
        FloatVector u3 = FloatVector.zero(S);
        FloatVector v0 = FloatVector.zero(S);
        FloatVector v1 = FloatVector.zero(S);
        FloatVector v2 = FloatVector.zero(S);
        FloatVector v3 = FloatVector.zero(S);
        int p = 0;
        for (; p + 2 * LANES <= k; p += 2 * LANES) {
            FloatVector x = FloatVector.fromArray(S, a, p);
            FloatVector y = FloatVector.fromArray(S, a, p + LANES);
            long at = 4L * p;
            long next = at + 4L * LANES;
            u0 = x.fma(FloatVector.fromMemorySegment(S, b, o0 + at, LE), u0);
            u1 = x.fma(FloatVector.fromMemorySegment(S, b, o1 + at, LE), u1);
            u2 = x.fma(FloatVector.fromMemorySegment(S, b, o2 + at, LE), u2);
            u3 = x.fma(FloatVector.fromMemorySegment(S, b, o3 + at, LE), u3);
            v0 = y.fma(FloatVector.fromMemorySegment(S, b, o0 + next, LE), v0);
            v1 = y.fma(FloatVector.fromMemorySegment(S, b, o1 + next, LE), v1);
            v2 = y.fma(FloatVector.fromMemorySegment(S, b, o2 + next, LE), v2);
            v3 = y.fma(FloatVector.fromMemorySegment(S, b, o3 + next, LE), v3);
        }
        for (; p < k; p += LANES) {
            VectorMask<Float> mask = S.indexInRange(p, k);
            FloatVector x = FloatVector.fromArray(S, a, p);
            long at = 4L * p;
            u0 = x.fma(FloatVector.fromMemorySegment(S, b, o0 + at, LE, mask), u0);
            u1 = x.fma(FloatVector.fromMemorySegment(S, b, o1 + at, LE, mask), u1);
            u2 = x.fma(FloatVector.fromMemorySegment(S, b, o2 + at, LE, mask), u2);
            u3 = x.fma(FloatVector.fromMemorySegment(S, b, o3 + at, LE, mask), u3);
        }
        out[to] = u0.add(v0).reduceLanes(VectorOperators.ADD);
        out[to + 1] = u1.add(v1).reduceLanes(VectorOperators.ADD);
        out[to + 2] = u2.add(v2).reduceLanes(VectorOperators.ADD);
        out[to + 3] = u3.add(v3).reduceLanes(VectorOperators.ADD);
    }

    private static void dot4x4(float[] a, int ao, int lda, MemorySegment b, long o0, long o1, long o2, long o3, int k, float[] out, int to,
            int ldo) {
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
        int full = S.loopBound(k);
        for (int p = 0; p < full; p += LANES) {
            long at = 4L * p;
            FloatVector b0 = FloatVector.fromMemorySegment(S, b, o0 + at, LE);
            FloatVector b1 = FloatVector.fromMemorySegment(S, b, o1 + at, LE);
            FloatVector b2 = FloatVector.fromMemorySegment(S, b, o2 + at, LE);
            FloatVector b3 = FloatVector.fromMemorySegment(S, b, o3 + at, LE);
            FloatVector x = FloatVector.fromArray(S, a, ao + p);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            c02 = x.fma(b2, c02);
            c03 = x.fma(b3, c03);
            x = FloatVector.fromArray(S, a, ao + lda + p);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            c12 = x.fma(b2, c12);
            c13 = x.fma(b3, c13);
            x = FloatVector.fromArray(S, a, ao + 2 * lda + p);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            c22 = x.fma(b2, c22);
            c23 = x.fma(b3, c23);
            x = FloatVector.fromArray(S, a, ao + 3 * lda + p);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            c32 = x.fma(b2, c32);
            c33 = x.fma(b3, c33);
        }
        if (full < k) {
            int p = full;
            VectorMask<Float> mask = S.indexInRange(p, k);
            long at = 4L * p;
            FloatVector b0 = FloatVector.fromMemorySegment(S, b, o0 + at, LE, mask);
            FloatVector b1 = FloatVector.fromMemorySegment(S, b, o1 + at, LE, mask);
            FloatVector b2 = FloatVector.fromMemorySegment(S, b, o2 + at, LE, mask);
            FloatVector b3 = FloatVector.fromMemorySegment(S, b, o3 + at, LE, mask);
            FloatVector x = FloatVector.fromArray(S, a, ao + p);
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            c02 = x.fma(b2, c02);
            c03 = x.fma(b3, c03);
            x = FloatVector.fromArray(S, a, ao + lda + p);
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            c12 = x.fma(b2, c12);
            c13 = x.fma(b3, c13);
            x = FloatVector.fromArray(S, a, ao + 2 * lda + p);
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            c22 = x.fma(b2, c22);
            c23 = x.fma(b3, c23);
            x = FloatVector.fromArray(S, a, ao + 3 * lda + p);
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            c32 = x.fma(b2, c32);
            c33 = x.fma(b3, c33);
        }
        out[to] = c00.reduceLanes(VectorOperators.ADD);
        out[to + 1] = c01.reduceLanes(VectorOperators.ADD);
        out[to + 2] = c02.reduceLanes(VectorOperators.ADD);
        out[to + 3] = c03.reduceLanes(VectorOperators.ADD);
        out[to + ldo] = c10.reduceLanes(VectorOperators.ADD);
        out[to + ldo + 1] = c11.reduceLanes(VectorOperators.ADD);
        out[to + ldo + 2] = c12.reduceLanes(VectorOperators.ADD);
        out[to + ldo + 3] = c13.reduceLanes(VectorOperators.ADD);
        out[to + 2 * ldo] = c20.reduceLanes(VectorOperators.ADD);
        out[to + 2 * ldo + 1] = c21.reduceLanes(VectorOperators.ADD);
        out[to + 2 * ldo + 2] = c22.reduceLanes(VectorOperators.ADD);
        out[to + 2 * ldo + 3] = c23.reduceLanes(VectorOperators.ADD);
        out[to + 3 * ldo] = c30.reduceLanes(VectorOperators.ADD);
        out[to + 3 * ldo + 1] = c31.reduceLanes(VectorOperators.ADD);
        out[to + 3 * ldo + 2] = c32.reduceLanes(VectorOperators.ADD);
        out[to + 3 * ldo + 3] = c33.reduceLanes(VectorOperators.ADD);
    }

    /**
     * Adds the products of one row of A with rows of B stored as (k, n), eight at a time, to {@code out}, which holds a multiple of
     * {@code LANES} elements.
     */
    static void axpyOne(float[] a, MemorySegment b, long offset, long ld, int columns, int k, float[] out) {
        int p = 0;
        for (; p + 8 <= k; p += 8) {
            axpy1x8(a, p, b, offset + p * ld, ld, columns, out);
        }
        for (; p < k; p++) {
            axpy1x1(a[p], b, offset + p * ld, columns, out, 0);
        }
    }

    /** Adds the products of rows of A with rows of B stored as (k, n), four by four; rows of the output are {@code ldo} apart. */
    static void axpyMany(float[] a, int m, int lda, MemorySegment b, long offset, long ld, int columns, int k, float[] out, int ldo) {
        int p = 0;
        for (; p + 4 <= k; p += 4) {
            for (int i = 0; i < m; i += 4) {
                axpy4x4(a, i * lda + p, lda, b, offset + p * ld, ld, columns, out, i * ldo, ldo);
            }
        }
        for (; p < k; p++) {
            for (int i = 0; i < m; i++) {
                axpy1x1(a[i * lda + p], b, offset + p * ld, columns, out, i * ldo);
            }
        }
    }

    private static void axpy1x8(float[] a, int ao, MemorySegment b, long offset, long ld, int columns, float[] out) {
        long o1 = offset + ld;
        long o2 = offset + 2 * ld;
        long o3 = offset + 3 * ld;
        long o4 = offset + 4 * ld;
        long o5 = offset + 5 * ld;
        long o6 = offset + 6 * ld;
        long o7 = offset + 7 * ld;
        FloatVector x0 = FloatVector.broadcast(S, a[ao]);
        FloatVector x1 = FloatVector.broadcast(S, a[ao + 1]);
        FloatVector x2 = FloatVector.broadcast(S, a[ao + 2]);
        FloatVector x3 = FloatVector.broadcast(S, a[ao + 3]);
        FloatVector x4 = FloatVector.broadcast(S, a[ao + 4]);
        FloatVector x5 = FloatVector.broadcast(S, a[ao + 5]);
        FloatVector x6 = FloatVector.broadcast(S, a[ao + 6]);
        FloatVector x7 = FloatVector.broadcast(S, a[ao + 7]);
        int full = S.loopBound(columns);
        for (int j = 0; j < full; j += LANES) {
            long at = 4L * j;
            FloatVector y = FloatVector.fromArray(S, out, j);
            FloatVector z = x1.mul(FloatVector.fromMemorySegment(S, b, o1 + at, LE));
            y = x0.fma(FloatVector.fromMemorySegment(S, b, offset + at, LE), y);
            y = x2.fma(FloatVector.fromMemorySegment(S, b, o2 + at, LE), y);
            y = x4.fma(FloatVector.fromMemorySegment(S, b, o4 + at, LE), y);
            y = x6.fma(FloatVector.fromMemorySegment(S, b, o6 + at, LE), y);
            z = x3.fma(FloatVector.fromMemorySegment(S, b, o3 + at, LE), z);
            z = x5.fma(FloatVector.fromMemorySegment(S, b, o5 + at, LE), z);
            z = x7.fma(FloatVector.fromMemorySegment(S, b, o7 + at, LE), z);
            y.add(z).intoArray(out, j);
        }
        if (full < columns) {
            int j = full;
            VectorMask<Float> mask = S.indexInRange(j, columns);
            long at = 4L * j;
            FloatVector y = FloatVector.fromArray(S, out, j);
            FloatVector z = x1.mul(FloatVector.fromMemorySegment(S, b, o1 + at, LE, mask));
            y = x0.fma(FloatVector.fromMemorySegment(S, b, offset + at, LE, mask), y);
            y = x2.fma(FloatVector.fromMemorySegment(S, b, o2 + at, LE, mask), y);
            y = x4.fma(FloatVector.fromMemorySegment(S, b, o4 + at, LE, mask), y);
            y = x6.fma(FloatVector.fromMemorySegment(S, b, o6 + at, LE, mask), y);
            z = x3.fma(FloatVector.fromMemorySegment(S, b, o3 + at, LE, mask), z);
            z = x5.fma(FloatVector.fromMemorySegment(S, b, o5 + at, LE, mask), z);
            z = x7.fma(FloatVector.fromMemorySegment(S, b, o7 + at, LE, mask), z);
            y.add(z).intoArray(out, j);
        }
    }

    private static void axpy4x4(float[] a, int ao, int lda, MemorySegment b, long offset, long ld, int columns, float[] out, int oo,
            int ldo) {
        long o1 = offset + ld;
        long o2 = offset + 2 * ld;
        long o3 = offset + 3 * ld;
        FloatVector a00 = FloatVector.broadcast(S, a[ao]);
        FloatVector a01 = FloatVector.broadcast(S, a[ao + 1]);
        FloatVector a02 = FloatVector.broadcast(S, a[ao + 2]);
        FloatVector a03 = FloatVector.broadcast(S, a[ao + 3]);
        FloatVector a10 = FloatVector.broadcast(S, a[ao + lda]);
        FloatVector a11 = FloatVector.broadcast(S, a[ao + lda + 1]);
        FloatVector a12 = FloatVector.broadcast(S, a[ao + lda + 2]);
        FloatVector a13 = FloatVector.broadcast(S, a[ao + lda + 3]);
        FloatVector a20 = FloatVector.broadcast(S, a[ao + 2 * lda]);
        FloatVector a21 = FloatVector.broadcast(S, a[ao + 2 * lda + 1]);
        FloatVector a22 = FloatVector.broadcast(S, a[ao + 2 * lda + 2]);
        FloatVector a23 = FloatVector.broadcast(S, a[ao + 2 * lda + 3]);
        FloatVector a30 = FloatVector.broadcast(S, a[ao + 3 * lda]);
        FloatVector a31 = FloatVector.broadcast(S, a[ao + 3 * lda + 1]);
        FloatVector a32 = FloatVector.broadcast(S, a[ao + 3 * lda + 2]);
        FloatVector a33 = FloatVector.broadcast(S, a[ao + 3 * lda + 3]);
        int full = S.loopBound(columns);
        for (int j = 0; j < full; j += LANES) {
            long at = 4L * j;
            FloatVector b0 = FloatVector.fromMemorySegment(S, b, offset + at, LE);
            FloatVector b1 = FloatVector.fromMemorySegment(S, b, o1 + at, LE);
            FloatVector b2 = FloatVector.fromMemorySegment(S, b, o2 + at, LE);
            FloatVector b3 = FloatVector.fromMemorySegment(S, b, o3 + at, LE);
            FloatVector y0 = FloatVector.fromArray(S, out, oo + j);
            y0 = a00.fma(b0, y0);
            y0 = a01.fma(b1, y0);
            y0 = a02.fma(b2, y0);
            y0 = a03.fma(b3, y0);
            y0.intoArray(out, oo + j);
            FloatVector y1 = FloatVector.fromArray(S, out, oo + ldo + j);
            y1 = a10.fma(b0, y1);
            y1 = a11.fma(b1, y1);
            y1 = a12.fma(b2, y1);
            y1 = a13.fma(b3, y1);
            y1.intoArray(out, oo + ldo + j);
            FloatVector y2 = FloatVector.fromArray(S, out, oo + 2 * ldo + j);
            y2 = a20.fma(b0, y2);
            y2 = a21.fma(b1, y2);
            y2 = a22.fma(b2, y2);
            y2 = a23.fma(b3, y2);
            y2.intoArray(out, oo + 2 * ldo + j);
            FloatVector y3 = FloatVector.fromArray(S, out, oo + 3 * ldo + j);
            y3 = a30.fma(b0, y3);
            y3 = a31.fma(b1, y3);
            y3 = a32.fma(b2, y3);
            y3 = a33.fma(b3, y3);
            y3.intoArray(out, oo + 3 * ldo + j);
        }
        if (full < columns) {
            int j = full;
            VectorMask<Float> mask = S.indexInRange(j, columns);
            long at = 4L * j;
            FloatVector b0 = FloatVector.fromMemorySegment(S, b, offset + at, LE, mask);
            FloatVector b1 = FloatVector.fromMemorySegment(S, b, o1 + at, LE, mask);
            FloatVector b2 = FloatVector.fromMemorySegment(S, b, o2 + at, LE, mask);
            FloatVector b3 = FloatVector.fromMemorySegment(S, b, o3 + at, LE, mask);
            FloatVector y0 = FloatVector.fromArray(S, out, oo + j);
            y0 = a00.fma(b0, y0);
            y0 = a01.fma(b1, y0);
            y0 = a02.fma(b2, y0);
            y0 = a03.fma(b3, y0);
            y0.intoArray(out, oo + j);
            FloatVector y1 = FloatVector.fromArray(S, out, oo + ldo + j);
            y1 = a10.fma(b0, y1);
            y1 = a11.fma(b1, y1);
            y1 = a12.fma(b2, y1);
            y1 = a13.fma(b3, y1);
            y1.intoArray(out, oo + ldo + j);
            FloatVector y2 = FloatVector.fromArray(S, out, oo + 2 * ldo + j);
            y2 = a20.fma(b0, y2);
            y2 = a21.fma(b1, y2);
            y2 = a22.fma(b2, y2);
            y2 = a23.fma(b3, y2);
            y2.intoArray(out, oo + 2 * ldo + j);
            FloatVector y3 = FloatVector.fromArray(S, out, oo + 3 * ldo + j);
            y3 = a30.fma(b0, y3);
            y3 = a31.fma(b1, y3);
            y3 = a32.fma(b2, y3);
            y3 = a33.fma(b3, y3);
            y3.intoArray(out, oo + 3 * ldo + j);
        }
    }

    private static void axpy1x1(float x, MemorySegment b, long offset, int columns, float[] out, int oo) {
        FloatVector factor = FloatVector.broadcast(S, x);
        for (int j = 0; j < columns; j += LANES) {
            VectorMask<Float> mask = S.indexInRange(j, columns);
            FloatVector y = FloatVector.fromArray(S, out, oo + j);
            factor.fma(FloatVector.fromMemorySegment(S, b, offset + 4L * j, LE, mask), y).intoArray(out, oo + j);
        }
    }

    /** Writes or adds {@code columns} elements of a heap array to a row of C. */
    static void store(float[] out, int from, int columns, MemorySegment c, long offset, boolean add) {
        for (int j = 0; j < columns; j += LANES) {
            VectorMask<Float> mask = S.indexInRange(j, columns);
            FloatVector y = FloatVector.fromArray(S, out, from + j, mask);
            if (add) {
                y = y.add(FloatVector.fromMemorySegment(S, c, offset + 4L * j, LE, mask));
            }
            y.intoMemorySegment(c, offset + 4L * j, LE, mask);
        }
    }
}
