package dev.sequent.transformer.attention;

/**
 * Sizes of one attention call.
 *
 * @param batch B, independent rows
 * @param queries T, query tokens
 * @param keys S, key and value tokens
 * @param heads H, query heads
 * @param groups G, key-value heads; query head h reads key-value head h / (H / G)
 * @param width P, channels per head
 */
record AttentionSizes(int batch, int queries, int keys, int heads, int groups, int width) {
    /** Query heads per key-value head. */
    int headsPerGroup() {
        return heads / groups;
    }
}
