package dev.sequent.generate;

import dev.sequent.type.ConfigException;

/**
 * How the next token is chosen from the logits. Applied in this order: repetition penalty, temperature, top-k, top-p, min-p.
 *
 * @param temperature divides the logits; 0 chooses the most likely token
 * @param top_k keeps the k most likely tokens; 0 keeps all
 * @param top_p keeps the fewest most likely tokens whose probabilities add up to at least p (Holtzman et al. 2019); 1 keeps all
 * @param min_p keeps tokens at least p times as likely as the most likely one (Nguyen et al. 2024); 0 keeps all
 * @param repetition_penalty divides positive and multiplies negative logits of tokens that have occurred (Keskar et al. 2019); 1
 *     changes nothing
 * @param seed of the random choice; the same seed gives the same tokens
 */
public record Sampling(double temperature, int top_k, double top_p, double min_p, double repetition_penalty, long seed) {
    /** Checks the values. */
    public Sampling {
        boolean finite = Double.isFinite(temperature) && Double.isFinite(repetition_penalty);
        boolean cuts = top_k >= 0 && top_p > 0 && top_p <= 1 && min_p >= 0 && min_p <= 1;
        if (!finite || !cuts || temperature < 0 || repetition_penalty <= 0) {
            throw new ConfigException("sampling",
                    "finite temperature >= 0, top_k >= 0, 0 < top_p <= 1, 0 <= min_p <= 1 and repetition_penalty > 0",
                    temperature + ", " + top_k + ", " + top_p + ", " + min_p + ", " + repetition_penalty);
        }
    }

    /** Always the most likely token. */
    public static Sampling greedy() {
        return new Sampling(0, 0, 1, 0, 1, 0);
    }

    /** Plain sampling at a temperature. */
    public static Sampling temperature(double temperature, long seed) {
        return new Sampling(temperature, 0, 1, 0, 1, seed);
    }

    /** The same with top-k. */
    public Sampling withTopK(int k) {
        return new Sampling(temperature, k, top_p, min_p, repetition_penalty, seed);
    }

    /** The same with top-p. */
    public Sampling withTopP(double p) {
        return new Sampling(temperature, top_k, p, min_p, repetition_penalty, seed);
    }

    /** The same with min-p. */
    public Sampling withMinP(double p) {
        return new Sampling(temperature, top_k, top_p, p, repetition_penalty, seed);
    }

    /** The same with a repetition penalty. */
    public Sampling withRepetitionPenalty(double penalty) {
        return new Sampling(temperature, top_k, top_p, min_p, penalty, seed);
    }
}
