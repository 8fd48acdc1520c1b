package dev.sequent.transformer.attention;

import dev.sequent.tensor.Tensor;
import dev.sequent.type.ShapeException;

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
    /** The sizes of q (B, T, H, P), k and v (B, S, G, P). */
    static AttentionSizes of(Tensor q, Tensor k, Tensor v) {
        boolean fits = q.rank() == 4 && k.rank() == 4 && k.shape().equals(v.shape()) && q.dim(0) == k.dim(0) && q.dim(3) == k.dim(3)
                && q.size() > 0 && k.size() > 0 && q.dim(2) % k.dim(2) == 0;
        if (!fits) {
            throw new ShapeException("attention", "q (B, T, H, P), k and v (B, S, G, P) with H a multiple of G",
                    q.shape() + ", " + k.shape() + " and " + v.shape());
        }
        return new AttentionSizes((int) q.dim(0), (int) q.dim(1), (int) k.dim(1), (int) q.dim(2), (int) k.dim(2), (int) q.dim(3));
    }

    /** Query heads per key-value head. */
    int headsPerGroup() {
        return heads / groups;
    }
}
