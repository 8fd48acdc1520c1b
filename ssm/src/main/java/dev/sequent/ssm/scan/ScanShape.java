package dev.sequent.ssm.scan;

import dev.sequent.type.ShapeException;

/**
 * Sizes of a selective scan.
 *
 * @param batch B, sequences
 * @param tokens T, tokens of each sequence
 * @param channels E, independent channels
 * @param states N, states of each channel
 */
public record ScanShape(int batch, int tokens, int channels, int states) {
    /** Sizes of at least 1. */
    public ScanShape {
        if (batch < 1 || tokens < 1 || channels < 1 || states < 1) {
            throw new ShapeException("selectiveScan", "sizes of at least 1",
                    "B " + batch + ", T " + tokens + ", E " + channels + ", N " + states);
        }
    }
}
