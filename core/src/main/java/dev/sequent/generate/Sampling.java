package dev.sequent.generate;

import dev.sequent.type.ConfigException;
import java.util.ArrayList;
import java.util.List;

/**
 * How the next token is chosen from the logits, in numbers. The rules are applied in the order of {@link #processors}: repetition,
 * frequency and presence penalty, repeated n-grams, temperature, top-k, top-p, min-p, typical; then one token is drawn, or, at temperature
 * 0, the most likely one is taken.
 *
 * @param temperature divides the logits; 0 chooses the most likely token
 * @param top_k keeps the k most likely tokens; 0 keeps all
 * @param top_p keeps the fewest most likely tokens whose probabilities add up to at least p (Holtzman et al. 2019); 1 keeps all
 * @param min_p keeps tokens at least p times as likely as the most likely one (Nguyen et al. 2024); 0 keeps all
 * @param typical_p keeps the fewest tokens of nearly the expected surprise that add up to at least p (Meister et al. 2022); 1 keeps all
 * @param repetition_penalty divides positive and multiplies negative logits of tokens that have occurred (Keskar et al. 2019); 1
 *     changes nothing
 * @param frequency_penalty is subtracted from a token's logit for every time it has been generated; 0 changes nothing
 * @param presence_penalty is subtracted from the logits of tokens that have been generated; 0 changes nothing
 * @param no_repeat_ngram_size no n tokens come twice in the same order; 0 for no such rule
 * @param seed of the random choice; the same seed gives the same tokens
 */
public record Sampling(double temperature, int top_k, double top_p, double min_p, double typical_p, double repetition_penalty,
        double frequency_penalty, double presence_penalty, int no_repeat_ngram_size, long seed) {
    /** Checks the values. */
    public Sampling {
        boolean finite = Double.isFinite(temperature) && Double.isFinite(repetition_penalty);
        boolean cuts = top_k >= 0 && top_p > 0 && top_p <= 1 && min_p >= 0 && min_p <= 1;
        if (!finite || !cuts || temperature < 0 || repetition_penalty <= 0) {
            throw new ConfigException("sampling",
                    "finite temperature >= 0, top_k >= 0, 0 < top_p <= 1, 0 <= min_p <= 1 and repetition_penalty > 0",
                    temperature + ", " + top_k + ", " + top_p + ", " + min_p + ", " + repetition_penalty);
        }
        boolean penalties = Double.isFinite(frequency_penalty) && Double.isFinite(presence_penalty);
        if (!penalties || !(typical_p > 0 && typical_p <= 1) || no_repeat_ngram_size < 0) {
            throw new ConfigException("sampling",
                    "0 < typical_p <= 1, finite frequency_penalty and presence_penalty and no_repeat_ngram_size >= 0",
                    typical_p + ", " + frequency_penalty + ", " + presence_penalty + ", " + no_repeat_ngram_size);
        }
    }

    /** Always the most likely token. */
    public static Sampling greedy() {
        return temperature(0, 0);
    }

    /** Plain sampling at a temperature. */
    public static Sampling temperature(double temperature, long seed) {
        return new Sampling(temperature, 0, 1, 0, 1, 1, 0, 0, 0, seed);
    }

    /** The same with top-k. */
    public Sampling withTopK(int k) {
        return new Sampling(temperature, k, top_p, min_p, typical_p, repetition_penalty, frequency_penalty, presence_penalty,
                no_repeat_ngram_size, seed);
    }

    /** The same with top-p. */
    public Sampling withTopP(double p) {
        return new Sampling(temperature, top_k, p, min_p, typical_p, repetition_penalty, frequency_penalty, presence_penalty,
                no_repeat_ngram_size, seed);
    }

    /** The same with min-p. */
    public Sampling withMinP(double p) {
        return new Sampling(temperature, top_k, top_p, p, typical_p, repetition_penalty, frequency_penalty, presence_penalty,
                no_repeat_ngram_size, seed);
    }

    /** The same with typical sampling. */
    public Sampling withTypicalP(double p) {
        return new Sampling(temperature, top_k, top_p, min_p, p, repetition_penalty, frequency_penalty, presence_penalty,
                no_repeat_ngram_size, seed);
    }

    /** The same with a repetition penalty. */
    public Sampling withRepetitionPenalty(double penalty) {
        return new Sampling(temperature, top_k, top_p, min_p, typical_p, penalty, frequency_penalty, presence_penalty,
                no_repeat_ngram_size, seed);
    }

    /** The same with penalties for generated tokens: per occurrence, and for having occurred. */
    public Sampling withPenalties(double frequency, double presence) {
        return new Sampling(temperature, top_k, top_p, min_p, typical_p, repetition_penalty, frequency, presence, no_repeat_ngram_size,
                seed);
    }

    /** The same where no {@code n} tokens come twice in the same order. */
    public Sampling withNoRepeatNgram(int n) {
        return new Sampling(temperature, top_k, top_p, min_p, typical_p, repetition_penalty, frequency_penalty, presence_penalty, n, seed);
    }

    /** The rules that change something, in the order in which they are applied. At temperature 0 there are no cuts. */
    public List<LogitsProcessor> processors() {
        List<LogitsProcessor> list = new ArrayList<>();
        add(list, repetition_penalty != 1, LogitsProcessors.repetitionPenalty(repetition_penalty));
        add(list, frequency_penalty != 0, LogitsProcessors.frequencyPenalty(frequency_penalty));
        add(list, presence_penalty != 0, LogitsProcessors.presencePenalty(presence_penalty));
        add(list, no_repeat_ngram_size > 0, LogitsProcessors.noRepeatNgram(Math.max(1, no_repeat_ngram_size)));
        if (temperature > 0) {
            list.add(LogitsProcessors.temperature(temperature));
            add(list, top_k > 0, LogitsProcessors.topK(Math.max(1, top_k)));
            add(list, top_p < 1, LogitsProcessors.topP(top_p));
            add(list, min_p > 0, LogitsProcessors.minP(min_p));
            add(list, typical_p < 1, LogitsProcessors.typical(typical_p));
        }
        return List.copyOf(list);
    }

    private static void add(List<LogitsProcessor> list, boolean active, LogitsProcessor processor) {
        if (active) {
            list.add(processor);
        }
    }
}
