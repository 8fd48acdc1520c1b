package dev.sequent.transformer.attention;

import dev.sequent.fused.AddressSpace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Register-blocked matrix products of attention's tiles, on memory that fits the caches.
 *
 * <p>Two layouts meet here. A <i>row tile</i> holds vectors of one head in their natural order, {@link #COLUMNS} channels per tile row;
 * wider heads have several row tiles. A <i>panel</i> holds rows of {@link #PANEL} lanes; lanes are queries in the forward pass and keys in
 * the backward pass. Row tiles are read one float at a time and broadcast, so neither operand is repacked.
 *
 * <p>What the inner loops read as vectors lies in native memory that is aligned to cache lines; in arrays, which begin 16 bytes behind a
 * line, every 512-bit load crosses one, and the same loops are a tenth slower. What is broadcast, or read once a call, lies in arrays.
 * Kernels check the bounds of native operands before the loop and then use {@link AddressSpace}, and strides are constants: only then
 * are accesses free of checks, whatever segments the program has used elsewhere.
 *
 * <p>Every product is written out by hand, because helper methods inside such loops are not inlined and box their vectors. Six rows by
 * four vectors keep 24 accumulators in 32 registers and leave room for the loads that the compiler moves ahead of the arithmetic (eight
 * rows by three vectors spill). 256-bit machines have 16 registers and take two vectors at a time. Stateless.
 */
final class Tiles {
    static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
    static final int LANES = F.length();

    /** Lanes of a panel. */
    static final int PANEL = 4 * LANES;

    /** Channels in a row of a row tile. */
    static final int COLUMNS = 64;

    /** Rows of a result that are computed together by {@link #dots} and {@link #product}. */
    static final int ROWS = 6;

    /** Bytes of a vector, of a row of a panel and of a row of a row tile. */
    private static final long VECTOR = LANES * 4L;
    private static final long PANEL_ROW = PANEL * 4L;
    private static final long TILE_ROW = COLUMNS * 4L;

    private static final boolean MANY_REGISTERS = LANES != 8;
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
    private static final MemorySegment ALL = AddressSpace.ALL;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

    private Tiles() {}

    /**
     * C = A B, or C += A B, for {@link #ROWS} rows of a row tile A and panels B and C: scores, or products of values and result gradients.
     *
     * @param count channels
     * @param spare null for C = A B, else room for {@link #ROWS} rows, because a kernel that also loads C is more than the first compiler
     *     takes
     */
    static void dots(int count, float[] a, int ao, MemorySegment b, int bo, MemorySegment c, int co, MemorySegment spare) {
        MemorySegment to = spare == null ? c : spare;
        int at = spare == null ? co : 0;
        if (MANY_REGISTERS) {
            dots6x4(count, a, ao, b, bo, to, at);
        } else {
            dots6x2(count, a, ao, b, bo, to, at);
            dots6x2(count, a, ao, b, bo + 2 * LANES, to, at + 2 * LANES);
        }
        if (spare != null) {
            add(spare, c.asSlice(co * 4L, ROWS * PANEL_ROW));
        }
    }

    private static void add(MemorySegment from, MemorySegment to) {
        for (int i = 0; i < ROWS * PANEL; i += LANES) {
            FloatVector.fromMemorySegment(F, to, i * 4L, ORDER).add(FloatVector.fromMemorySegment(F, from, i * 4L, ORDER))
                    .intoMemorySegment(to, i * 4L, ORDER);
        }
    }

    /**
     * C += A^T B for a row tile A and panels B and C: sums of value rows weighted by probabilities, and the like. C receives
     * {@code channels} rows, and up to three more that mean nothing.
     *
     * @param count rows of A and B
     */
    static void outer(int channels, int count, float[] a, int ao, MemorySegment b, int bo, float[] c, int co) {
        for (int d = 0; d < channels; ) {
            int rest = channels - d;
            int rows = rest == 3 || rest == 4 || rest == 7 || rest == 8 ? 4 : ROWS;
            int at = co + d * PANEL;
            if (MANY_REGISTERS && rows == ROWS) {
                outer6x4(count, a, ao + d, b, bo, c, at);
            } else if (MANY_REGISTERS) {
                outer4x4(count, a, ao + d, b, bo, c, at);
            } else if (rows == ROWS) {
                outer6x2(count, a, ao + d, b, bo, c, at);
                outer6x2(count, a, ao + d, b, bo + 2 * LANES, c, at + 2 * LANES);
            } else {
                outer4x2(count, a, ao + d, b, bo, c, at);
                outer4x2(count, a, ao + d, b, bo + 2 * LANES, c, at + 2 * LANES);
            }
            d += rows;
        }
    }

    /**
     * C += A B for {@link #ROWS} rows of a panel A and row tiles B and C: sums of key rows. C receives {@code channels}
     * columns, and more that mean nothing up to a whole number of vector pairs.
     *
     * @param count lanes of A and rows of B
     */
    static void product(int channels, int count, MemorySegment a, int ao, MemorySegment b, int bo, float[] c, int co) {
        for (int d = 0; d < channels; ) {
            if (MANY_REGISTERS && channels - d > 2 * LANES) {
                product6x4(count, a, ao, b, bo + d, c, co + d);
                d += 4 * LANES;
            } else {
                product6x2(count, a, ao, b, bo + d, c, co + d);
                d += 2 * LANES;
            }
        }
    }

    private static void dots6x4(int count, float[] a, int ao, MemorySegment panels, int bo, MemorySegment scores, int co) {
        long b = AddressSpace.at(panels, bo * 4L, (count - 1) * PANEL_ROW + 4 * VECTOR);
        long c = AddressSpace.at(scores, co * 4L, 5 * PANEL_ROW + 4 * VECTOR);
        FloatVector c00 = FloatVector.zero(F);
        FloatVector c01 = FloatVector.zero(F);
        FloatVector c02 = FloatVector.zero(F);
        FloatVector c03 = FloatVector.zero(F);
        FloatVector c10 = FloatVector.zero(F);
        FloatVector c11 = FloatVector.zero(F);
        FloatVector c12 = FloatVector.zero(F);
        FloatVector c13 = FloatVector.zero(F);
        FloatVector c20 = FloatVector.zero(F);
        FloatVector c21 = FloatVector.zero(F);
        FloatVector c22 = FloatVector.zero(F);
        FloatVector c23 = FloatVector.zero(F);
        FloatVector c30 = FloatVector.zero(F);
        FloatVector c31 = FloatVector.zero(F);
        FloatVector c32 = FloatVector.zero(F);
        FloatVector c33 = FloatVector.zero(F);
        FloatVector c40 = FloatVector.zero(F);
        FloatVector c41 = FloatVector.zero(F);
        FloatVector c42 = FloatVector.zero(F);
        FloatVector c43 = FloatVector.zero(F);
        FloatVector c50 = FloatVector.zero(F);
        FloatVector c51 = FloatVector.zero(F);
        FloatVector c52 = FloatVector.zero(F);
        FloatVector c53 = FloatVector.zero(F);
        for (int k = 0; k < count; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + VECTOR, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + 2 * VECTOR, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + 3 * VECTOR, ORDER);
            FloatVector v0 = FloatVector.broadcast(F, a[ao + k]);
            c00 = v0.fma(b0, c00);
            c01 = v0.fma(b1, c01);
            c02 = v0.fma(b2, c02);
            c03 = v0.fma(b3, c03);
            FloatVector v1 = FloatVector.broadcast(F, a[ao + COLUMNS + k]);
            c10 = v1.fma(b0, c10);
            c11 = v1.fma(b1, c11);
            c12 = v1.fma(b2, c12);
            c13 = v1.fma(b3, c13);
            FloatVector v2 = FloatVector.broadcast(F, a[ao + 2 * COLUMNS + k]);
            c20 = v2.fma(b0, c20);
            c21 = v2.fma(b1, c21);
            c22 = v2.fma(b2, c22);
            c23 = v2.fma(b3, c23);
            FloatVector v3 = FloatVector.broadcast(F, a[ao + 3 * COLUMNS + k]);
            c30 = v3.fma(b0, c30);
            c31 = v3.fma(b1, c31);
            c32 = v3.fma(b2, c32);
            c33 = v3.fma(b3, c33);
            FloatVector v4 = FloatVector.broadcast(F, a[ao + 4 * COLUMNS + k]);
            c40 = v4.fma(b0, c40);
            c41 = v4.fma(b1, c41);
            c42 = v4.fma(b2, c42);
            c43 = v4.fma(b3, c43);
            FloatVector v5 = FloatVector.broadcast(F, a[ao + 5 * COLUMNS + k]);
            c50 = v5.fma(b0, c50);
            c51 = v5.fma(b1, c51);
            c52 = v5.fma(b2, c52);
            c53 = v5.fma(b3, c53);
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + VECTOR, ORDER);
        c02.intoMemorySegment(ALL, c + 2 * VECTOR, ORDER);
        c03.intoMemorySegment(ALL, c + 3 * VECTOR, ORDER);
        c10.intoMemorySegment(ALL, c + PANEL_ROW, ORDER);
        c11.intoMemorySegment(ALL, c + PANEL_ROW + VECTOR, ORDER);
        c12.intoMemorySegment(ALL, c + PANEL_ROW + 2 * VECTOR, ORDER);
        c13.intoMemorySegment(ALL, c + PANEL_ROW + 3 * VECTOR, ORDER);
        c20.intoMemorySegment(ALL, c + 2 * PANEL_ROW, ORDER);
        c21.intoMemorySegment(ALL, c + 2 * PANEL_ROW + VECTOR, ORDER);
        c22.intoMemorySegment(ALL, c + 2 * PANEL_ROW + 2 * VECTOR, ORDER);
        c23.intoMemorySegment(ALL, c + 2 * PANEL_ROW + 3 * VECTOR, ORDER);
        c30.intoMemorySegment(ALL, c + 3 * PANEL_ROW, ORDER);
        c31.intoMemorySegment(ALL, c + 3 * PANEL_ROW + VECTOR, ORDER);
        c32.intoMemorySegment(ALL, c + 3 * PANEL_ROW + 2 * VECTOR, ORDER);
        c33.intoMemorySegment(ALL, c + 3 * PANEL_ROW + 3 * VECTOR, ORDER);
        c40.intoMemorySegment(ALL, c + 4 * PANEL_ROW, ORDER);
        c41.intoMemorySegment(ALL, c + 4 * PANEL_ROW + VECTOR, ORDER);
        c42.intoMemorySegment(ALL, c + 4 * PANEL_ROW + 2 * VECTOR, ORDER);
        c43.intoMemorySegment(ALL, c + 4 * PANEL_ROW + 3 * VECTOR, ORDER);
        c50.intoMemorySegment(ALL, c + 5 * PANEL_ROW, ORDER);
        c51.intoMemorySegment(ALL, c + 5 * PANEL_ROW + VECTOR, ORDER);
        c52.intoMemorySegment(ALL, c + 5 * PANEL_ROW + 2 * VECTOR, ORDER);
        c53.intoMemorySegment(ALL, c + 5 * PANEL_ROW + 3 * VECTOR, ORDER);
    }

    private static void dots6x2(int count, float[] a, int ao, MemorySegment panels, int bo, MemorySegment scores, int co) {
        long b = AddressSpace.at(panels, bo * 4L, (count - 1) * PANEL_ROW + 2 * VECTOR);
        long c = AddressSpace.at(scores, co * 4L, 5 * PANEL_ROW + 2 * VECTOR);
        FloatVector c00 = FloatVector.zero(F);
        FloatVector c01 = FloatVector.zero(F);
        FloatVector c10 = FloatVector.zero(F);
        FloatVector c11 = FloatVector.zero(F);
        FloatVector c20 = FloatVector.zero(F);
        FloatVector c21 = FloatVector.zero(F);
        FloatVector c30 = FloatVector.zero(F);
        FloatVector c31 = FloatVector.zero(F);
        FloatVector c40 = FloatVector.zero(F);
        FloatVector c41 = FloatVector.zero(F);
        FloatVector c50 = FloatVector.zero(F);
        FloatVector c51 = FloatVector.zero(F);
        for (int k = 0; k < count; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + VECTOR, ORDER);
            FloatVector v0 = FloatVector.broadcast(F, a[ao + k]);
            c00 = v0.fma(b0, c00);
            c01 = v0.fma(b1, c01);
            FloatVector v1 = FloatVector.broadcast(F, a[ao + COLUMNS + k]);
            c10 = v1.fma(b0, c10);
            c11 = v1.fma(b1, c11);
            FloatVector v2 = FloatVector.broadcast(F, a[ao + 2 * COLUMNS + k]);
            c20 = v2.fma(b0, c20);
            c21 = v2.fma(b1, c21);
            FloatVector v3 = FloatVector.broadcast(F, a[ao + 3 * COLUMNS + k]);
            c30 = v3.fma(b0, c30);
            c31 = v3.fma(b1, c31);
            FloatVector v4 = FloatVector.broadcast(F, a[ao + 4 * COLUMNS + k]);
            c40 = v4.fma(b0, c40);
            c41 = v4.fma(b1, c41);
            FloatVector v5 = FloatVector.broadcast(F, a[ao + 5 * COLUMNS + k]);
            c50 = v5.fma(b0, c50);
            c51 = v5.fma(b1, c51);
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + VECTOR, ORDER);
        c10.intoMemorySegment(ALL, c + PANEL_ROW, ORDER);
        c11.intoMemorySegment(ALL, c + PANEL_ROW + VECTOR, ORDER);
        c20.intoMemorySegment(ALL, c + 2 * PANEL_ROW, ORDER);
        c21.intoMemorySegment(ALL, c + 2 * PANEL_ROW + VECTOR, ORDER);
        c30.intoMemorySegment(ALL, c + 3 * PANEL_ROW, ORDER);
        c31.intoMemorySegment(ALL, c + 3 * PANEL_ROW + VECTOR, ORDER);
        c40.intoMemorySegment(ALL, c + 4 * PANEL_ROW, ORDER);
        c41.intoMemorySegment(ALL, c + 4 * PANEL_ROW + VECTOR, ORDER);
        c50.intoMemorySegment(ALL, c + 5 * PANEL_ROW, ORDER);
        c51.intoMemorySegment(ALL, c + 5 * PANEL_ROW + VECTOR, ORDER);
    }

    private static void outer6x4(int count, float[] a, int ao, MemorySegment scores, int bo, float[] c, int co) {
        long b = AddressSpace.at(scores, bo * 4L, (count - 1) * PANEL_ROW + 4 * VECTOR);
        FloatVector c00 = FloatVector.fromArray(F, c, co);
        FloatVector c01 = FloatVector.fromArray(F, c, co + LANES);
        FloatVector c02 = FloatVector.fromArray(F, c, co + 2 * LANES);
        FloatVector c03 = FloatVector.fromArray(F, c, co + 3 * LANES);
        FloatVector c10 = FloatVector.fromArray(F, c, co + PANEL);
        FloatVector c11 = FloatVector.fromArray(F, c, co + PANEL + LANES);
        FloatVector c12 = FloatVector.fromArray(F, c, co + PANEL + 2 * LANES);
        FloatVector c13 = FloatVector.fromArray(F, c, co + PANEL + 3 * LANES);
        FloatVector c20 = FloatVector.fromArray(F, c, co + 2 * PANEL);
        FloatVector c21 = FloatVector.fromArray(F, c, co + 2 * PANEL + LANES);
        FloatVector c22 = FloatVector.fromArray(F, c, co + 2 * PANEL + 2 * LANES);
        FloatVector c23 = FloatVector.fromArray(F, c, co + 2 * PANEL + 3 * LANES);
        FloatVector c30 = FloatVector.fromArray(F, c, co + 3 * PANEL);
        FloatVector c31 = FloatVector.fromArray(F, c, co + 3 * PANEL + LANES);
        FloatVector c32 = FloatVector.fromArray(F, c, co + 3 * PANEL + 2 * LANES);
        FloatVector c33 = FloatVector.fromArray(F, c, co + 3 * PANEL + 3 * LANES);
        FloatVector c40 = FloatVector.fromArray(F, c, co + 4 * PANEL);
        FloatVector c41 = FloatVector.fromArray(F, c, co + 4 * PANEL + LANES);
        FloatVector c42 = FloatVector.fromArray(F, c, co + 4 * PANEL + 2 * LANES);
        FloatVector c43 = FloatVector.fromArray(F, c, co + 4 * PANEL + 3 * LANES);
        FloatVector c50 = FloatVector.fromArray(F, c, co + 5 * PANEL);
        FloatVector c51 = FloatVector.fromArray(F, c, co + 5 * PANEL + LANES);
        FloatVector c52 = FloatVector.fromArray(F, c, co + 5 * PANEL + 2 * LANES);
        FloatVector c53 = FloatVector.fromArray(F, c, co + 5 * PANEL + 3 * LANES);
        for (int k = 0; k < count; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + VECTOR, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + 2 * VECTOR, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + 3 * VECTOR, ORDER);
            FloatVector v0 = FloatVector.broadcast(F, a[ao + k * COLUMNS]);
            c00 = v0.fma(b0, c00);
            c01 = v0.fma(b1, c01);
            c02 = v0.fma(b2, c02);
            c03 = v0.fma(b3, c03);
            FloatVector v1 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 1]);
            c10 = v1.fma(b0, c10);
            c11 = v1.fma(b1, c11);
            c12 = v1.fma(b2, c12);
            c13 = v1.fma(b3, c13);
            FloatVector v2 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 2]);
            c20 = v2.fma(b0, c20);
            c21 = v2.fma(b1, c21);
            c22 = v2.fma(b2, c22);
            c23 = v2.fma(b3, c23);
            FloatVector v3 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 3]);
            c30 = v3.fma(b0, c30);
            c31 = v3.fma(b1, c31);
            c32 = v3.fma(b2, c32);
            c33 = v3.fma(b3, c33);
            FloatVector v4 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 4]);
            c40 = v4.fma(b0, c40);
            c41 = v4.fma(b1, c41);
            c42 = v4.fma(b2, c42);
            c43 = v4.fma(b3, c43);
            FloatVector v5 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 5]);
            c50 = v5.fma(b0, c50);
            c51 = v5.fma(b1, c51);
            c52 = v5.fma(b2, c52);
            c53 = v5.fma(b3, c53);
        }
        c00.intoArray(c, co);
        c01.intoArray(c, co + LANES);
        c02.intoArray(c, co + 2 * LANES);
        c03.intoArray(c, co + 3 * LANES);
        c10.intoArray(c, co + PANEL);
        c11.intoArray(c, co + PANEL + LANES);
        c12.intoArray(c, co + PANEL + 2 * LANES);
        c13.intoArray(c, co + PANEL + 3 * LANES);
        c20.intoArray(c, co + 2 * PANEL);
        c21.intoArray(c, co + 2 * PANEL + LANES);
        c22.intoArray(c, co + 2 * PANEL + 2 * LANES);
        c23.intoArray(c, co + 2 * PANEL + 3 * LANES);
        c30.intoArray(c, co + 3 * PANEL);
        c31.intoArray(c, co + 3 * PANEL + LANES);
        c32.intoArray(c, co + 3 * PANEL + 2 * LANES);
        c33.intoArray(c, co + 3 * PANEL + 3 * LANES);
        c40.intoArray(c, co + 4 * PANEL);
        c41.intoArray(c, co + 4 * PANEL + LANES);
        c42.intoArray(c, co + 4 * PANEL + 2 * LANES);
        c43.intoArray(c, co + 4 * PANEL + 3 * LANES);
        c50.intoArray(c, co + 5 * PANEL);
        c51.intoArray(c, co + 5 * PANEL + LANES);
        c52.intoArray(c, co + 5 * PANEL + 2 * LANES);
        c53.intoArray(c, co + 5 * PANEL + 3 * LANES);
    }

    private static void outer4x4(int count, float[] a, int ao, MemorySegment scores, int bo, float[] c, int co) {
        long b = AddressSpace.at(scores, bo * 4L, (count - 1) * PANEL_ROW + 4 * VECTOR);
        FloatVector c00 = FloatVector.fromArray(F, c, co);
        FloatVector c01 = FloatVector.fromArray(F, c, co + LANES);
        FloatVector c02 = FloatVector.fromArray(F, c, co + 2 * LANES);
        FloatVector c03 = FloatVector.fromArray(F, c, co + 3 * LANES);
        FloatVector c10 = FloatVector.fromArray(F, c, co + PANEL);
        FloatVector c11 = FloatVector.fromArray(F, c, co + PANEL + LANES);
        FloatVector c12 = FloatVector.fromArray(F, c, co + PANEL + 2 * LANES);
        FloatVector c13 = FloatVector.fromArray(F, c, co + PANEL + 3 * LANES);
        FloatVector c20 = FloatVector.fromArray(F, c, co + 2 * PANEL);
        FloatVector c21 = FloatVector.fromArray(F, c, co + 2 * PANEL + LANES);
        FloatVector c22 = FloatVector.fromArray(F, c, co + 2 * PANEL + 2 * LANES);
        FloatVector c23 = FloatVector.fromArray(F, c, co + 2 * PANEL + 3 * LANES);
        FloatVector c30 = FloatVector.fromArray(F, c, co + 3 * PANEL);
        FloatVector c31 = FloatVector.fromArray(F, c, co + 3 * PANEL + LANES);
        FloatVector c32 = FloatVector.fromArray(F, c, co + 3 * PANEL + 2 * LANES);
        FloatVector c33 = FloatVector.fromArray(F, c, co + 3 * PANEL + 3 * LANES);
        for (int k = 0; k < count; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + VECTOR, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + 2 * VECTOR, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + 3 * VECTOR, ORDER);
            FloatVector v0 = FloatVector.broadcast(F, a[ao + k * COLUMNS]);
            c00 = v0.fma(b0, c00);
            c01 = v0.fma(b1, c01);
            c02 = v0.fma(b2, c02);
            c03 = v0.fma(b3, c03);
            FloatVector v1 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 1]);
            c10 = v1.fma(b0, c10);
            c11 = v1.fma(b1, c11);
            c12 = v1.fma(b2, c12);
            c13 = v1.fma(b3, c13);
            FloatVector v2 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 2]);
            c20 = v2.fma(b0, c20);
            c21 = v2.fma(b1, c21);
            c22 = v2.fma(b2, c22);
            c23 = v2.fma(b3, c23);
            FloatVector v3 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 3]);
            c30 = v3.fma(b0, c30);
            c31 = v3.fma(b1, c31);
            c32 = v3.fma(b2, c32);
            c33 = v3.fma(b3, c33);
        }
        c00.intoArray(c, co);
        c01.intoArray(c, co + LANES);
        c02.intoArray(c, co + 2 * LANES);
        c03.intoArray(c, co + 3 * LANES);
        c10.intoArray(c, co + PANEL);
        c11.intoArray(c, co + PANEL + LANES);
        c12.intoArray(c, co + PANEL + 2 * LANES);
        c13.intoArray(c, co + PANEL + 3 * LANES);
        c20.intoArray(c, co + 2 * PANEL);
        c21.intoArray(c, co + 2 * PANEL + LANES);
        c22.intoArray(c, co + 2 * PANEL + 2 * LANES);
        c23.intoArray(c, co + 2 * PANEL + 3 * LANES);
        c30.intoArray(c, co + 3 * PANEL);
        c31.intoArray(c, co + 3 * PANEL + LANES);
        c32.intoArray(c, co + 3 * PANEL + 2 * LANES);
        c33.intoArray(c, co + 3 * PANEL + 3 * LANES);
    }

    private static void outer6x2(int count, float[] a, int ao, MemorySegment scores, int bo, float[] c, int co) {
        long b = AddressSpace.at(scores, bo * 4L, (count - 1) * PANEL_ROW + 2 * VECTOR);
        FloatVector c00 = FloatVector.fromArray(F, c, co);
        FloatVector c01 = FloatVector.fromArray(F, c, co + LANES);
        FloatVector c10 = FloatVector.fromArray(F, c, co + PANEL);
        FloatVector c11 = FloatVector.fromArray(F, c, co + PANEL + LANES);
        FloatVector c20 = FloatVector.fromArray(F, c, co + 2 * PANEL);
        FloatVector c21 = FloatVector.fromArray(F, c, co + 2 * PANEL + LANES);
        FloatVector c30 = FloatVector.fromArray(F, c, co + 3 * PANEL);
        FloatVector c31 = FloatVector.fromArray(F, c, co + 3 * PANEL + LANES);
        FloatVector c40 = FloatVector.fromArray(F, c, co + 4 * PANEL);
        FloatVector c41 = FloatVector.fromArray(F, c, co + 4 * PANEL + LANES);
        FloatVector c50 = FloatVector.fromArray(F, c, co + 5 * PANEL);
        FloatVector c51 = FloatVector.fromArray(F, c, co + 5 * PANEL + LANES);
        for (int k = 0; k < count; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + VECTOR, ORDER);
            FloatVector v0 = FloatVector.broadcast(F, a[ao + k * COLUMNS]);
            c00 = v0.fma(b0, c00);
            c01 = v0.fma(b1, c01);
            FloatVector v1 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 1]);
            c10 = v1.fma(b0, c10);
            c11 = v1.fma(b1, c11);
            FloatVector v2 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 2]);
            c20 = v2.fma(b0, c20);
            c21 = v2.fma(b1, c21);
            FloatVector v3 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 3]);
            c30 = v3.fma(b0, c30);
            c31 = v3.fma(b1, c31);
            FloatVector v4 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 4]);
            c40 = v4.fma(b0, c40);
            c41 = v4.fma(b1, c41);
            FloatVector v5 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 5]);
            c50 = v5.fma(b0, c50);
            c51 = v5.fma(b1, c51);
        }
        c00.intoArray(c, co);
        c01.intoArray(c, co + LANES);
        c10.intoArray(c, co + PANEL);
        c11.intoArray(c, co + PANEL + LANES);
        c20.intoArray(c, co + 2 * PANEL);
        c21.intoArray(c, co + 2 * PANEL + LANES);
        c30.intoArray(c, co + 3 * PANEL);
        c31.intoArray(c, co + 3 * PANEL + LANES);
        c40.intoArray(c, co + 4 * PANEL);
        c41.intoArray(c, co + 4 * PANEL + LANES);
        c50.intoArray(c, co + 5 * PANEL);
        c51.intoArray(c, co + 5 * PANEL + LANES);
    }

    private static void outer4x2(int count, float[] a, int ao, MemorySegment scores, int bo, float[] c, int co) {
        long b = AddressSpace.at(scores, bo * 4L, (count - 1) * PANEL_ROW + 2 * VECTOR);
        FloatVector c00 = FloatVector.fromArray(F, c, co);
        FloatVector c01 = FloatVector.fromArray(F, c, co + LANES);
        FloatVector c10 = FloatVector.fromArray(F, c, co + PANEL);
        FloatVector c11 = FloatVector.fromArray(F, c, co + PANEL + LANES);
        FloatVector c20 = FloatVector.fromArray(F, c, co + 2 * PANEL);
        FloatVector c21 = FloatVector.fromArray(F, c, co + 2 * PANEL + LANES);
        FloatVector c30 = FloatVector.fromArray(F, c, co + 3 * PANEL);
        FloatVector c31 = FloatVector.fromArray(F, c, co + 3 * PANEL + LANES);
        for (int k = 0; k < count; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F, ALL, b + k * PANEL_ROW + VECTOR, ORDER);
            FloatVector v0 = FloatVector.broadcast(F, a[ao + k * COLUMNS]);
            c00 = v0.fma(b0, c00);
            c01 = v0.fma(b1, c01);
            FloatVector v1 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 1]);
            c10 = v1.fma(b0, c10);
            c11 = v1.fma(b1, c11);
            FloatVector v2 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 2]);
            c20 = v2.fma(b0, c20);
            c21 = v2.fma(b1, c21);
            FloatVector v3 = FloatVector.broadcast(F, a[ao + k * COLUMNS + 3]);
            c30 = v3.fma(b0, c30);
            c31 = v3.fma(b1, c31);
        }
        c00.intoArray(c, co);
        c01.intoArray(c, co + LANES);
        c10.intoArray(c, co + PANEL);
        c11.intoArray(c, co + PANEL + LANES);
        c20.intoArray(c, co + 2 * PANEL);
        c21.intoArray(c, co + 2 * PANEL + LANES);
        c30.intoArray(c, co + 3 * PANEL);
        c31.intoArray(c, co + 3 * PANEL + LANES);
    }

    private static void product6x4(int count, MemorySegment scores, int ao, MemorySegment rows, int bo, float[] c, int co) {
        long a = AddressSpace.at(scores, ao * 4L, 5 * PANEL_ROW + count * 4L);
        long b = AddressSpace.at(rows, bo * 4L, (count - 1) * TILE_ROW + 4 * VECTOR);
        FloatVector c00 = FloatVector.fromArray(F, c, co);
        FloatVector c01 = FloatVector.fromArray(F, c, co + LANES);
        FloatVector c02 = FloatVector.fromArray(F, c, co + 2 * LANES);
        FloatVector c03 = FloatVector.fromArray(F, c, co + 3 * LANES);
        FloatVector c10 = FloatVector.fromArray(F, c, co + COLUMNS);
        FloatVector c11 = FloatVector.fromArray(F, c, co + COLUMNS + LANES);
        FloatVector c12 = FloatVector.fromArray(F, c, co + COLUMNS + 2 * LANES);
        FloatVector c13 = FloatVector.fromArray(F, c, co + COLUMNS + 3 * LANES);
        FloatVector c20 = FloatVector.fromArray(F, c, co + 2 * COLUMNS);
        FloatVector c21 = FloatVector.fromArray(F, c, co + 2 * COLUMNS + LANES);
        FloatVector c22 = FloatVector.fromArray(F, c, co + 2 * COLUMNS + 2 * LANES);
        FloatVector c23 = FloatVector.fromArray(F, c, co + 2 * COLUMNS + 3 * LANES);
        FloatVector c30 = FloatVector.fromArray(F, c, co + 3 * COLUMNS);
        FloatVector c31 = FloatVector.fromArray(F, c, co + 3 * COLUMNS + LANES);
        FloatVector c32 = FloatVector.fromArray(F, c, co + 3 * COLUMNS + 2 * LANES);
        FloatVector c33 = FloatVector.fromArray(F, c, co + 3 * COLUMNS + 3 * LANES);
        FloatVector c40 = FloatVector.fromArray(F, c, co + 4 * COLUMNS);
        FloatVector c41 = FloatVector.fromArray(F, c, co + 4 * COLUMNS + LANES);
        FloatVector c42 = FloatVector.fromArray(F, c, co + 4 * COLUMNS + 2 * LANES);
        FloatVector c43 = FloatVector.fromArray(F, c, co + 4 * COLUMNS + 3 * LANES);
        FloatVector c50 = FloatVector.fromArray(F, c, co + 5 * COLUMNS);
        FloatVector c51 = FloatVector.fromArray(F, c, co + 5 * COLUMNS + LANES);
        FloatVector c52 = FloatVector.fromArray(F, c, co + 5 * COLUMNS + 2 * LANES);
        FloatVector c53 = FloatVector.fromArray(F, c, co + 5 * COLUMNS + 3 * LANES);
        for (int k = 0; k < count; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, ALL, b + k * TILE_ROW, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F, ALL, b + k * TILE_ROW + VECTOR, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(F, ALL, b + k * TILE_ROW + 2 * VECTOR, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(F, ALL, b + k * TILE_ROW + 3 * VECTOR, ORDER);
            FloatVector v0 = FloatVector.broadcast(F, ALL.get(FLOAT, a + k * 4L));
            c00 = v0.fma(b0, c00);
            c01 = v0.fma(b1, c01);
            c02 = v0.fma(b2, c02);
            c03 = v0.fma(b3, c03);
            FloatVector v1 = FloatVector.broadcast(F, ALL.get(FLOAT, a + PANEL_ROW + k * 4L));
            c10 = v1.fma(b0, c10);
            c11 = v1.fma(b1, c11);
            c12 = v1.fma(b2, c12);
            c13 = v1.fma(b3, c13);
            FloatVector v2 = FloatVector.broadcast(F, ALL.get(FLOAT, a + 2 * PANEL_ROW + k * 4L));
            c20 = v2.fma(b0, c20);
            c21 = v2.fma(b1, c21);
            c22 = v2.fma(b2, c22);
            c23 = v2.fma(b3, c23);
            FloatVector v3 = FloatVector.broadcast(F, ALL.get(FLOAT, a + 3 * PANEL_ROW + k * 4L));
            c30 = v3.fma(b0, c30);
            c31 = v3.fma(b1, c31);
            c32 = v3.fma(b2, c32);
            c33 = v3.fma(b3, c33);
            FloatVector v4 = FloatVector.broadcast(F, ALL.get(FLOAT, a + 4 * PANEL_ROW + k * 4L));
            c40 = v4.fma(b0, c40);
            c41 = v4.fma(b1, c41);
            c42 = v4.fma(b2, c42);
            c43 = v4.fma(b3, c43);
            FloatVector v5 = FloatVector.broadcast(F, ALL.get(FLOAT, a + 5 * PANEL_ROW + k * 4L));
            c50 = v5.fma(b0, c50);
            c51 = v5.fma(b1, c51);
            c52 = v5.fma(b2, c52);
            c53 = v5.fma(b3, c53);
        }
        c00.intoArray(c, co);
        c01.intoArray(c, co + LANES);
        c02.intoArray(c, co + 2 * LANES);
        c03.intoArray(c, co + 3 * LANES);
        c10.intoArray(c, co + COLUMNS);
        c11.intoArray(c, co + COLUMNS + LANES);
        c12.intoArray(c, co + COLUMNS + 2 * LANES);
        c13.intoArray(c, co + COLUMNS + 3 * LANES);
        c20.intoArray(c, co + 2 * COLUMNS);
        c21.intoArray(c, co + 2 * COLUMNS + LANES);
        c22.intoArray(c, co + 2 * COLUMNS + 2 * LANES);
        c23.intoArray(c, co + 2 * COLUMNS + 3 * LANES);
        c30.intoArray(c, co + 3 * COLUMNS);
        c31.intoArray(c, co + 3 * COLUMNS + LANES);
        c32.intoArray(c, co + 3 * COLUMNS + 2 * LANES);
        c33.intoArray(c, co + 3 * COLUMNS + 3 * LANES);
        c40.intoArray(c, co + 4 * COLUMNS);
        c41.intoArray(c, co + 4 * COLUMNS + LANES);
        c42.intoArray(c, co + 4 * COLUMNS + 2 * LANES);
        c43.intoArray(c, co + 4 * COLUMNS + 3 * LANES);
        c50.intoArray(c, co + 5 * COLUMNS);
        c51.intoArray(c, co + 5 * COLUMNS + LANES);
        c52.intoArray(c, co + 5 * COLUMNS + 2 * LANES);
        c53.intoArray(c, co + 5 * COLUMNS + 3 * LANES);
    }

    private static void product6x2(int count, MemorySegment scores, int ao, MemorySegment rows, int bo, float[] c, int co) {
        long a = AddressSpace.at(scores, ao * 4L, 5 * PANEL_ROW + count * 4L);
        long b = AddressSpace.at(rows, bo * 4L, (count - 1) * TILE_ROW + 2 * VECTOR);
        FloatVector c00 = FloatVector.fromArray(F, c, co);
        FloatVector c01 = FloatVector.fromArray(F, c, co + LANES);
        FloatVector c10 = FloatVector.fromArray(F, c, co + COLUMNS);
        FloatVector c11 = FloatVector.fromArray(F, c, co + COLUMNS + LANES);
        FloatVector c20 = FloatVector.fromArray(F, c, co + 2 * COLUMNS);
        FloatVector c21 = FloatVector.fromArray(F, c, co + 2 * COLUMNS + LANES);
        FloatVector c30 = FloatVector.fromArray(F, c, co + 3 * COLUMNS);
        FloatVector c31 = FloatVector.fromArray(F, c, co + 3 * COLUMNS + LANES);
        FloatVector c40 = FloatVector.fromArray(F, c, co + 4 * COLUMNS);
        FloatVector c41 = FloatVector.fromArray(F, c, co + 4 * COLUMNS + LANES);
        FloatVector c50 = FloatVector.fromArray(F, c, co + 5 * COLUMNS);
        FloatVector c51 = FloatVector.fromArray(F, c, co + 5 * COLUMNS + LANES);
        for (int k = 0; k < count; k++) {
            FloatVector b0 = FloatVector.fromMemorySegment(F, ALL, b + k * TILE_ROW, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F, ALL, b + k * TILE_ROW + VECTOR, ORDER);
            FloatVector v0 = FloatVector.broadcast(F, ALL.get(FLOAT, a + k * 4L));
            c00 = v0.fma(b0, c00);
            c01 = v0.fma(b1, c01);
            FloatVector v1 = FloatVector.broadcast(F, ALL.get(FLOAT, a + PANEL_ROW + k * 4L));
            c10 = v1.fma(b0, c10);
            c11 = v1.fma(b1, c11);
            FloatVector v2 = FloatVector.broadcast(F, ALL.get(FLOAT, a + 2 * PANEL_ROW + k * 4L));
            c20 = v2.fma(b0, c20);
            c21 = v2.fma(b1, c21);
            FloatVector v3 = FloatVector.broadcast(F, ALL.get(FLOAT, a + 3 * PANEL_ROW + k * 4L));
            c30 = v3.fma(b0, c30);
            c31 = v3.fma(b1, c31);
            FloatVector v4 = FloatVector.broadcast(F, ALL.get(FLOAT, a + 4 * PANEL_ROW + k * 4L));
            c40 = v4.fma(b0, c40);
            c41 = v4.fma(b1, c41);
            FloatVector v5 = FloatVector.broadcast(F, ALL.get(FLOAT, a + 5 * PANEL_ROW + k * 4L));
            c50 = v5.fma(b0, c50);
            c51 = v5.fma(b1, c51);
        }
        c00.intoArray(c, co);
        c01.intoArray(c, co + LANES);
        c10.intoArray(c, co + COLUMNS);
        c11.intoArray(c, co + COLUMNS + LANES);
        c20.intoArray(c, co + 2 * COLUMNS);
        c21.intoArray(c, co + 2 * COLUMNS + LANES);
        c30.intoArray(c, co + 3 * COLUMNS);
        c31.intoArray(c, co + 3 * COLUMNS + LANES);
        c40.intoArray(c, co + 4 * COLUMNS);
        c41.intoArray(c, co + 4 * COLUMNS + LANES);
        c50.intoArray(c, co + 5 * COLUMNS);
        c51.intoArray(c, co + 5 * COLUMNS + LANES);
    }
}
