package dev.sequent.transformer.attention;

import dev.sequent.spi.MatmulProvider;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Attention whose matrix products are a provider's BF16 products of tiles, which run in the processor's tile registers where it has them:
 * operands, probabilities and score gradients are rounded to BF16, everything else is F32. Takes and gives tensors of F32 or BF16. Results
 * do not depend on the number of threads. Thread-safe.
 */
final class RoundedAttention {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private final Parallel parallel;
    private final MatmulProvider.Matmul provider;
    private final ThreadLocal<RoundedScratch> scratch = new ThreadLocal<>();

    RoundedAttention(Parallel parallel, MatmulProvider.Matmul provider) {
        this.parallel = parallel;
        this.provider = provider;
    }

    /** Whether tiles are filled well enough to be faster than F32. */
    static boolean pays(AttentionSizes sizes) {
        return sizes.queries() >= RoundedSizes.UNIT / 2 && sizes.keys() >= RoundedSizes.UNIT / 2;
    }

    /** Floats of scratch memory that {@link #forward} needs. */
    static long forwardFloats(AttentionSizes sizes) {
        return RoundedSizes.floats(new RoundedSizes(sizes).forwardBytes());
    }

    /** Floats of scratch memory that {@link #backward} needs. */
    static long backwardFloats(AttentionSizes sizes) {
        return RoundedSizes.floats(new RoundedSizes(sizes).backwardBytes());
    }

    /** Computes {@code out} and {@code lse}, with scratch memory that may hold anything. */
    void forward(AttentionCall call, MemorySegment workspace) {
        RoundedSizes packed = new RoundedSizes(call.sizes());
        RoundedForward pass = new RoundedForward(call, provider, workspace);
        parallel.forEach(packed.groups() * pass.pieces(), task -> pass.pack(task / pass.pieces(), task % pass.pieces()));
        parallel.forEach(packed.heads() * pass.blocks(), task -> {
            // the long blocks of all heads first, the short ones last
            int block = pass.blocks() - 1 - task / packed.heads();
            pass.block(task % packed.heads(), block, scratch(packed.width()));
        });
    }

    /** Computes the gradients of q, k and v from a call whose {@code out} and {@code lse} have been computed. */
    void backward(AttentionCall call, AttentionGradients gradients) {
        RoundedSizes packed = new RoundedSizes(call.sizes());
        RoundedBackward pass = new RoundedBackward(call, gradients, provider);
        parallel.forEach(packed.groups() * pass.keyPieces(), task -> pass.packKeys(task / pass.keyPieces(), task % pass.keyPieces()));
        parallel.forEach(packed.heads() * pass.queryPieces(),
                task -> pass.packQueries(task / pass.queryPieces(), task % pass.queryPieces()));
        int chunks = packed.chunks();
        parallel.forEach(packed.groups() * chunks,
                task -> pass.chunk(task % packed.groups(), task / packed.groups(), scratch(packed.width())));
        parallel.forEach(packed.heads() * pass.queryPieces(), task -> pass.collect(task / pass.queryPieces(), task % pass.queryPieces()));
    }

    private RoundedScratch scratch(int width) {
        RoundedScratch s = scratch.get();
        if (s == null || s.width < width) {
            s = new RoundedScratch(width);
            scratch.set(s);
        }
        return s;
    }

    /** The sign of the scale, which the queries take. */
    static int sign(float scale) {
        return (int) Math.signum(scale);
    }

    /**
     * What turns scores of queries with the sign of the scale into logarithms to base 2; positive, so that the largest stays the largest.
     */
    static float factor(float scale) {
        return scale == 0 ? Softmax.LOG2_E : Math.abs(scale) * Softmax.LOG2_E;
    }

    /** Sets elements of F32 to negative infinity. */
    static void hide(MemorySegment scores, int from, int to) {
        for (int j = from; j < to; j++) {
            scores.set(FLOAT, j * 4L, Float.NEGATIVE_INFINITY);
        }
    }

    /** Sets elements of BF16 to zero. */
    static void clear(MemorySegment weights, int from, int to) {
        if (from < to) {
            weights.asSlice(from * 2L, (to - from) * 2L).fill((byte) 0);
        }
    }
}
