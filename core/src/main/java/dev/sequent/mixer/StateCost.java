package dev.sequent.mixer;

/**
 * What a mixer costs, per sequence (one row) unless stated otherwise.
 *
 * @param fixedBytes state bytes that do not depend on the number of tokens
 * @param bytesPerToken state bytes that each further token adds; for a preallocated cache, up to its capacity
 * @param flopsPerToken floating-point operations of one token's forward pass that do not depend on the context
 * @param flopsPerTokenAndContext further operations per token and per token of context
 * @param parameterBytes bytes of parameters that one decode step reads
 */
public record StateCost(long fixedBytes, long bytesPerToken, double flopsPerToken, double flopsPerTokenAndContext, long parameterBytes) {
    /** State bytes of one sequence after {@code tokens} tokens. */
    public long bytesAt(long tokens) {
        return fixedBytes + bytesPerToken * tokens;
    }

    /** The sum of two costs. */
    public StateCost plus(StateCost other) {
        return new StateCost(fixedBytes + other.fixedBytes, bytesPerToken + other.bytesPerToken, flopsPerToken + other.flopsPerToken,
                flopsPerTokenAndContext + other.flopsPerTokenAndContext, parameterBytes + other.parameterBytes);
    }
}
