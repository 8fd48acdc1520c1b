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

    /** Rows of B that are read at a time: several streams, because one alone waits at the start of every page. */
    static final int STREAMS = 8;

    /** Bytes of B of a task at least: so many that handing tasks out costs nothing. */
    private static final long TASK_BYTES = 1 << 17;
    /** Bytes of B of a task at most: memory is slow at the start of each task. */
    private static final long MOST_TASK_BYTES = 1 << 19;
    /** Tasks for each thread, if they can be so small. */
    private static final int TASKS_PER_THREAD = 16;

    /**
     * Tasks of consecutive rows of B: three quarters of the rows in large ones, the rest in small ones, so that threads end together.
     *
     * @param rows of B
     * @param large number of large tasks
     * @param largeRows rows of a large task
     * @param smallRows rows of a small task; the last may have fewer
     */
    record Tasks(int rows, int large, int largeRows, int smallRows) {
        /** The tasks of a matrix of {@code rows} rows of {@code bytes} bytes. */
        static Tasks of(int rows, long bytes, int threads) {
            long most = Math.clamp(rows * bytes / threads / TASKS_PER_THREAD, TASK_BYTES, MOST_TASK_BYTES);
            int largeRows = groups(most, bytes);
            return new Tasks(rows, rows / 4 * 3 / largeRows, largeRows, groups(TASK_BYTES, bytes));
        }

        private static int groups(long task, long bytes) {
            return (int) Math.max(1, task / bytes / GROUP) * GROUP;
        }

        int count() {
            return large + Math.ceilDiv(rows - large * largeRows, smallRows);
        }

        /** First row of a task; where the last one ends for the number of tasks. */
        int from(int task) {
            return Math.min(rows, Math.min(task, large) * largeRows + Math.max(0, task - large) * smallRows);
        }
    }

    /** Products of one row of A with rows of B stored as (n, k), eight at a time. */
    static void dotOne(float[] a, MemorySegment b, long offset, long ld, int columns, int k, float[] out, float[] lanes) {
        for (int j = 0; j < columns; j += GROUP) {
            int count = Math.min(GROUP, columns - j);
            for (int g = 0; g < count; g += STREAMS) {
                dot1x8(a, b, offset + (j + g) * ld, ld, count - 1 - g, k, lanes, g * LANES);
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

    /** Eight rows of B from {@code offset} on, of which there are {@code last + 1}; beyond it the last one takes part several times. */
    private static void dot1x8(float[] a, MemorySegment b, long offset, long ld, int last, int k, float[] lanes, int to) {
        int full = S.loopBound(k);
        // slices made here are indexed by small numbers: checks of bounds then cost nothing
        MemorySegment b0 = b.asSlice(offset, 4L * full);
        MemorySegment b1 = b.asSlice(offset + Math.min(1, last) * ld, 4L * full);
        MemorySegment b2 = b.asSlice(offset + Math.min(2, last) * ld, 4L * full);
        MemorySegment b3 = b.asSlice(offset + Math.min(3, last) * ld, 4L * full);
        MemorySegment b4 = b.asSlice(offset + Math.min(4, last) * ld, 4L * full);
        MemorySegment b5 = b.asSlice(offset + Math.min(5, last) * ld, 4L * full);
        MemorySegment b6 = b.asSlice(offset + Math.min(6, last) * ld, 4L * full);
        MemorySegment b7 = b.asSlice(offset + Math.min(7, last) * ld, 4L * full);
        FloatVector c0 = FloatVector.zero(S);
        FloatVector c1 = FloatVector.zero(S);
        FloatVector c2 = FloatVector.zero(S);
        FloatVector c3 = FloatVector.zero(S);
        FloatVector c4 = FloatVector.zero(S);
        FloatVector c5 = FloatVector.zero(S);
        FloatVector c6 = FloatVector.zero(S);
        FloatVector c7 = FloatVector.zero(S);
        for (int p = 0; p < full; p += LANES) {
            FloatVector x = FloatVector.fromArray(S, a, p);
            c0 = x.fma(FloatVector.fromMemorySegment(S, b0, p * 4L, LE), c0);
            c1 = x.fma(FloatVector.fromMemorySegment(S, b1, p * 4L, LE), c1);
            c2 = x.fma(FloatVector.fromMemorySegment(S, b2, p * 4L, LE), c2);
            c3 = x.fma(FloatVector.fromMemorySegment(S, b3, p * 4L, LE), c3);
            c4 = x.fma(FloatVector.fromMemorySegment(S, b4, p * 4L, LE), c4);
            c5 = x.fma(FloatVector.fromMemorySegment(S, b5, p * 4L, LE), c5);
            c6 = x.fma(FloatVector.fromMemorySegment(S, b6, p * 4L, LE), c6);
            c7 = x.fma(FloatVector.fromMemorySegment(S, b7, p * 4L, LE), c7);
        }
        c0.intoArray(lanes, to);
        c1.intoArray(lanes, to + LANES);
        c2.intoArray(lanes, to + 2 * LANES);
        c3.intoArray(lanes, to + 3 * LANES);
        c4.intoArray(lanes, to + 4 * LANES);
        c5.intoArray(lanes, to + 5 * LANES);
        c6.intoArray(lanes, to + 6 * LANES);
        c7.intoArray(lanes, to + 7 * LANES);
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
