package dev.sequent.transformer.position;

import dev.sequent.type.ConfigException;

/**
 * How fast each pair of channels turns: what distinguishes the kinds of rotary embedding.
 *
 * @param inverse angle per position of every pair, in radians
 * @param attentionFactor factor of cosines and sines, and so of queries and keys; 1 unless a kind of context extension asks for another
 */
public record RotaryFrequencies(double[] inverse, double attentionFactor) {
    /** Checks that there is a pair. */
    public RotaryFrequencies {
        if (inverse.length == 0) {
            throw new ConfigException("rotary embedding", "at least one pair of channels", "none");
        }
    }

    /**
     * The original kind (Su et al. 2021): pair i of {@code channels / 2} turns by {@code theta^(-2 i / channels)} per position.
     *
     * @param channels number of rotated channels, even
     * @param theta base of the wave lengths, usually 10000
     */
    public static RotaryFrequencies standard(int channels, double theta) {
        if (channels < 2 || channels % 2 != 0 || !(theta > 0)) {
            throw new ConfigException("rotary embedding", "an even number of channels and a positive theta", channels + " channels, theta " + theta);
        }
        double[] inverse = new double[channels / 2];
        for (int i = 0; i < inverse.length; i++) {
            inverse[i] = Math.pow(theta, -2.0 * i / channels);
        }
        return new RotaryFrequencies(inverse, 1);
    }
}
