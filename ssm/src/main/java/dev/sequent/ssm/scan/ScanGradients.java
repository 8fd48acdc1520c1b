package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;

/**
 * Where the gradients of a selective scan go; each has the shape of the operand of {@link ScanInputs} that it belongs to, and is
 * null where that operand is. The scan overwrites them.
 *
 * @param u gradient of the input, (B, T, E)
 * @param delta gradient of the step size before bias and activation, (B, T, E)
 * @param a gradient of the state matrix, (E, N)
 * @param b gradient of the input matrix, (B, T, N) without gaps
 * @param c gradient of the output matrix, (B, T, N) without gaps
 * @param skip gradient of D, (E), or null
 * @param deltaBias gradient of the step size's bias, (E), or null
 * @param z gradient of the gate, (B, T, E), or null
 * @param initialState gradient of the initial state, (B, E, N), or null when it is not wanted
 */
public record ScanGradients(ScanRows u, ScanRows delta, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment skip,
        MemorySegment deltaBias, ScanRows z, MemorySegment initialState) {}
