package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.GemmKernels.LANES;
import static dev.sequent.backend.cpu.GemmKernels.S;

import dev.sequent.spi.Parallel;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products of a few rows with a matrix of 16-bit floats stored as (n, k), as weights are in generation. The matrix is read once,
 * where it lies, and widened in registers, so that it costs half of an F32 matrix' memory traffic.
 *
 * <p>A vector of ints holds two elements a lane: those of even positions in its lower halves, those of odd positions in its upper halves.
 * Rows of A are therefore brought into the order even, odd for every two vectors of elements. Thread-safe; loads only when the vector
 * module is present.
 */
final class HalfGemv {
    private static final VectorSpecies<Integer> I = IntVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LE);
    /** Elements of a vector of 16-bit floats. */
    private static final int PAIRS = 2 * LANES;
    private static final int UPPER = 0xFFFF0000;

    /** Exponent and mantissa of an F16 in the upper half of an int. */
    private static final int F16_MAGNITUDE = 0x7FFF0000;
    /** From the exponent of an F16, shifted into the place of that of an F32, to the same power of two. */
    private static final int F16_BIAS = (127 - 15) << 23;
    /** Infinities and NaN, in the same place, begin here. */
    private static final int F16_INFINITY = 31 << 23;
    private static final float F16_LEAST_NORMAL = 0x1p-14f;

    private final Parallel parallel;
    private final ThreadLocal<Scratch> scratch = ThreadLocal.withInitial(Scratch::new);

    HalfGemv(Parallel parallel) {
        this.parallel = parallel;
    }

    private static final class Scratch {
        final float[] lanes = new float[GemvKernels.GROUP * LANES];
        final float[] out = new float[GemvKernels.GROUP];
        float[] rows = new float[0];
    }

    /**
     * C = A B^T, everything row-major.
     *
     * @param dtype BF16 or F16, of A, B and C
     * @param a (m, k), dense
     * @param b first element of B (n, k); {@code ldb} is the distance of its rows in elements
     * @param c (m, n), dense; sums are rounded once
     */
    void multiply(DType dtype, int m, int n, int k, MemorySegment a, MemorySegment b, long ldb, MemorySegment c) {
        float[] rows = paired(dtype, a, m, k);
        GemvKernels.Tasks tasks = GemvKernels.Tasks.of(n, 2L * k, parallel.threads());
        parallel.forEach(tasks.count(), task -> {
            int from = tasks.from(task);
            task(dtype, rows, m, k, b, from * ldb * Short.BYTES, ldb * Short.BYTES, tasks.from(task + 1) - from,
                    c.asSlice((long) Short.BYTES * from), n);
        });
    }

    /** Rows of A in F32 with even and odd positions apart; the last elements, which fill no two vectors, stay as they are. */
    private float[] paired(DType dtype, MemorySegment a, int m, int k) {
        Scratch own = scratch.get();
        if (own.rows.length < m * k) {
            own.rows = new float[m * k];
        }
        int full = k - k % PAIRS;
        for (int i = 0; i < m; i++) {
            int row = i * k;
            if (dtype == DType.BF16) {
                split(a.asSlice(2L * row, 2L * k), full, own.rows, row);
            } else {
                for (int p = 0; p < full; p++) {
                    int place = p % PAIRS / 2 + p % 2 * LANES;
                    own.rows[row + p - p % PAIRS + place] = Float.float16ToFloat(a.get(SHORT, 2L * (row + p)));
                }
            }
            for (int p = full; p < k; p++) {
                own.rows[row + p] = widened(dtype, a.get(SHORT, 2L * (row + p)));
            }
        }
        return own.rows;
    }

    private static void split(MemorySegment a, int full, float[] rows, int to) {
        for (int p = 0; p < full; p += PAIRS) {
            IntVector w = IntVector.fromMemorySegment(I, a, p * 2L, LE);
            w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats().intoArray(rows, to + p);
            w.and(UPPER).reinterpretAsFloats().intoArray(rows, to + p + LANES);
        }
    }

    private static float widened(DType dtype, short bits) {
        return dtype == DType.BF16 ? Float.intBitsToFloat(bits << 16) : Float.float16ToFloat(bits);
    }

    private void task(DType dtype, float[] a, int m, int k, MemorySegment b, long offset, long ld, int columns, MemorySegment c, int ldc) {
        Scratch own = scratch.get();
        for (int j = 0; j < columns; j += GemvKernels.GROUP) {
            int count = Math.min(GemvKernels.GROUP, columns - j);
            for (int i = 0; i < m; i++) {
                if (dtype == DType.BF16) {
                    bf16Group(a, i * k, b, offset + j * ld, ld, count, k, own.lanes);
                } else {
                    for (int g = 0; g < count; g++) {
                        f16Row(a, i * k, b, offset + (j + g) * ld, k, own.lanes, g * LANES);
                    }
                }
                GemvKernels.sums(own.lanes, count, own.out, 0);
                addTail(dtype, a, i * k, b, offset + j * ld, ld, count, k, own.out);
                for (int g = 0; g < count; g++) {
                    c.set(SHORT, 2L * (i * (long) ldc + j + g), ScalarKernels.narrow(dtype, own.out[g]));
                }
            }
        }
    }

    private static void addTail(DType dtype, float[] a, int ao, MemorySegment b, long offset, long ld, int count, int k, float[] out) {
        for (int j = 0; k % PAIRS != 0 && j < count; j++) {
            for (int p = k - k % PAIRS; p < k; p++) {
                out[j] += a[ao + p] * widened(dtype, b.get(SHORT, offset + j * ld + 2L * p));
            }
        }
    }

    private static void bf16Group(float[] a, int ao, MemorySegment b, long offset, long ld, int count, int k, float[] lanes) {
        for (int g = 0; g < count; g += GemvKernels.STREAMS) {
            bf16Rows(a, ao, b, offset + g * ld, ld, count - 1 - g, k, lanes, g * LANES);
        }
    }

    /** Eight rows of B from {@code offset} on, of which there are {@code last + 1}; beyond it the last one takes part several times. */
    private static void bf16Rows(float[] a, int ao, MemorySegment b, long offset, long ld, int last, int k, float[] lanes, int to) {
        int full = k - k % PAIRS;
        MemorySegment b0 = b.asSlice(offset, 2L * full);
        MemorySegment b1 = b.asSlice(offset + Math.min(1, last) * ld, 2L * full);
        MemorySegment b2 = b.asSlice(offset + Math.min(2, last) * ld, 2L * full);
        MemorySegment b3 = b.asSlice(offset + Math.min(3, last) * ld, 2L * full);
        MemorySegment b4 = b.asSlice(offset + Math.min(4, last) * ld, 2L * full);
        MemorySegment b5 = b.asSlice(offset + Math.min(5, last) * ld, 2L * full);
        MemorySegment b6 = b.asSlice(offset + Math.min(6, last) * ld, 2L * full);
        MemorySegment b7 = b.asSlice(offset + Math.min(7, last) * ld, 2L * full);
        FloatVector u0 = FloatVector.zero(S);
        FloatVector u1 = FloatVector.zero(S);
        FloatVector u2 = FloatVector.zero(S);
        FloatVector u3 = FloatVector.zero(S);
        FloatVector u4 = FloatVector.zero(S);
        FloatVector u5 = FloatVector.zero(S);
        FloatVector u6 = FloatVector.zero(S);
        FloatVector u7 = FloatVector.zero(S);
        FloatVector v0 = FloatVector.zero(S);
        FloatVector v1 = FloatVector.zero(S);
        FloatVector v2 = FloatVector.zero(S);
        FloatVector v3 = FloatVector.zero(S);
        FloatVector v4 = FloatVector.zero(S);
        FloatVector v5 = FloatVector.zero(S);
        FloatVector v6 = FloatVector.zero(S);
        FloatVector v7 = FloatVector.zero(S);
        for (int p = 0; p < full; p += PAIRS) {
            FloatVector even = FloatVector.fromArray(S, a, ao + p);
            FloatVector odd = FloatVector.fromArray(S, a, ao + p + LANES);
            IntVector w = IntVector.fromMemorySegment(I, b0, p * 2L, LE);
            u0 = even.fma(w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), u0);
            v0 = odd.fma(w.and(UPPER).reinterpretAsFloats(), v0);
            w = IntVector.fromMemorySegment(I, b1, p * 2L, LE);
            u1 = even.fma(w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), u1);
            v1 = odd.fma(w.and(UPPER).reinterpretAsFloats(), v1);
            w = IntVector.fromMemorySegment(I, b2, p * 2L, LE);
            u2 = even.fma(w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), u2);
            v2 = odd.fma(w.and(UPPER).reinterpretAsFloats(), v2);
            w = IntVector.fromMemorySegment(I, b3, p * 2L, LE);
            u3 = even.fma(w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), u3);
            v3 = odd.fma(w.and(UPPER).reinterpretAsFloats(), v3);
            w = IntVector.fromMemorySegment(I, b4, p * 2L, LE);
            u4 = even.fma(w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), u4);
            v4 = odd.fma(w.and(UPPER).reinterpretAsFloats(), v4);
            w = IntVector.fromMemorySegment(I, b5, p * 2L, LE);
            u5 = even.fma(w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), u5);
            v5 = odd.fma(w.and(UPPER).reinterpretAsFloats(), v5);
            w = IntVector.fromMemorySegment(I, b6, p * 2L, LE);
            u6 = even.fma(w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), u6);
            v6 = odd.fma(w.and(UPPER).reinterpretAsFloats(), v6);
            w = IntVector.fromMemorySegment(I, b7, p * 2L, LE);
            u7 = even.fma(w.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), u7);
            v7 = odd.fma(w.and(UPPER).reinterpretAsFloats(), v7);
        }
        u0.add(v0).intoArray(lanes, to);
        u1.add(v1).intoArray(lanes, to + LANES);
        u2.add(v2).intoArray(lanes, to + 2 * LANES);
        u3.add(v3).intoArray(lanes, to + 3 * LANES);
        u4.add(v4).intoArray(lanes, to + 4 * LANES);
        u5.add(v5).intoArray(lanes, to + 5 * LANES);
        u6.add(v6).intoArray(lanes, to + 6 * LANES);
        u7.add(v7).intoArray(lanes, to + 7 * LANES);
    }

    private static void f16Row(float[] a, int ao, MemorySegment b, long offset, int k, float[] lanes, int to) {
        int full = k - k % PAIRS;
        MemorySegment row = b.asSlice(offset, 2L * full);
        FloatVector u = FloatVector.zero(S);
        FloatVector v = FloatVector.zero(S);
        for (int p = 0; p < full; p += PAIRS) {
            IntVector w = IntVector.fromMemorySegment(I, row, p * 2L, LE);
            IntVector x = w.lanewise(VectorOperators.LSHL, 16);
            IntVector m = x.and(F16_MAGNITUDE).lanewise(VectorOperators.LSHR, 3);
            IntVector normal = m.add(F16_BIAS);
            FloatVector small = m.add(F16_BIAS + (1 << 23)).reinterpretAsFloats().sub(F16_LEAST_NORMAL);
            normal = normal.add(F16_BIAS, m.compare(VectorOperators.GE, F16_INFINITY));
            normal = normal.blend(small.reinterpretAsInts(), m.compare(VectorOperators.LT, 1 << 23));
            u = FloatVector.fromArray(S, a, ao + p).fma(normal.or(x.and(Integer.MIN_VALUE)).reinterpretAsFloats(), u);
            m = w.and(F16_MAGNITUDE).lanewise(VectorOperators.LSHR, 3);
            normal = m.add(F16_BIAS);
            small = m.add(F16_BIAS + (1 << 23)).reinterpretAsFloats().sub(F16_LEAST_NORMAL);
            normal = normal.add(F16_BIAS, m.compare(VectorOperators.GE, F16_INFINITY));
            normal = normal.blend(small.reinterpretAsInts(), m.compare(VectorOperators.LT, 1 << 23));
            v = FloatVector.fromArray(S, a, ao + p + LANES).fma(normal.or(w.and(Integer.MIN_VALUE)).reinterpretAsFloats(), v);
        }
        u.add(v).intoArray(lanes, to);
    }
}
