package dev.sequent.transformer.attention;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.position.RotaryTable;
import dev.sequent.type.DType;
import java.util.Optional;

/**
 * Contract of the attention of one token over a cache, as in generation, in one call: queries and keys are turned to the token's position,
 * its key and value stored behind those of the tokens before it, and the queries attend to all of them. The numbers are those of the
 * separate operations. Called without recording, inside a scope.
 */
public interface TokenAttentionKernel extends Kernel {
    /**
     * Why this kernel cannot work on these operands; empty when it can.
     *
     * @param x the layer's input, whose dtype the projections have
     * @param cache dtype of the cache
     * @param width P, channels per head
     */
    Optional<String> refusal(Tensor x, DType cache, int width);

    /**
     * Stores the token and attends to it and all tokens before it.
     *
     * @param q queries (B, 1, H P), before they are turned
     * @param k keys (B, 1, G P), before they are turned
     * @param v values (B, 1, G P)
     * @param cache what the token is added to
     * @param scale factor of the scores, usually 1 / sqrt(P)
     * @return (B, 1, H P)
     */
    Tensor attend(Tensor q, Tensor k, Tensor v, Cache cache, double scale);

    /**
     * Keys and values of the tokens before.
     *
     * @param keys (B, G, capacity, P), contiguous; changed in place
     * @param values (B, G, capacity, P), contiguous; changed in place
     * @param slot number of tokens before this one, in every row, and so its position
     * @param window how many tokens, itself included, the token sees at most
     * @param table angles up to position {@code slot}, or null where heads are not turned
     */
    record Cache(Tensor keys, Tensor values, int slot, int window, RotaryTable table) {}
}
