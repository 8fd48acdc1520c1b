package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * Operands of a state-space dual in native memory, all F32; see {@link StateSpaceDual} for the equations.
 *
 * @param shape sizes
 * @param x input, (B, T, H P)
 * @param dt step sizes, (B, T, H)
 * @param a rates, (H)
 * @param b input matrix, (B, T, G N)
 * @param c output matrix, (B, T, G N)
 * @param skip D, (H), or null
 * @param initialState state before the first token, or null for zero
 * @param flags {@link ScanInputs#RESET} and {@link ScanInputs#SKIP} for each of the B T tokens, or null when no token has one
 */
record DualInputs(DualShape shape, ScanRows x, ScanRows dt, MemorySegment a, ScanRows b, ScanRows c, MemorySegment skip,
        DualStates initialState,
        byte[] flags) {
    boolean has(int batch, int token, byte flag) {
        return flags != null && (flags[batch * shape.tokens() + token] & flag) != 0;
    }
}
