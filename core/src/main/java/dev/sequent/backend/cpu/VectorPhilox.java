package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.VectorMath.ORDER;

import dev.sequent.op.Philox;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** {@link Philox}, a block per lane: words are held in 64-bit lanes, where their products fit. */
final class VectorPhilox {
    private static final VectorSpecies<Long> L = LongVector.SPECIES_PREFERRED;
    private static final int ROUNDS = 10;
    private static final long WORD = 0xFFFFFFFFL;
    private static final long MULTIPLIER_0 = 0xD2511F53L;
    private static final long MULTIPLIER_1 = 0xCD9E8D57L;
    private static final long WEYL_0 = 0x9E3779B9L;
    private static final long WEYL_1 = 0xBB67AE85L;
    private static final VectorShuffle<Long> FIRST_HALF = VectorShuffle.makeZip(L, 0);
    private static final VectorShuffle<Long> SECOND_HALF = VectorShuffle.makeZip(L, 1);

    /** Numbers that one call of {@link #blocks} makes. */
    static final int BATCH = L.length() * Philox.WORDS;

    private VectorPhilox() {}

    /** Writes the numbers of {@code count} batches of blocks, the first of which is number {@code counter}. */
    static void batches(long key, long counter, MemorySegment y, long yo, int count) {
        MemorySegment t = y.asSlice(yo, count * BATCH * 4L);
        for (int i = 0; i < count; i++) {
            blocks(key, counter + (long) i * L.length(), t, i * BATCH * 4L);
        }
    }

    private static void blocks(long key, long counter, MemorySegment y, long yo) {
        LongVector numbers = LongVector.broadcast(L, counter).addIndex(1);
        LongVector c0 = numbers.and(WORD);
        LongVector c1 = numbers.lanewise(VectorOperators.LSHR, 32);
        LongVector c2 = LongVector.zero(L);
        LongVector c3 = c2;
        long k0 = key & WORD;
        long k1 = key >>> 32;
        for (int round = 0; round < ROUNDS; round++) {
            LongVector p0 = c0.mul(MULTIPLIER_0);
            LongVector p1 = c2.mul(MULTIPLIER_1);
            c0 = p1.lanewise(VectorOperators.LSHR, 32).lanewise(VectorOperators.XOR, c1).lanewise(VectorOperators.XOR, k0);
            c1 = p1.and(WORD);
            c2 = p0.lanewise(VectorOperators.LSHR, 32).lanewise(VectorOperators.XOR, c3).lanewise(VectorOperators.XOR, k1);
            c3 = p0.and(WORD);
            k0 = k0 + WEYL_0 & WORD;
            k1 = k1 + WEYL_1 & WORD;
        }
        LongVector low = c0.or(c1.lanewise(VectorOperators.LSHL, 32));
        LongVector high = c2.or(c3.lanewise(VectorOperators.LSHL, 32));
        FloatVector a = (FloatVector) low.rearrange(FIRST_HALF, high).reinterpretAsInts()
                .lanewise(VectorOperators.LSHR, 8).convert(VectorOperators.I2F, 0);
        FloatVector b = (FloatVector) low.rearrange(SECOND_HALF, high).reinterpretAsInts()
                .lanewise(VectorOperators.LSHR, 8).convert(VectorOperators.I2F, 0);
        a.mul(0x1p-24f).intoMemorySegment(y, yo, ORDER);
        b.mul(0x1p-24f).intoMemorySegment(y, yo + BATCH * 2L, ORDER);
    }
}
