package dev.sequent.ssm.s4;

import java.lang.foreign.MemorySegment;

/**
 * Where the derivatives of a {@link DiagonalScan} go; each has the shape of the operand of {@link DiagonalInputs} that it belongs to. All
 * are overwritten.
 *
 * @param u (B, T, E)
 * @param logStep (E)
 * @param logDecay (E, P)
 * @param frequency (E, P)
 * @param c (E, P, 2)
 * @param skip (E)
 * @param stateRe (B, E, P), or null when not wanted
 * @param stateIm (B, E, P), or null when not wanted
 */
record DiagonalGradients(MemorySegment u, MemorySegment logStep, MemorySegment logDecay, MemorySegment frequency, MemorySegment c,
        MemorySegment skip, MemorySegment stateRe, MemorySegment stateIm) {}
