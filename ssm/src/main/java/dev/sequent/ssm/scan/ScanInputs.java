package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * Operands of a selective scan in native memory, all F32; see {@link SelectiveScanCpu} for the equations.
 *
 * @param shape sizes
 * @param u input, (B, T, E)
 * @param delta step size before bias and activation, (B, T, E)
 * @param a state matrix, (E, N) without gaps; entries are negative in a stable system
 * @param b input matrix, (B, T, N)
 * @param c output matrix, (B, T, N)
 * @param skip D, weight of the input in the output, (E), or null
 * @param deltaBias bias of the step size, (E), or null
 * @param softplus whether the step size is the softplus of delta + bias
 * @param z gate, (B, T, E), or null
 * @param initialState state before the first token, (B, E, N) without gaps, or null for zero
 * @param flags {@link #RESET} and {@link #SKIP} for each of the B T tokens, or null when no token has one
 */
public record ScanInputs(ScanShape shape, ScanRows u, ScanRows delta, MemorySegment a, ScanRows b, ScanRows c, MemorySegment skip,
        MemorySegment deltaBias, boolean softplus, ScanRows z, MemorySegment initialState, byte[] flags) {
    /** The state before this token is zero: a document starts here. */
    public static final byte RESET = 1;

    /** Padding: the state passes this token unchanged, and its output is zero. */
    public static final byte SKIP = 2;
}
