package dev.sequent.generate;

/**
 * Changes the logits of one row before a token is chosen. {@link LogitsProcessors} has the usual ones; others are lambdas.
 *
 * <p>A processor keeps no state of its own: everything that it may depend on is in the history. So one processor serves all rows of a batch
 * and all beams of a search, and several threads.
 */
@FunctionalInterface
public interface LogitsProcessor {
    /**
     * Changes {@code logits} in place. Negative infinity takes a token out; a NaN or positive infinity is reported as an error afterwards.
     *
     * @param tokens the row's tokens so far
     * @param logits (V), one number per token, some of which may be negative infinity already
     */
    void process(TokenHistory tokens, float[] logits);
}
