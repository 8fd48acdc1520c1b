package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.GemmKernels.LANES;
import static dev.sequent.backend.cpu.GemmKernels.S;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Kernels for products with few rows, which read every element of B once and straight from native memory: packing it would cost more
 * than multiplying it. Rows of A stand in a heap array, each padded with zeros to a multiple of {@code LANES} elements; results go to
 * a heap array; {@code lanes} is scratch for 16 vectors. Distances of rows of B are in bytes. Stateless.
 */
final class GemvKernels {
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LE);

    private GemvKernels() {}

    /** Rows of B whose products are summed over their lanes together. */
    static final int GROUP = 16;

    /** Bytes of B of a task: so few that threads end together, and so many that handing tasks out costs nothing. */
    private static final int TASK_BYTES = 1 << 17;

    /** Rows of B of a task, where one takes {@code bytes} bytes. */
    static int taskRows(long bytes) {
        return (int) Math.max(1, TASK_BYTES / bytes / GROUP) * GROUP;
    }

    /** Products of one row of A with rows of B stored as (n, k), four at a time. */
    static void dotOne(float[] a, MemorySegment b, long offset, long ld, int columns, int k, float[] out, float[] lanes) {
        for (int j = 0; j < columns; j += GROUP) {
            int count = Math.min(GROUP, columns - j);
            for (int g = 0; g < count; g += 4) {
                int last = count - 1 - g;
                long first = offset + (j + g) * ld;
                dot1x4(a, b, first, first + Math.min(1, last) * ld, first + Math.min(2, last) * ld, first + Math.min(3, last) * ld, k,
                        lanes, g * LANES);
            }
            sums(lanes, count, out, j);
        }
        addTail(a, 0, b, offset, ld, columns, k, out, 0);
    }

    /** Products of rows of A with rows of B stored as (n, k), four by four; rows of the output are {@code ldo} apart. */
    static void dotMany(float[] a, int m, int lda, MemorySegment b, long offset, long ld, int columns, int k, float[] out, int ldo,
            float[] lanes) {
        for (int j = 0; j < columns; j += 4) {
            int last = columns - 1 - j;
            long first = offset + j * ld;
            for (int i = 0; i < m; i += 4) {
                dot4x4(a, i * lda, lda, b, first, first + Math.min(1, last) * ld, first + Math.min(2, last) * ld,
                        first + Math.min(3, last) * ld, k, out, i * ldo + j, ldo, lanes);
            }
        }
        for (int i = 0; i < m; i++) {
            addTail(a, i * lda, b, offset, ld, columns, k, out, i * ldo);
        }
    }

    /** Writes the sums of the first {@code count} of 16 vectors. */
    static void sums(float[] lanes, int count, float[] out, int to) {
        sumVectors(lanes);
        for (int j = 0; j < count; j++) {
            out[to + j] = lanes[j / LANES * LANES * LANES + j % LANES];
        }
    }

    /** Adds the products of the last elements of k, which fill no vector. */
    private static void addTail(float[] a, int ao, MemorySegment b, long offset, long ld, int columns, int k, float[] out, int oo) {
        int full = S.loopBound(k);
        for (int j = 0; full < k && j < columns; j++) {
            float sum = out[oo + j];
            for (int p = full; p < k; p++) {
                sum += a[ao + p] * b.get(FLOAT, offset + j * ld + 4L * p);
            }
            out[oo + j] = sum;
        }
    }

    private static void dot1x4(float[] a, MemorySegment b, long o0, long o1, long o2, long o3, int k, float[] lanes, int to) {
        int full = S.loopBound(k);
        // slices made here are indexed by small numbers: checks of bounds then cost nothing
        MemorySegment b0 = b.asSlice(o0, 4L * full);
        MemorySegment b1 = b.asSlice(o1, 4L * full);
        MemorySegment b2 = b.asSlice(o2, 4L * full);
        MemorySegment b3 = b.asSlice(o3, 4L * full);
        FloatVector u0 = FloatVector.zero(S);
        FloatVector u1 = FloatVector.zero(S);
        FloatVector u2 = FloatVector.zero(S);
        FloatVector u3 = FloatVector.zero(S);
        FloatVector v0 = FloatVector.zero(S);
        FloatVector v1 = FloatVector.zero(S);
        FloatVector v2 = FloatVector.zero(S);
        FloatVector v3 = FloatVector.zero(S);
        int p = 0;
        for (; p + 2 * LANES <= full; p += 2 * LANES) {
            FloatVector x = FloatVector.fromArray(S, a, p);
            FloatVector y = FloatVector.fromArray(S, a, p + LANES);
            u0 = x.fma(FloatVector.fromMemorySegment(S, b0, p * 4L, LE), u0);
            u1 = x.fma(FloatVector.fromMemorySegment(S, b1, p * 4L, LE), u1);
            u2 = x.fma(FloatVector.fromMemorySegment(S, b2, p * 4L, LE), u2);
            u3 = x.fma(FloatVector.fromMemorySegment(S, b3, p * 4L, LE), u3);
            v0 = y.fma(FloatVector.fromMemorySegment(S, b0, (p + LANES) * 4L, LE), v0);
            v1 = y.fma(FloatVector.fromMemorySegment(S, b1, (p + LANES) * 4L, LE), v1);
            v2 = y.fma(FloatVector.fromMemorySegment(S, b2, (p + LANES) * 4L, LE), v2);
            v3 = y.fma(FloatVector.fromMemorySegment(S, b3, (p + LANES) * 4L, LE), v3);
        }
        if (p < full) {
            FloatVector x = FloatVector.fromArray(S, a, p);
            u0 = x.fma(FloatVector.fromMemorySegment(S, b0, p * 4L, LE), u0);
            u1 = x.fma(FloatVector.fromMemorySegment(S, b1, p * 4L, LE), u1);
            u2 = x.fma(FloatVector.fromMemorySegment(S, b2, p * 4L, LE), u2);
            u3 = x.fma(FloatVector.fromMemorySegment(S, b3, p * 4L, LE), u3);
        }
        u0.add(v0).intoArray(lanes, to);
        u1.add(v1).intoArray(lanes, to + LANES);
        u2.add(v2).intoArray(lanes, to + 2 * LANES);
        u3.add(v3).intoArray(lanes, to + 3 * LANES);
    }

    /**
     * Sums each of 16 vectors: afterwards element l of every LANES-th vector is the sum of the l-th of the LANES vectors from there on.
     * Half of the lanes of two vectors at a time are added to the other half, as in a transposition.
     */
    private static void sumVectors(float[] lanes) {
        for (int group = 0; group < 16; group += LANES) {
            for (int half = LANES / 2; half > 0; half /= 2) {
                FloatVector low = GemmPacking.lowLanes(half);
                FloatVector high = GemmPacking.highLanes(half);
                for (int i = group * LANES; i < (group + half) * LANES; i += LANES) {
                    FloatVector a = FloatVector.fromArray(S, lanes, i);
                    FloatVector b = FloatVector.fromArray(S, lanes, i + half * LANES);
                    low.selectFrom(a, b).add(high.selectFrom(a, b)).intoArray(lanes, i);
                }
            }
        }
    }

    private static void dot4x4(float[] a, int ao, int lda, MemorySegment b, long o0, long o1, long o2, long o3, int k, float[] out, int to,
            int ldo, float[] lanes) {
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
        MemorySegment row0 = b.asSlice(o0, 4L * full);
        MemorySegment row1 = b.asSlice(o1, 4L * full);
        MemorySegment row2 = b.asSlice(o2, 4L * full);
        MemorySegment row3 = b.asSlice(o3, 4L * full);
        for (int p = 0; p < full; p += LANES) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, row0, p * 4L, LE);
            FloatVector b1 = FloatVector.fromMemorySegment(S, row1, p * 4L, LE);
            FloatVector b2 = FloatVector.fromMemorySegment(S, row2, p * 4L, LE);
            FloatVector b3 = FloatVector.fromMemorySegment(S, row3, p * 4L, LE);
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
        c00.intoArray(lanes, 0);
        c01.intoArray(lanes, LANES);
        c02.intoArray(lanes, 2 * LANES);
        c03.intoArray(lanes, 3 * LANES);
        c10.intoArray(lanes, 4 * LANES);
        c11.intoArray(lanes, 5 * LANES);
        c12.intoArray(lanes, 6 * LANES);
        c13.intoArray(lanes, 7 * LANES);
        c20.intoArray(lanes, 8 * LANES);
        c21.intoArray(lanes, 9 * LANES);
        c22.intoArray(lanes, 10 * LANES);
        c23.intoArray(lanes, 11 * LANES);
        c30.intoArray(lanes, 12 * LANES);
        c31.intoArray(lanes, 13 * LANES);
        c32.intoArray(lanes, 14 * LANES);
        c33.intoArray(lanes, 15 * LANES);
        sumVectors(lanes);
        for (int j = 0; j < 16; j++) {
            out[to + j / 4 * ldo + j % 4] = lanes[j / LANES * LANES * LANES + j % LANES];
        }
    }

    /**
     * Adds the products of one row of A with rows of B stored as (k, n), eight at a time, to {@code out}, which holds a multiple of
     * {@code LANES} elements.
     */
    static void axpyOne(float[] a, MemorySegment b, long offset, long ld, int columns, int k, float[] out) {
        int full = S.loopBound(columns);
        int p = 0;
        for (; p + 8 <= k; p += 8) {
            axpy1x8(a, p, b, offset + p * ld, ld, full, out);
        }
        for (int q = 0; q < k; q++) {
            axpy1x1(a[q], b, offset + q * ld, q < p ? full : 0, columns, out, 0);
        }
    }

    /** Adds the products of rows of A with rows of B stored as (k, n), four by four; rows of the output are {@code ldo} apart. */
    static void axpyMany(float[] a, int m, int lda, MemorySegment b, long offset, long ld, int columns, int k, float[] out, int ldo) {
        int full = S.loopBound(columns);
        int p = 0;
        for (; p + 4 <= k; p += 4) {
            for (int i = 0; i < m; i += 4) {
                axpy4x4(a, i * lda + p, lda, b, offset + p * ld, ld, full, out, i * ldo, ldo);
            }
        }
        for (int q = 0; q < k; q++) {
            for (int i = 0; i < m; i++) {
                axpy1x1(a[i * lda + q], b, offset + q * ld, q < p ? full : 0, columns, out, i * ldo);
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
        for (int j = 0; j < columns; j += LANES) {
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
        for (int j = 0; j < columns; j += LANES) {
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
    }

    /** One row by one row, from column {@code from} on: the edges of the larger kernels. */
    private static void axpy1x1(float x, MemorySegment b, long offset, int from, int columns, float[] out, int oo) {
        FloatVector factor = FloatVector.broadcast(S, x);
        for (int j = from; j < columns; j += LANES) {
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
