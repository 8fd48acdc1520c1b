package dev.sequent.transformer.attention;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** One thread's tiles for heads of up to {@link #width} channels, in native memory as the provider of products wants them. */
final class RoundedScratch {
    private static final int BLOCK = RoundedSizes.BLOCK;
    private static final long ALIGNMENT = 64;

    /** Largest P, with the zeros behind it. */
    final int width;

    /** F32 tiles of {@code BLOCK x BLOCK}: scores, and products of values with result gradients. */
    final MemorySegment scores;
    final MemorySegment products;

    /** BF16 tiles of {@code BLOCK x BLOCK}: probabilities, and score gradients. */
    final MemorySegment weights;
    final MemorySegment slopes;

    /** BF16 rows of the block: queries in the forward pass. */
    final MemorySegment rows;

    /** F32 rows that accumulate: the result in the forward pass, gradients of keys and values in the backward pass. */
    final MemorySegment firstSums;
    final MemorySegment secondSums;

    /** Per row of the block: running maximum, and sums by lane. */
    final float[] maximum = new float[BLOCK];
    final float[] sums = new float[BLOCK * Tiles.LANES];

    RoundedScratch(int width) {
        this.width = width;
        long tile = (long) BLOCK * BLOCK;
        scores = memory(tile * Float.BYTES);
        products = memory(tile * Float.BYTES);
        weights = memory(tile * Short.BYTES);
        slopes = memory(tile * Short.BYTES);
        rows = memory((long) BLOCK * width * Short.BYTES);
        firstSums = memory((long) BLOCK * width * Float.BYTES);
        secondSums = memory((long) BLOCK * width * Float.BYTES);
    }

    /** Collected with the scratch. */
    private static MemorySegment memory(long bytes) {
        return Arena.ofAuto().allocate(bytes, ALIGNMENT);
    }
}
