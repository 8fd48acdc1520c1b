package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.GemmKernels.LANES;
import static dev.sequent.backend.cpu.GemmKernels.ROWS;
import static dev.sequent.backend.cpu.GemmKernels.S;
import static dev.sequent.backend.cpu.GemmKernels.WIDTH;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Copies between matrices in native memory and the packed panels and tiles of {@link GemmKernels}. Offsets and row distances
 * ({@code ld}) of segments are in bytes here.
 *
 * <p>Panels are written with whole vectors that may run past the end of a row of the panel, into elements that the next row
 * overwrites; so a panel needs {@code LANES} spare elements behind it. Stateless.
 */
final class GemmPacking {
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LE);

    /** Rows of k that are copied to one panel before the next panel. */
    private static final int BATCH = 8;

    /** The index vectors of {@link #lowLanes} and {@link #highLanes} for distances 1, 2, 4, ...; never written. */
    private static final float[] LANE_TABLES = laneTables();

    private GemmPacking() {}

    /** Packs rows of A, stored as (m, k), into a panel of {@code width} rows; missing rows hold copies of the last one. */
    static void packRows(MemorySegment a, long offset, long ld, int rows, int kc, float[] dst, int po, int width) {
        if (width > LANES) {
            scalarTransposed(a, offset, ld, rows, 0, kc, dst, po, width, width);
        } else {
            packTransposed(a, offset, ld, rows, kc, dst, po, width);
        }
    }

    /**
     * Packs columns of A, stored as (k, m), into panels that are {@code panelStride} apart; the last may be narrower. A few rows of k are
     * copied to all panels before the next ones: rows may be a page apart, and each should be visited once.
     */
    static void packColumns(MemorySegment a, long offset, long ld, int rows, int kc, float[] dst, int po, int panelStride) {
        int panels = rows / ROWS;
        long end = offset + (kc - 1) * ld + 4L * (panels * ROWS - ROWS + LANES);
        int vectorK = panels == 0 || ROWS > LANES ? 0 : end <= a.byteSize() ? kc : kc - 1;
        for (int from = 0; from < vectorK; from += BATCH) {
            int to = Math.min(vectorK, from + BATCH);
            for (int p = 0; p < panels; p++) {
                copyColumns(a, offset + from * ld + 4L * p * ROWS, ld, to - from, dst, po + p * panelStride + from * ROWS, ROWS);
            }
        }
        for (int p = 0; p < panels; p++) {
            scalarColumns(a, offset + 4L * p * ROWS, ld, ROWS, vectorK, kc, dst, po + p * panelStride, ROWS);
        }
        int rest = rows - panels * ROWS;
        if (rest > 0) {
            int width = GemmKernels.rowsFor(rest);
            scalarColumns(a, offset + 4L * panels * ROWS, ld, rest, 0, kc, dst, po + panels * panelStride, width);
        }
    }

    private static void copyColumns(MemorySegment s, long offset, long ld, int count, float[] dst, int po, int stride) {
        for (int k = 0; k < count; k++) {
            FloatVector.fromMemorySegment(S, s, offset + k * ld, LE).intoArray(dst, po + k * stride);
        }
    }

    private static void scalarColumns(MemorySegment s, long offset, long ld, int columns, int from, int kc, float[] dst, int po,
            int width) {
        for (int k = from; k < kc; k++) {
            int to = po + k * width;
            for (int i = 0; i < width; i++) {
                dst[to + i] = i < columns ? s.get(FLOAT, offset + k * ld + 4L * i) : 0f;
            }
        }
    }

    /** Packs columns of B, stored as (k, n), into panels that are {@code panelStride} apart; the last may be narrower, with zeros. */
    static void packB(MemorySegment b, long offset, long ld, int columns, int kc, float[] dst, int po, int panelStride) {
        int panels = columns / WIDTH;
        for (int from = 0; from < kc; from += BATCH) {
            int count = Math.min(kc - from, BATCH);
            for (int p = 0; p < panels; p++) {
                copyPairs(b, offset + from * ld + 4L * p * WIDTH, ld, count, dst, po + p * panelStride + from * WIDTH);
            }
        }
        int rest = columns - panels * WIDTH;
        if (rest > 0) {
            packEdge(b, offset + 4L * panels * WIDTH, ld, rest, kc, dst, po + panels * panelStride);
        }
    }

    private static void copyPairs(MemorySegment b, long offset, long ld, int count, float[] dst, int po) {
        for (int k = 0; k < count; k++) {
            long at = offset + k * ld;
            FloatVector.fromMemorySegment(S, b, at, LE).intoArray(dst, po + k * WIDTH);
            FloatVector.fromMemorySegment(S, b, at + 4L * LANES, LE).intoArray(dst, po + k * WIDTH + LANES);
        }
    }

    private static void packEdge(MemorySegment b, long offset, long ld, int columns, int kc, float[] dst, int po) {
        int full = columns / LANES;
        int stride = columns > LANES ? WIDTH : LANES;
        VectorMask<Float> mask = S.indexInRange(0, columns - full * LANES);
        for (int k = 0; k < kc; k++) {
            long at = offset + k * ld;
            int to = po + k * stride;
            if (full == 1) {
                FloatVector.fromMemorySegment(S, b, at, LE).intoArray(dst, to);
            }
            if (full * LANES < stride) {
                FloatVector.fromMemorySegment(S, b, at + 4L * LANES * full, LE, mask).intoArray(dst, to + full * LANES);
            }
        }
    }

    /** Packs columns of B, stored as (n, k), into a panel of one or two vectors; missing columns hold copies of the last one. */
    static void packTransposedB(MemorySegment b, long offset, long ld, int columns, int kc, float[] dst, int po) {
        if (columns <= LANES) {
            packTransposed(b, offset, ld, columns, kc, dst, po, LANES);
        } else {
            packTransposed(b, offset, ld, LANES, kc, dst, po, WIDTH);
            packTransposed(b, offset + LANES * ld, ld, columns - LANES, kc, dst, po + LANES, WIDTH);
        }
    }

    /**
     * Writes element (row, k) of {@code rows} matrix rows to {@code po + k * stride + row}, with rows 0 to LANES - 1 in every store;
     * missing rows hold copies of the last one, which costs nothing and brings in no value that is not in the matrix.
     */
    private static void packTransposed(MemorySegment s, long offset, long ld, int rows, int kc, float[] dst, int po, int stride) {
        int done = switch (LANES) {
            case 16 -> transpose16(s, offset, ld, rows - 1, kc, dst, po, stride);
            case 8 -> transpose8(s, offset, ld, rows - 1, kc, dst, po, stride);
            default -> 0;
        };
        scalarTransposed(s, offset, ld, rows, done, kc, dst, po, stride, Math.min(stride, LANES));
    }

    private static void scalarTransposed(MemorySegment s, long offset, long ld, int rows, int from, int kc, float[] dst, int po,
            int stride, int width) {
        for (int i = 0; i < width; i++) {
            long row = offset + Math.min(i, rows - 1) * ld;
            for (int k = from; k < kc; k++) {
                dst[po + k * stride + i] = s.get(FLOAT, row + 4L * k);
            }
        }
    }

    /** Copies or adds a tile to {@code rows} rows and {@code columns} columns of C. */
    static void store(float[] tile, int rows, int columns, MemorySegment c, long offset, long ld, boolean add) {
        if (columns == WIDTH) {
            MemorySegment block = c.asSlice(offset, (rows - 1) * ld + 4L * WIDTH);
            for (int i = 0; i < rows; i++) {
                long at = i * ld;
                FloatVector u = FloatVector.fromArray(S, tile, i * WIDTH);
                FloatVector v = FloatVector.fromArray(S, tile, i * WIDTH + LANES);
                if (add) {
                    u = u.add(FloatVector.fromMemorySegment(S, block, at, LE));
                    v = v.add(FloatVector.fromMemorySegment(S, block, at + 4L * LANES, LE));
                }
                u.intoMemorySegment(block, at, LE);
                v.intoMemorySegment(block, at + 4L * LANES, LE);
            }
            return;
        }
        int full = columns / LANES;
        VectorMask<Float> mask = S.indexInRange(0, columns - full * LANES);
        for (int i = 0; i < rows; i++) {
            long at = offset + i * ld;
            if (full == 1) {
                FloatVector u = FloatVector.fromArray(S, tile, i * WIDTH);
                if (add) {
                    u = u.add(FloatVector.fromMemorySegment(S, c, at, LE));
                }
                u.intoMemorySegment(c, at, LE);
            }
            if (full * LANES < columns) {
                long rest = at + 4L * LANES * full;
                FloatVector v = FloatVector.fromArray(S, tile, i * WIDTH + full * LANES);
                if (add) {
                    v = v.add(FloatVector.fromMemorySegment(S, c, rest, LE, mask));
                }
                v.intoMemorySegment(c, rest, LE, mask);
            }
        }
    }

    /** Copies or adds a tile to a heap matrix with rows of {@code ld} elements. */
    static void store(float[] tile, int rows, int columns, float[] c, int offset, int ld, boolean add) {
        for (int i = 0; i < rows; i++) {
            int to = offset + i * ld;
            int from = i * WIDTH;
            for (int j = 0; j < columns; j++) {
                c[to + j] = add ? c[to + j] + tile[from + j] : tile[from + j];
            }
        }
    }

    /** Writes or adds the sum of {@code parts} rows of {@code n} elements, {@code stride} apart, to a row of C. */
    static void sum(float[] partial, int first, int stride, int parts, int n, MemorySegment c, long offset, boolean add) {
        for (int j = 0; j < n; j += LANES) {
            VectorMask<Float> mask = S.indexInRange(j, n);
            long at = offset + 4L * j;
            FloatVector sum = FloatVector.fromArray(S, partial, first + j, mask);
            for (int p = 1; p < parts; p++) {
                sum = sum.add(FloatVector.fromArray(S, partial, first + p * stride + j, mask));
            }
            if (add) {
                sum = sum.add(FloatVector.fromMemorySegment(S, c, at, LE, mask));
            }
            sum.intoMemorySegment(c, at, LE, mask);
        }
    }

    /** Index vector whose lane l takes lane l of the first vector where bit {@code d} of l is 0, else lane l - d of the second. */
    static FloatVector lowLanes(int d) {
        return FloatVector.fromArray(S, LANE_TABLES, 2 * LANES * Integer.numberOfTrailingZeros(d));
    }

    /** Index vector whose lane l takes lane l + d of the first vector where bit {@code d} of l is 0, else lane l of the second. */
    static FloatVector highLanes(int d) {
        return FloatVector.fromArray(S, LANE_TABLES, 2 * LANES * Integer.numberOfTrailingZeros(d) + LANES);
    }

    private static float[] laneTables() {
        float[] tables = new float[2 * LANES * Integer.numberOfTrailingZeros(LANES)];
        for (int d = 1, at = 0; d < LANES; d *= 2, at += 2 * LANES) {
            for (int l = 0; l < LANES; l++) {
                boolean first = (l & d) == 0;
                tables[at + l] = first ? l : LANES + l - d;
                tables[at + LANES + l] = first ? l + d : LANES + l;
            }
        }
        return tables;
    }

    /** Transposes blocks of 16 rows by 16 columns; see {@link #packTransposed}. */
    private static int transpose16(MemorySegment s, long offset, long ld, int last, int kc, float[] dst, int po, int stride) {
        final FloatVector low8 = lowLanes(8);
        final FloatVector high8 = highLanes(8);
        final FloatVector low4 = lowLanes(4);
        final FloatVector high4 = highLanes(4);
        final FloatVector low2 = lowLanes(2);
        final FloatVector high2 = highLanes(2);
        final FloatVector low1 = lowLanes(1);
        final FloatVector high1 = highLanes(1);
        final long o1 = offset + Math.min(1, last) * ld;
        final long o2 = offset + Math.min(2, last) * ld;
        final long o3 = offset + Math.min(3, last) * ld;
        final long o4 = offset + Math.min(4, last) * ld;
        final long o5 = offset + Math.min(5, last) * ld;
        final long o6 = offset + Math.min(6, last) * ld;
        final long o7 = offset + Math.min(7, last) * ld;
        final long o8 = offset + Math.min(8, last) * ld;
        final long o9 = offset + Math.min(9, last) * ld;
        final long o10 = offset + Math.min(10, last) * ld;
        final long o11 = offset + Math.min(11, last) * ld;
        final long o12 = offset + Math.min(12, last) * ld;
        final long o13 = offset + Math.min(13, last) * ld;
        final long o14 = offset + Math.min(14, last) * ld;
        final long o15 = offset + Math.min(15, last) * ld;
        int k = 0;
        for (; k + 16 <= kc; k += 16) {
            long at = 4L * k;
            FloatVector r0 = FloatVector.fromMemorySegment(S, s, offset + at, LE);
            FloatVector r1 = FloatVector.fromMemorySegment(S, s, o1 + at, LE);
            FloatVector r2 = FloatVector.fromMemorySegment(S, s, o2 + at, LE);
            FloatVector r3 = FloatVector.fromMemorySegment(S, s, o3 + at, LE);
            FloatVector r4 = FloatVector.fromMemorySegment(S, s, o4 + at, LE);
            FloatVector r5 = FloatVector.fromMemorySegment(S, s, o5 + at, LE);
            FloatVector r6 = FloatVector.fromMemorySegment(S, s, o6 + at, LE);
            FloatVector r7 = FloatVector.fromMemorySegment(S, s, o7 + at, LE);
            FloatVector r8 = FloatVector.fromMemorySegment(S, s, o8 + at, LE);
            FloatVector r9 = FloatVector.fromMemorySegment(S, s, o9 + at, LE);
            FloatVector r10 = FloatVector.fromMemorySegment(S, s, o10 + at, LE);
            FloatVector r11 = FloatVector.fromMemorySegment(S, s, o11 + at, LE);
            FloatVector r12 = FloatVector.fromMemorySegment(S, s, o12 + at, LE);
            FloatVector r13 = FloatVector.fromMemorySegment(S, s, o13 + at, LE);
            FloatVector r14 = FloatVector.fromMemorySegment(S, s, o14 + at, LE);
            FloatVector r15 = FloatVector.fromMemorySegment(S, s, o15 + at, LE);
            FloatVector a0 = low8.selectFrom(r0, r8);
            FloatVector a8 = high8.selectFrom(r0, r8);
            FloatVector a1 = low8.selectFrom(r1, r9);
            FloatVector a9 = high8.selectFrom(r1, r9);
            FloatVector a2 = low8.selectFrom(r2, r10);
            FloatVector a10 = high8.selectFrom(r2, r10);
            FloatVector a3 = low8.selectFrom(r3, r11);
            FloatVector a11 = high8.selectFrom(r3, r11);
            FloatVector a4 = low8.selectFrom(r4, r12);
            FloatVector a12 = high8.selectFrom(r4, r12);
            FloatVector a5 = low8.selectFrom(r5, r13);
            FloatVector a13 = high8.selectFrom(r5, r13);
            FloatVector a6 = low8.selectFrom(r6, r14);
            FloatVector a14 = high8.selectFrom(r6, r14);
            FloatVector a7 = low8.selectFrom(r7, r15);
            FloatVector a15 = high8.selectFrom(r7, r15);
            FloatVector b0 = low4.selectFrom(a0, a4);
            FloatVector b4 = high4.selectFrom(a0, a4);
            FloatVector b1 = low4.selectFrom(a1, a5);
            FloatVector b5 = high4.selectFrom(a1, a5);
            FloatVector b2 = low4.selectFrom(a2, a6);
            FloatVector b6 = high4.selectFrom(a2, a6);
            FloatVector b3 = low4.selectFrom(a3, a7);
            FloatVector b7 = high4.selectFrom(a3, a7);
            FloatVector b8 = low4.selectFrom(a8, a12);
            FloatVector b12 = high4.selectFrom(a8, a12);
            FloatVector b9 = low4.selectFrom(a9, a13);
            FloatVector b13 = high4.selectFrom(a9, a13);
            FloatVector b10 = low4.selectFrom(a10, a14);
            FloatVector b14 = high4.selectFrom(a10, a14);
            FloatVector b11 = low4.selectFrom(a11, a15);
            FloatVector b15 = high4.selectFrom(a11, a15);
            FloatVector c0 = low2.selectFrom(b0, b2);
            FloatVector c2 = high2.selectFrom(b0, b2);
            FloatVector c1 = low2.selectFrom(b1, b3);
            FloatVector c3 = high2.selectFrom(b1, b3);
            FloatVector c4 = low2.selectFrom(b4, b6);
            FloatVector c6 = high2.selectFrom(b4, b6);
            FloatVector c5 = low2.selectFrom(b5, b7);
            FloatVector c7 = high2.selectFrom(b5, b7);
            FloatVector c8 = low2.selectFrom(b8, b10);
            FloatVector c10 = high2.selectFrom(b8, b10);
            FloatVector c9 = low2.selectFrom(b9, b11);
            FloatVector c11 = high2.selectFrom(b9, b11);
            FloatVector c12 = low2.selectFrom(b12, b14);
            FloatVector c14 = high2.selectFrom(b12, b14);
            FloatVector c13 = low2.selectFrom(b13, b15);
            FloatVector c15 = high2.selectFrom(b13, b15);
            FloatVector d0 = low1.selectFrom(c0, c1);
            FloatVector d1 = high1.selectFrom(c0, c1);
            FloatVector d2 = low1.selectFrom(c2, c3);
            FloatVector d3 = high1.selectFrom(c2, c3);
            FloatVector d4 = low1.selectFrom(c4, c5);
            FloatVector d5 = high1.selectFrom(c4, c5);
            FloatVector d6 = low1.selectFrom(c6, c7);
            FloatVector d7 = high1.selectFrom(c6, c7);
            FloatVector d8 = low1.selectFrom(c8, c9);
            FloatVector d9 = high1.selectFrom(c8, c9);
            FloatVector d10 = low1.selectFrom(c10, c11);
            FloatVector d11 = high1.selectFrom(c10, c11);
            FloatVector d12 = low1.selectFrom(c12, c13);
            FloatVector d13 = high1.selectFrom(c12, c13);
            FloatVector d14 = low1.selectFrom(c14, c15);
            FloatVector d15 = high1.selectFrom(c14, c15);
            int to = po + k * stride;
            d0.intoArray(dst, to);
            d1.intoArray(dst, to + stride);
            d2.intoArray(dst, to + 2 * stride);
            d3.intoArray(dst, to + 3 * stride);
            d4.intoArray(dst, to + 4 * stride);
            d5.intoArray(dst, to + 5 * stride);
            d6.intoArray(dst, to + 6 * stride);
            d7.intoArray(dst, to + 7 * stride);
            d8.intoArray(dst, to + 8 * stride);
            d9.intoArray(dst, to + 9 * stride);
            d10.intoArray(dst, to + 10 * stride);
            d11.intoArray(dst, to + 11 * stride);
            d12.intoArray(dst, to + 12 * stride);
            d13.intoArray(dst, to + 13 * stride);
            d14.intoArray(dst, to + 14 * stride);
            d15.intoArray(dst, to + 15 * stride);
        }
        return k;
    }

    /** Transposes blocks of 8 rows by 8 columns; see {@link #packTransposed}. */
    private static int transpose8(MemorySegment s, long offset, long ld, int last, int kc, float[] dst, int po, int stride) {
        final FloatVector low4 = lowLanes(4);
        final FloatVector high4 = highLanes(4);
        final FloatVector low2 = lowLanes(2);
        final FloatVector high2 = highLanes(2);
        final FloatVector low1 = lowLanes(1);
        final FloatVector high1 = highLanes(1);
        final long o1 = offset + Math.min(1, last) * ld;
        final long o2 = offset + Math.min(2, last) * ld;
        final long o3 = offset + Math.min(3, last) * ld;
        final long o4 = offset + Math.min(4, last) * ld;
        final long o5 = offset + Math.min(5, last) * ld;
        final long o6 = offset + Math.min(6, last) * ld;
        final long o7 = offset + Math.min(7, last) * ld;
        int k = 0;
        for (; k + 8 <= kc; k += 8) {
            long at = 4L * k;
            FloatVector r0 = FloatVector.fromMemorySegment(S, s, offset + at, LE);
            FloatVector r1 = FloatVector.fromMemorySegment(S, s, o1 + at, LE);
            FloatVector r2 = FloatVector.fromMemorySegment(S, s, o2 + at, LE);
            FloatVector r3 = FloatVector.fromMemorySegment(S, s, o3 + at, LE);
            FloatVector r4 = FloatVector.fromMemorySegment(S, s, o4 + at, LE);
            FloatVector r5 = FloatVector.fromMemorySegment(S, s, o5 + at, LE);
            FloatVector r6 = FloatVector.fromMemorySegment(S, s, o6 + at, LE);
            FloatVector r7 = FloatVector.fromMemorySegment(S, s, o7 + at, LE);
            FloatVector a0 = low4.selectFrom(r0, r4);
            FloatVector a4 = high4.selectFrom(r0, r4);
            FloatVector a1 = low4.selectFrom(r1, r5);
            FloatVector a5 = high4.selectFrom(r1, r5);
            FloatVector a2 = low4.selectFrom(r2, r6);
            FloatVector a6 = high4.selectFrom(r2, r6);
            FloatVector a3 = low4.selectFrom(r3, r7);
            FloatVector a7 = high4.selectFrom(r3, r7);
            FloatVector b0 = low2.selectFrom(a0, a2);
            FloatVector b2 = high2.selectFrom(a0, a2);
            FloatVector b1 = low2.selectFrom(a1, a3);
            FloatVector b3 = high2.selectFrom(a1, a3);
            FloatVector b4 = low2.selectFrom(a4, a6);
            FloatVector b6 = high2.selectFrom(a4, a6);
            FloatVector b5 = low2.selectFrom(a5, a7);
            FloatVector b7 = high2.selectFrom(a5, a7);
            FloatVector c0 = low1.selectFrom(b0, b1);
            FloatVector c1 = high1.selectFrom(b0, b1);
            FloatVector c2 = low1.selectFrom(b2, b3);
            FloatVector c3 = high1.selectFrom(b2, b3);
            FloatVector c4 = low1.selectFrom(b4, b5);
            FloatVector c5 = high1.selectFrom(b4, b5);
            FloatVector c6 = low1.selectFrom(b6, b7);
            FloatVector c7 = high1.selectFrom(b6, b7);
            int to = po + k * stride;
            c0.intoArray(dst, to);
            c1.intoArray(dst, to + stride);
            c2.intoArray(dst, to + 2 * stride);
            c3.intoArray(dst, to + 3 * stride);
            c4.intoArray(dst, to + 4 * stride);
            c5.intoArray(dst, to + 5 * stride);
            c6.intoArray(dst, to + 6 * stride);
            c7.intoArray(dst, to + 7 * stride);
        }
        return k;
    }
}
