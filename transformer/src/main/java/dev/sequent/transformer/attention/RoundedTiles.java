package dev.sequent.transformer.attention;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Exponentials of tiles that lie in native memory, and their rounding to BF16. Positions are in bytes; counts are multiples of
 * {@link RoundedSizes#UNIT}. A masked score is negative infinity and becomes exactly zero; NaN stays NaN. Stateless.
 *
 * <p>2^u = 2^z 2^f with z = round(u) and a minimax polynomial of degree 3 for 2^f, |f| <= 1/2: its relative error of 7.5e-5 is a
 * twenty-fifth of that of rounding to BF16, which follows. Results below 2^-126 are zero.
 *
 * <p>BF16 results are written <i>interleaved</i>: of every two vectors of elements, the first gives the even elements of the result and
 * the second the odd ones. Two vectors are then rounded and joined without moving elements between lanes; the rows that such a tile is
 * multiplied with stand in the same order ({@link #slot}).
 */
final class RoundedTiles {
    private static final VectorSpecies<Float> F = Tiles.F;
    private static final int LANES = Tiles.LANES;
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
    private static final float LOWEST = -126f;

    /** 1.5 * 2^23 + 127: adding it rounds a float to an integer n, and n + 127, the exponent of 2^n, stands in the low bits of the sum. */
    private static final float MAGIC = 12583039f;

    private static final float C0 = 0.99992807f;
    private static final float C1 = 0.69326099f;
    private static final float C2 = 0.24261112f;
    private static final float C3 = 0.05517167f;

    private static final int HALF = 0x8000;
    private static final int UPPER = 0xffff0000;

    private RoundedTiles() {}

    /** Where element {@code i} of a row stands in the interleaved order. */
    static int slot(int i) {
        int within = i % (2 * LANES);
        return i - within + 2 * (within % LANES) + within / LANES;
    }

    /** Largest of a row's scores, those that are NaN aside. */
    static float maximum(MemorySegment scores, int from, int count) {
        MemorySegment x = scores.asSlice(from, count * 4L);
        FloatVector m0 = FloatVector.broadcast(F, Float.NEGATIVE_INFINITY);
        FloatVector m1 = m0;
        FloatVector m2 = m0;
        FloatVector m3 = m0;
        for (int j = 0; j < count; j += 4 * LANES) {
            FloatVector x0 = FloatVector.fromMemorySegment(F, x, j * 4, ORDER);
            m0 = m0.blend(x0, m0.lt(x0));
            FloatVector x1 = FloatVector.fromMemorySegment(F, x, (j + LANES) * 4, ORDER);
            m1 = m1.blend(x1, m1.lt(x1));
            FloatVector x2 = FloatVector.fromMemorySegment(F, x, (j + 2 * LANES) * 4, ORDER);
            m2 = m2.blend(x2, m2.lt(x2));
            FloatVector x3 = FloatVector.fromMemorySegment(F, x, (j + 3 * LANES) * 4, ORDER);
            m3 = m3.blend(x3, m3.lt(x3));
        }
        m0 = m0.blend(m1, m0.lt(m1));
        m2 = m2.blend(m3, m2.lt(m3));
        m0 = m0.blend(m2, m0.lt(m2));
        // integers in the order of the floats: their reduction is one that the compiler knows, and exact
        IntVector bits = m0.reinterpretAsInts();
        IntVector ordered = bits.lanewise(VectorOperators.XOR, bits.lanewise(VectorOperators.ASHR, 31).lanewise(VectorOperators.LSHR, 1));
        int most = ordered.reduceLanes(VectorOperators.MAX);
        return Float.intBitsToFloat(most ^ most >> 31 >>> 1);
    }

    /**
     * Writes the weights 2^(factor score + shift) of a row, interleaved, and adds them to {@code sums}.
     */
    static void weights(MemorySegment scores, int from, int count, float factor, float shift, MemorySegment weights, int to,
            float[] sums, int at) {
        FloatVector magic = FloatVector.broadcast(F, MAGIC);
        FloatVector zero = FloatVector.zero(F);
        FloatVector k0 = FloatVector.broadcast(F, C0);
        FloatVector k1 = FloatVector.broadcast(F, C1);
        FloatVector k2 = FloatVector.broadcast(F, C2);
        FloatVector k3 = FloatVector.broadcast(F, C3);
        MemorySegment x = scores.asSlice(from, count * 4L);
        MemorySegment y = weights.asSlice(to, count * 2L);
        FloatVector a = FloatVector.broadcast(F, factor);
        FloatVector b = FloatVector.broadcast(F, shift);
        FloatVector l0 = FloatVector.fromArray(F, sums, at);
        FloatVector l1 = zero;
        for (int j = 0; j < count; j += 2 * LANES) {
            FloatVector u0 = FloatVector.fromMemorySegment(F, x, j * 4, ORDER).fma(a, b);
            FloatVector u1 = FloatVector.fromMemorySegment(F, x, (j + LANES) * 4, ORDER).fma(a, b);
            VectorMask<Float> t0 = u0.lt(LOWEST);
            VectorMask<Float> t1 = u1.lt(LOWEST);
            FloatVector z0 = u0.add(magic);
            FloatVector z1 = u1.add(magic);
            FloatVector f0 = u0.sub(z0.sub(magic));
            FloatVector f1 = u1.sub(z1.sub(magic));
            FloatVector p0 = f0.fma(k3, k2).fma(f0, k1).fma(f0, k0);
            FloatVector p1 = f1.fma(k3, k2).fma(f1, k1).fma(f1, k0);
            FloatVector e0 = p0.mul(z0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                    .blend(zero, t0);
            FloatVector e1 = p1.mul(z1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                    .blend(zero, t1);
            l0 = l0.add(e0);
            l1 = l1.add(e1);
            IntVector low = e0.reinterpretAsInts().add(HALF).lanewise(VectorOperators.LSHR, 16);
            IntVector high = e1.reinterpretAsInts().add(HALF).lanewise(VectorOperators.AND, UPPER);
            low.lanewise(VectorOperators.OR, high).intoMemorySegment(y, j * 2, ORDER);
        }
        l0.add(l1).intoArray(sums, at);
    }

    /**
     * Backward of the exponentials for one key: writes the weights p = 2^(factor score + shift) of queries and the score gradients
     * p (product - delta), both interleaved.
     *
     * @param shifts less the logarithms (base 2) of the queries' sums of exponentials
     * @param delta the queries' products of result and result gradient
     * @param first position in both
     */
    static void gradient(MemorySegment scores, MemorySegment products, int from, int count, float factor, MemorySegment shifts,
            MemorySegment delta, int first, MemorySegment weights, MemorySegment slopes, int to) {
        FloatVector magic = FloatVector.broadcast(F, MAGIC);
        FloatVector zero = FloatVector.zero(F);
        FloatVector k0 = FloatVector.broadcast(F, C0);
        FloatVector k1 = FloatVector.broadcast(F, C1);
        FloatVector k2 = FloatVector.broadcast(F, C2);
        FloatVector k3 = FloatVector.broadcast(F, C3);
        FloatVector a = FloatVector.broadcast(F, factor);
        MemorySegment x = scores.asSlice(from, count * 4L);
        MemorySegment dx = products.asSlice(from, count * 4L);
        MemorySegment shift = shifts.asSlice(first, count * 4L);
        MemorySegment less = delta.asSlice(first, count * 4L);
        MemorySegment y = weights.asSlice(to, count * 2L);
        MemorySegment dy = slopes.asSlice(to, count * 2L);
        for (int j = 0; j < count; j += 2 * LANES) {
            int p = j * 4;
            int r = p + 4 * LANES;
            FloatVector m0 = FloatVector.fromMemorySegment(F, shift, p, ORDER);
            FloatVector m1 = FloatVector.fromMemorySegment(F, shift, r, ORDER);
            FloatVector u0 = FloatVector.fromMemorySegment(F, x, p, ORDER).fma(a, m0);
            FloatVector u1 = FloatVector.fromMemorySegment(F, x, r, ORDER).fma(a, m1);
            VectorMask<Float> t0 = u0.lt(LOWEST);
            VectorMask<Float> t1 = u1.lt(LOWEST);
            FloatVector z0 = u0.add(magic);
            FloatVector z1 = u1.add(magic);
            FloatVector f0 = u0.sub(z0.sub(magic));
            FloatVector f1 = u1.sub(z1.sub(magic));
            FloatVector p0 = f0.fma(k3, k2).fma(f0, k1).fma(f0, k0);
            FloatVector p1 = f1.fma(k3, k2).fma(f1, k1).fma(f1, k0);
            FloatVector e0 = p0.mul(z0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                    .blend(zero, t0);
            FloatVector e1 = p1.mul(z1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats())
                    .blend(zero, t1);
            IntVector low = e0.reinterpretAsInts().add(HALF).lanewise(VectorOperators.LSHR, 16);
            IntVector high = e1.reinterpretAsInts().add(HALF).lanewise(VectorOperators.AND, UPPER);
            low.lanewise(VectorOperators.OR, high).intoMemorySegment(y, j * 2, ORDER);
            FloatVector d0 = FloatVector.fromMemorySegment(F, dx, p, ORDER).sub(FloatVector.fromMemorySegment(F, less, p, ORDER)).mul(e0);
            FloatVector d1 = FloatVector.fromMemorySegment(F, dx, r, ORDER).sub(FloatVector.fromMemorySegment(F, less, r, ORDER)).mul(e1);
            IntVector lower = d0.reinterpretAsInts().add(HALF).lanewise(VectorOperators.LSHR, 16);
            IntVector upper = d1.reinterpretAsInts().add(HALF).lanewise(VectorOperators.AND, UPPER);
            lower.lanewise(VectorOperators.OR, upper).intoMemorySegment(dy, j * 2, ORDER);
        }
    }

    /** Multiplies {@code count} floats, a multiple of the lane count. */
    static void rescale(MemorySegment rows, int from, int count, float factor) {
        MemorySegment x = rows.asSlice(from, count * 4L);
        for (int j = 0; j < count; j += LANES) {
            FloatVector.fromMemorySegment(F, x, j * 4, ORDER).mul(factor).intoMemorySegment(x, j * 4, ORDER);
        }
    }
}
