package dev.sequent.transformer.attention;

import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Moves rows of a head between tensors of F32 or BF16 and the BF16 copies and F32 sums of {@link RoundedAttention}. Stateless. */
final class RoundedRows {
    private static final VectorSpecies<Float> F = Tiles.F;
    private static final int LANES = Tiles.LANES;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Short> SHORTS = VectorSpecies.of(short.class, VectorShape.forBitSize(F.vectorBitSize() / 2));
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);
    private static final int HALF_LESS_ONE = 0x7fff;
    private static final int QUIET = 0x400000;

    private RoundedRows() {}

    /** How rows of a copy are ordered. */
    enum Order {
        /** As they come. */
        PLAIN,
        /** By {@link RoundedTiles#slot}. */
        INTERLEAVED;

        int at(int row) {
            return this == PLAIN ? row : RoundedTiles.slot(row);
        }
    }

    /**
     * Tokens of a head as BF16.
     *
     * @param first first token
     * @param count rows to write; those of tokens at {@code tokens} and beyond become zero
     * @param sign 1 or -1, or 0 for rows of zeros
     */
    record Source(HeadsView view, int row, int head, int first, int count, int tokens, int width, int sign) {
        /** Writes them from row {@code at} on; rows of {@code to} have {@code padded} channels. */
        void pack(Order order, MemorySegment to, int at, int padded) {
            for (int i = 0; i < count; i++) {
                MemorySegment target = to.asSlice((long) order.at(at + i) * padded * Short.BYTES, (long) padded * Short.BYTES);
                if (first + i < tokens && sign != 0) {
                    packRow(view.vector(row, first + i, head, width), view.dtype(), width, sign, target);
                    if (width < padded) {
                        target.asSlice((long) width * Short.BYTES).fill((byte) 0);
                    }
                } else {
                    target.fill((byte) 0);
                }
            }
        }
    }

    private static void packRow(MemorySegment source, DType dtype, int width, int sign, MemorySegment target) {
        if (dtype == DType.F32) {
            round(source, 0, width, sign, target);
        } else {
            MemorySegment.copy(source, 0, target, 0, (long) width * Short.BYTES);
            for (int d = 0; d < width && sign < 0; d++) {
                target.set(SHORT, d * 2L, (short) (target.get(SHORT, d * 2L) ^ Short.MIN_VALUE));
            }
        }
    }

    /** Sets rows of keys that are padding to zero, so that whatever lies there cannot reach a result. */
    static void clearPadding(AttentionMask mask, AttentionSizes sizes, int row, int first, int count, Order order, MemorySegment to,
            int padded) {
        for (int j = first; j < Math.min(first + count, sizes.keys()); j++) {
            if (mask.isPadding(sizes, row, j)) {
                to.asSlice((long) order.at(j) * padded * Short.BYTES, (long) padded * Short.BYTES).fill((byte) 0);
            }
        }
    }

    /** Writes a row of sums, multiplied by {@code factor}, as a vector of a tensor. */
    static void store(MemorySegment sums, long from, int width, float factor, MemorySegment target, DType dtype) {
        if (dtype == DType.F32) {
            scale(sums, from, width, factor, target);
        } else {
            round(sums, from, width, factor, target);
        }
    }

    private static void scale(MemorySegment x, long from, int width, float factor, MemorySegment target) {
        MemorySegment source = x.asSlice(from, width * 4L);
        int main = F.loopBound(width);
        for (int d = 0; d < main; d += LANES) {
            FloatVector.fromMemorySegment(F, source, d * 4, ORDER).mul(factor).intoMemorySegment(target, d * 4, ORDER);
        }
        for (int d = main; d < width; d++) {
            target.set(FLOAT, d * 4L, source.get(FLOAT, d * 4L) * factor);
        }
    }

    /** To nearest even; a NaN stays one. */
    private static void round(MemorySegment x, long from, int width, float factor, MemorySegment target) {
        MemorySegment source = x.asSlice(from, width * 4L);
        int main = F.loopBound(width);
        for (int d = 0; d < main; d += LANES) {
            FloatVector f = FloatVector.fromMemorySegment(F, source, d * 4, ORDER).mul(factor);
            IntVector bits = f.reinterpretAsInts();
            IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).lanewise(VectorOperators.AND, 1);
            IntVector nan = bits.lanewise(VectorOperators.OR, QUIET);
            IntVector upper = bits.add(odd).add(HALF_LESS_ONE).blend(nan, f.compare(VectorOperators.NE, f).cast(INTS))
                    .lanewise(VectorOperators.LSHR, 16);
            ((ShortVector) upper.convertShape(VectorOperators.I2S, SHORTS, 0)).intoMemorySegment(target, d * 2, ORDER);
        }
        for (int d = main; d < width; d++) {
            target.set(SHORT, d * 2L, round(source.get(FLOAT, d * 4L) * factor));
        }
    }

    private static short round(float x) {
        int bits = Float.floatToRawIntBits(x);
        int rounded = x != x ? bits | QUIET : bits + HALF_LESS_ONE + (bits >>> 16 & 1);
        return (short) (rounded >>> 16);
    }

    /** Adds {@code width} floats, a multiple of the lane count. */
    static void add(MemorySegment x, long from, MemorySegment to, long at, int width) {
        MemorySegment source = x.asSlice(from, width * 4L);
        MemorySegment target = to.asSlice(at, width * 4L);
        for (int d = 0; d < width; d += LANES) {
            FloatVector.fromMemorySegment(F, target, d * 4, ORDER).add(FloatVector.fromMemorySegment(F, source, d * 4, ORDER))
                    .intoMemorySegment(target, d * 4, ORDER);
        }
    }

    /** Sum of the products of two vectors of tensors. */
    static float dot(MemorySegment x, MemorySegment y, int width, DType dtype) {
        if (dtype == DType.F32) {
            return Rows.dot(x, y, width);
        }
        float sum = 0;
        for (int d = 0; d < width; d++) {
            sum += widen(x.get(SHORT, d * 2L)) * widen(y.get(SHORT, d * 2L));
        }
        return sum;
    }

    private static float widen(short x) {
        return Float.intBitsToFloat(x << 16);
    }
}
