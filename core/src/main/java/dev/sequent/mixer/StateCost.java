package dev.sequent.mixer;

/**
 * What a mixer holds in memory, per sequence (one row) unless stated otherwise. What it computes and moves is told by
 * {@link SequenceMixer#work}.
 *
 * @param fixedBytes state bytes that do not depend on the number of tokens
 * @param bytesPerToken state bytes that each further token adds; for a preallocated cache, up to its capacity
 * @param parameterBytes bytes of parameters that one decode step reads, whatever the number of rows
 */
public record StateCost(long fixedBytes, long bytesPerToken, long parameterBytes) {
    /** State bytes of one sequence after {@code tokens} tokens. */
    public long bytesAt(long tokens) {
        return fixedBytes + bytesPerToken * tokens;
    }

    /** The sum of two costs. */
    public StateCost plus(StateCost other) {
        return new StateCost(fixedBytes + other.fixedBytes, bytesPerToken + other.bytesPerToken, parameterBytes + other.parameterBytes);
    }
}
