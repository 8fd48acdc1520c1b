package dev.sequent.generate;

import dev.sequent.type.ConfigException;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Set;

/**
 * The usual processors. Names, ranges and meaning are those of Hugging Face transformers' generation parameters; where the public
 * implementations differ, the paper's formula is what is computed. Tokens beyond the end of the logits are ignored.
 *
 * <p>They are applied in the order of their list, which matters: penalties change logits and belong in front, {@link #temperature} comes
 * next, and the cuts {@link #topK}, {@link #topP}, {@link #minP} and {@link #typical} judge what is left, each by the probabilities that
 * the
 * ones before it have left. {@link Sampling#processors} is such a list.
 */
public final class LogitsProcessors {
    private static final float OUT = Float.NEGATIVE_INFINITY;

    private LogitsProcessors() {}

    /** Divides logits by {@code t} > 0, after moving the largest to 0, which keeps tiny temperatures finite. */
    public static LogitsProcessor temperature(double t) {
        require(t > 0 && t < Double.POSITIVE_INFINITY, "a finite temperature > 0", t);
        return (_, logits) -> {
            float max = Logits.max(logits);
            for (int i = 0; i < logits.length && max > OUT; i++) {
                logits[i] = (float) (((double) logits[i] - max) / t);
            }
        };
    }

    /** Keeps the {@code k} >= 1 most likely tokens; of equally likely ones the lower tokens (Fan et al. 2018). */
    public static LogitsProcessor topK(int k) {
        require(k >= 1, "top_k >= 1", k);
        return (_, logits) -> {
            if (k < logits.length) {
                Logits.keepFirst(logits, Logits.descending(logits), k);
            }
        };
    }

    /** Keeps the fewest most likely tokens whose probabilities add up to at least {@code p} in (0, 1] (Holtzman et al. 2019). */
    public static LogitsProcessor topP(double p) {
        require(p > 0 && p <= 1, "0 < top_p <= 1", p);
        return (_, logits) -> {
            if (p < 1) {
                keepMass(logits, Logits.descending(logits), p);
            }
        };
    }

    /** Keeps tokens at least {@code p} in [0, 1] times as likely as the most likely one (Nguyen et al. 2024). */
    public static LogitsProcessor minP(double p) {
        require(p >= 0 && p <= 1, "0 <= min_p <= 1", p);
        return (_, logits) -> {
            float max = Logits.max(logits);
            for (int i = 0; i < logits.length; i++) {
                logits[i] = logits[i] > OUT && Math.exp((double) logits[i] - max) < p ? OUT : logits[i];
            }
        };
    }

    /**
     * Keeps the tokens whose surprise -log p is nearest to the distribution's entropy, the fewest whose probabilities add up to at least
     * {@code p} in (0, 1] (locally typical sampling, Meister et al. 2022).
     */
    public static LogitsProcessor typical(double p) {
        require(p > 0 && p <= 1, "0 < typical_p <= 1", p);
        return (_, logits) -> {
            if (p < 1 && Logits.max(logits) > OUT) {
                keepMass(logits, Logits.ascending(distanceFromEntropy(logits)), p);
            }
        };
    }

    private static float[] distanceFromEntropy(float[] logits) {
        double normalizer = Logits.logSumExp(logits);
        double entropy = 0;
        for (float x : logits) {
            double logP = x - normalizer;
            entropy -= x > OUT ? Math.exp(logP) * logP : 0;
        }
        float[] distance = new float[logits.length];
        for (int i = 0; i < distance.length; i++) {
            distance[i] = logits[i] > OUT ? (float) Math.abs(normalizer - logits[i] - entropy) : Float.POSITIVE_INFINITY;
        }
        return distance;
    }

    /** Takes out all tokens of {@code order} but the first ones that reach the share {@code p} of the probability; at least one stays. */
    private static void keepMass(float[] logits, int[] order, double p) {
        double[] weight = Logits.weights(logits);
        double total = 0;
        for (int token : order) {
            total += weight[token];
        }
        int kept = 0;
        for (double sum = 0; kept < order.length && (kept == 0 || sum < p * total); kept++) {
            sum += weight[order[kept]];
        }
        Logits.keepFirst(logits, order, kept);
    }

    /**
     * Divides positive and multiplies negative logits of tokens that have occurred, prompt included, by {@code x} > 0 (Keskar et al. 2019).
     */
    public static LogitsProcessor repetitionPenalty(double x) {
        require(x > 0 && x < Double.POSITIVE_INFINITY, "a finite repetition_penalty > 0", x);
        float penalty = (float) x;
        return (tokens, logits) -> tokens.distinct(0).stream().filter(t -> t < logits.length)
                .forEach(t -> logits[t] = logits[t] > 0 ? logits[t] / penalty : logits[t] * penalty);
    }

    /** Subtracts {@code x} from a token's logit for every time that it has been generated; the prompt does not count. */
    public static LogitsProcessor frequencyPenalty(double x) {
        require(Double.isFinite(x), "a finite frequency_penalty", x);
        return (tokens, logits) -> {
            int[] count = new int[logits.length];
            for (int i = tokens.promptSize(); i < tokens.size(); i++) {
                if (tokens.token(i) < logits.length) {
                    count[tokens.token(i)]++;
                }
            }
            for (int t = 0; t < count.length; t++) {
                logits[t] -= (float) (count[t] * x);
            }
        };
    }

    /** Subtracts {@code x} from the logits of tokens that have been generated at least once; the prompt does not count. */
    public static LogitsProcessor presencePenalty(double x) {
        require(Double.isFinite(x), "a finite presence_penalty", x);
        return (tokens, logits) -> tokens.distinct(tokens.promptSize()).stream().filter(t -> t < logits.length)
                .forEach(t -> logits[t] -= (float) x);
    }

    /** Takes out tokens that would complete {@code n} >= 1 tokens which have occurred in this order before, prompt included. */
    public static LogitsProcessor noRepeatNgram(int n) {
        require(n >= 1, "no_repeat_ngram_size >= 1", n);
        return (tokens, logits) -> {
            for (int at = 0; at + n <= tokens.size(); at++) {
                int last = tokens.token(at + n - 1);
                if (last < logits.length && tokens.repeatsEnd(at, n - 1)) {
                    logits[last] = OUT;
                }
            }
        };
    }

    /** Takes out all tokens from {@code n} >= 1 on: those that a tokenizer does not have where the model's vocabulary is padded. */
    public static LogitsProcessor only(int n) {
        require(n >= 1, "at least one token", n);
        return (_, logits) -> Arrays.fill(logits, Math.min(n, logits.length), logits.length, OUT);
    }

    /** Takes out tokens, always. */
    public static LogitsProcessor suppress(Collection<Integer> tokens) {
        int[] out = ids("suppressed tokens", tokens.stream().mapToInt(Integer::intValue).toArray());
        return (_, logits) -> takeOut(logits, out);
    }

    private static void takeOut(float[] logits, int[] tokens) {
        for (int t : tokens) {
            if (t < logits.length) {
                logits[t] = OUT;
            }
        }
    }

    /**
     * Takes out the last token of each of these sequences where the tokens before it are the latest ones. A sequence of one is never
     * chosen.
     */
    public static LogitsProcessor badWords(List<int[]> sequences) {
        List<int[]> bad = sequences.stream().map(s -> ids("bad words", s)).toList();
        require(bad.stream().allMatch(s -> s.length > 0), "bad words of at least one token", "an empty one");
        return (tokens, logits) -> {
            for (int[] word : bad) {
                int last = word[word.length - 1];
                if (last < logits.length && tokens.endsWith(word, word.length - 1)) {
                    logits[last] = OUT;
                }
            }
        };
    }

    /** Makes {@code token} the first generated one. */
    public static LogitsProcessor forcedFirst(int token) {
        ids("a forced token", token);
        return (tokens, logits) -> {
            if (tokens.generated() == 0) {
                boolean known = token < logits.length;
                Arrays.fill(logits, OUT);
                if (known) {
                    logits[token] = 0;
                }
            }
        };
    }

    /** Takes out {@code stop} tokens before {@code n} tokens have been generated: the continuation has at least n before its stop token. */
    public static LogitsProcessor minNewTokens(int n, Set<Integer> stop) {
        require(n >= 0, "min_new_tokens >= 0", n);
        int[] out = ids("stop tokens", stop.stream().mapToInt(Integer::intValue).toArray());
        return (tokens, logits) -> {
            if (tokens.generated() < n) {
                takeOut(logits, out);
            }
        };
    }

    private static int[] ids(String what, int... ids) {
        for (int id : ids) {
            require(id >= 0, what + " of at least 0", id);
        }
        return ids.clone();
    }

    private static void require(boolean fits, String expected, Object given) {
        if (!fits) {
            throw new ConfigException("sampling", expected, String.valueOf(given));
        }
    }
}
