package dev.sequent.ssm.scan;

import dev.sequent.type.ShapeException;

/**
 * Sizes of a state-space dual.
 *
 * @param batch B, sequences
 * @param tokens T, tokens of each sequence
 * @param heads H, heads, each with a decay of its own
 * @param width P, channels of a head
 * @param groups G, groups of H / G neighbouring heads that share their input and output matrices
 * @param states N, states of each channel
 */
public record DualShape(int batch, int tokens, int heads, int width, int groups, int states) {
    /** Sizes of at least 1, and groups that divide the heads. */
    public DualShape {
        if (batch < 1 || tokens < 1 || heads < 1 || width < 1 || groups < 1 || states < 1 || heads % groups != 0) {
            throw new ShapeException("stateSpaceDual", "sizes of at least 1, H a multiple of G",
                    "B " + batch + ", T " + tokens + ", H " + heads + ", P " + width + ", G " + groups + ", N " + states);
        }
    }

    /** Heads that share their input and output matrices, H / G. */
    public int headsPerGroup() {
        return heads / groups;
    }
}
