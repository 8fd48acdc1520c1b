package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * Where the gradients of a state-space dual go; each has the shape of the operand of {@link DualInputs} that it belongs to, and is null
 * where that operand is. They are overwritten.
 *
 * @param x gradient of the input, (B, T, H P)
 * @param dt gradient of the step sizes, (B, T, H)
 * @param a gradient of the rates, (H)
 * @param b gradient of the input matrix, (B, T, G N) without gaps
 * @param c gradient of the output matrix, (B, T, G N) without gaps
 * @param skip gradient of D, (H), or null
 * @param initialState gradient of the initial state, or null when it is not wanted
 */
record DualGradients(ScanRows x, ScanRows dt, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment skip,
        DualStates initialState) {}
