package dev.sequent.transformer.attention;

import java.lang.foreign.MemorySegment;

/**
 * Operands of one forward call.
 *
 * @param q queries (B, T, H, P)
 * @param k keys (B, S, G, P)
 * @param v values (B, S, G, P)
 * @param out receives the result (B, T, H, P)
 * @param lse receives the natural logarithm of each query's sum of exponentials (B, H, T), contiguous; negative infinity where a query
 *     sees no key. Null when nobody needs it.
 * @param scale factor of the scores, usually 1 / sqrt(P)
 */
record AttentionCall(AttentionSizes sizes, AttentionMask mask, float scale, HeadsView q, HeadsView k, HeadsView v, HeadsView out,
        MemorySegment lse) {
    /** Index of a query's entry in {@link #lse}. */
    long lseIndex(int row, int head, int query) {
        return ((long) row * sizes.heads() + head) * sizes.queries() + query;
    }
}
