package dev.sequent.transformer.position;

import dev.sequent.type.ConfigException;

/**
 * How fast each pair of channels turns: what distinguishes the kinds of rotary embedding. A token's angles depend on its own position
 * alone, so that a sequence gives the same whether it is fed at once, in pieces, or token by token. {@link RopeScaling} makes kinds that
 * extend a context.
 */
public interface RotaryFrequencies {
    /** Number of pairs. */
    int pairs();

    /** Factor of cosines and sines, and so of queries and keys; 1 unless a kind of context extension asks for another. */
    double attentionFactor();

    /** How many positions, from 0, these frequencies are for. */
    int positions();

    /** Radians per position of every pair, for a token at {@code position}; not to be changed. */
    double[] inverse(int position);

    /**
     * The same frequencies at all positions.
     *
     * @param inverse radians per position of every pair
     * @param attentionFactor factor of cosines and sines
     * @param positions how many positions they are for
     */
    static RotaryFrequencies fixed(double[] inverse, double attentionFactor, int positions) {
        if (inverse.length == 0) {
            throw new ConfigException("rotary embedding", "at least one pair of channels", "none");
        }
        return new RotaryFrequencies() {
            @Override
            public int pairs() {
                return inverse.length;
            }

            @Override
            public double attentionFactor() {
                return attentionFactor;
            }

            @Override
            public int positions() {
                return positions;
            }

            @Override
            public double[] inverse(int position) {
                return inverse;
            }
        };
    }

    /**
     * The original kind (Su et al. 2021): pair i of {@code channels / 2} turns by {@code theta^(-2 i / channels)} per position.
     *
     * @param channels number of rotated channels, even
     * @param theta base of the wave lengths, usually 10000
     */
    static RotaryFrequencies standard(int channels, double theta) {
        return fixed(powers(channels, theta), 1, Integer.MAX_VALUE);
    }

    /** {@code theta^(-2 i / channels)} of every pair. */
    static double[] powers(int channels, double theta) {
        if (channels < 2 || channels % 2 != 0 || !(theta > 0)) {
            throw new ConfigException("rotary embedding", "an even number of channels and a positive theta",
                    channels + " channels, theta " + theta);
        }
        double[] inverse = new double[channels / 2];
        for (int i = 0; i < inverse.length; i++) {
            inverse[i] = Math.pow(theta, -2.0 * i / channels);
        }
        return inverse;
    }
}
