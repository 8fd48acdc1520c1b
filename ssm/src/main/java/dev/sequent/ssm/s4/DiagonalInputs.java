package dev.sequent.ssm.s4;

import dev.sequent.mixer.SequenceInfo;
import java.lang.foreign.MemorySegment;

/**
 * Operands of a {@link DiagonalScan} in native memory, all F32 without gaps.
 *
 * @param shape sizes
 * @param u (B, T, E)
 * @param logStep (E)
 * @param logDecay (E, P)
 * @param frequency (E, P)
 * @param c (E, P, 2)
 * @param skip (E)
 * @param stateRe (B, E, P), or null for zeros
 * @param stateIm (B, E, P), or null for zeros
 * @param flags of the B T tokens, or null when no token has one
 * @param bilinear the discretisation; else zero-order hold
 */
record DiagonalInputs(DiagonalShape shape, MemorySegment u, MemorySegment logStep, MemorySegment logDecay, MemorySegment frequency,
        MemorySegment c, MemorySegment skip, MemorySegment stateRe, MemorySegment stateIm, byte[] flags, boolean bilinear) {
    boolean has(int row, int token, byte flag) {
        return flags != null && (flags[row * shape.tokens() + token] & flag) != 0;
    }

    private boolean isPlain(int row, int token) {
        return flags[row * shape.tokens() + token] == 0;
    }

    /**
     * End of the run of tokens, not beyond {@code limit}, that starts at {@code from}: one that is skipped, or ones of which only the first
     * may reset the state.
     */
    int runEnd(int row, int from, int limit) {
        if (flags == null) {
            return limit;
        }
        int to = from + 1;
        if (!has(row, from, SequenceInfo.SKIP)) {
            while (to < limit && isPlain(row, to)) {
                to++;
            }
        }
        return to;
    }

    /** Start of the run, in the sense of {@link #runEnd} and not before {@code limit}, that ends before {@code to}. */
    int runStart(int row, int to, int limit) {
        if (flags == null) {
            return limit;
        }
        int from = to - 1;
        while (from > limit && isPlain(row, from) && !has(row, from - 1, SequenceInfo.SKIP)) {
            from--;
        }
        return from;
    }
}
