package dev.sequent.transformer.position;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.type.ConfigException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Kinds of rotary embedding that extend a model's context beyond the length of its training, with the keys and equations of Hugging Face's
 * {@code modeling_rope_utils.py}. In the equations, {@code w[i] = theta^(-2 i / channels)} are the original frequencies.
 *
 * <p>Two kinds depend on the length of the sequence there. Here angles depend on a token's position alone, which makes forward pass,
 * prefill and steps agree: {@link Dynamic} takes the length up to and including the token, {@link LongRope} stops with an error where its
 * short factors end. Both take a {@code sequence_length} that fixes the length for all tokens; with the length of the sequence they give
 * what Hugging Face gives for it.
 */
public sealed interface RopeScaling {
    /** Value of the key {@code rope_type}. */
    String type();

    /** The configuration as JSON-like values, {@code rope_type} included. */
    Map<String, Object> toMap();

    /** Requires that the kind suits the number of rotated channels and theta. */
    void requireFit(int channels, double theta);

    /** The frequencies for {@code channels} rotated channels. */
    RotaryFrequencies frequencies(int channels, double theta);

    /** The kind that {@link #toMap} wrote; {@code type} is another name of {@code rope_type}. */
    static RopeScaling parse(Map<String, Object> values) {
        ConfigReader r = new ConfigReader("rope scaling", values);
        String type = r.text("rope_type", r.text("type", ""));
        if (r.has("type") && !r.text("type", "").equals(type)) {
            throw new ConfigException("rope scaling", "equal type and rope_type", "'" + r.text("type", "") + "' and '" + type + "'");
        }
        int original = r.integer("original_max_position_embeddings", 0);
        RopeScaling scaling = switch (type) {
            case "linear" -> new Linear(r.number("factor", 0));
            case "dynamic" -> new Dynamic(r.number("factor", 0), r.integer("max_position_embeddings", 0), r.integer("sequence_length", 0));
            case "yarn" -> new Yarn(r.number("factor", 0), original, r.number("attention_factor", 0), r.number("beta_fast", 32),
                    r.number("beta_slow", 1), r.number("mscale", 0), r.number("mscale_all_dim", 0), r.flag("truncate", true));
            case "longrope" -> new LongRope(r.number("factor", 0), original, numbers(r, "short_factor"), numbers(r, "long_factor"),
                    r.number("attention_factor", 0), r.integer("sequence_length", 0));
            case "llama3" -> new Llama3(r.number("factor", 0), original, r.number("low_freq_factor", 0), r.number("high_freq_factor", 0));
            default -> throw new ConfigException("rope scaling", "a rope_type among linear, dynamic, yarn, longrope, llama3",
                    "'" + type + "'");
        };
        r.done();
        return scaling;
    }

    private static List<Double> numbers(ConfigReader r, String key) {
        if (!(r.raw(key) instanceof List<?> list) || !list.stream().allMatch(Number.class::isInstance)) {
            throw new ConfigException("rope scaling", "a list of numbers for '" + key + "'", r.has(key) ? "another value" : "none");
        }
        return list.stream().map(n -> ((Number) n).doubleValue()).toList();
    }

    private static void require(boolean holds, String type, String expected, Object... given) {
        if (!holds) {
            throw new ConfigException(type + " rope scaling", expected, Arrays.toString(given));
        }
    }

    private static boolean positive(double... values) {
        return Arrays.stream(values).allMatch(x -> x > 0 && x < Double.POSITIVE_INFINITY);
    }

    private static boolean optional(double... values) {
        return Arrays.stream(values).allMatch(x -> x >= 0 && x < Double.POSITIVE_INFINITY);
    }

    private static Map<String, Object> map(String type, Object... keysAndValues) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("rope_type", type);
        for (int i = 0; i < keysAndValues.length; i += 2) {
            m.put((String) keysAndValues[i], keysAndValues[i + 1]);
        }
        return m;
    }

    /**
     * Position interpolation (Chen et al. 2023): {@code w[i] / factor}.
     *
     * @param factor by which the context grows
     */
    record Linear(double factor) implements RopeScaling {
        /** Checks the factor. */
        public Linear {
            require(positive(factor), "linear", "a finite factor > 0", factor);
        }

        @Override
        public String type() {
            return "linear";
        }

        @Override
        public Map<String, Object> toMap() {
            return map(type(), "factor", factor);
        }

        @Override
        public void requireFit(int channels, double theta) {}

        @Override
        public RotaryFrequencies frequencies(int channels, double theta) {
            double[] w = RotaryFrequencies.powers(channels, theta);
            return RotaryFrequencies.fixed(Arrays.stream(w).map(x -> x / factor).toArray(), 1, Integer.MAX_VALUE);
        }
    }

    /**
     * Dynamic NTK scaling: for a length n beyond m = max_position_embeddings, theta is multiplied by
     * {@code (factor n / m - (factor - 1))^(channels / (channels - 2))}. n is the sequence_length where it is given, else the token's
     * position + 1, which is what step-by-step generation computes in Hugging Face, whose single forward pass takes the length of the
     * whole sequence for all tokens.
     *
     * @param factor by which the context grows
     * @param max_position_embeddings m, the length of training
     * @param sequence_length n for all tokens, or 0
     */
    record Dynamic(double factor, int max_position_embeddings, int sequence_length) implements RopeScaling {
        /** Checks the values. */
        public Dynamic {
            require(factor >= 1 && factor < Double.POSITIVE_INFINITY && max_position_embeddings >= 1 && sequence_length >= 0, "dynamic",
                    "a finite factor >= 1, max_position_embeddings >= 1 and sequence_length >= 0", factor, max_position_embeddings,
                    sequence_length);
        }

        @Override
        public String type() {
            return "dynamic";
        }

        @Override
        public Map<String, Object> toMap() {
            return withLength(map(type(), "factor", factor, "max_position_embeddings", max_position_embeddings), sequence_length);
        }

        @Override
        public void requireFit(int channels, double theta) {
            require(channels > 2, type(), "more than two rotated channels", channels);
        }

        @Override
        public RotaryFrequencies frequencies(int channels, double theta) {
            double[] original = at(channels, theta, Math.max(sequence_length, 1));
            if (sequence_length > 0) {
                return RotaryFrequencies.fixed(original, 1, Integer.MAX_VALUE);
            }
            return new RotaryFrequencies() {
                @Override
                public int pairs() {
                    return original.length;
                }

                @Override
                public double attentionFactor() {
                    return 1;
                }

                @Override
                public int positions() {
                    return Integer.MAX_VALUE;
                }

                @Override
                public double[] inverse(int position) {
                    return position < max_position_embeddings ? original : at(channels, theta, position + 1L);
                }
            };
        }

        private double[] at(int channels, double theta, long length) {
            double n = Math.max(length, max_position_embeddings);
            double growth = factor * n / max_position_embeddings - (factor - 1);
            return RotaryFrequencies.powers(channels, theta * Math.pow(growth, channels / (channels - 2.0)));
        }
    }

    /**
     * YaRN (Peng et al. 2023): {@code w[i]} where a pair turns often within the original context, {@code w[i] / factor} where it does not,
     * a ramp between {@code beta_fast} and {@code beta_slow} turns.
     *
     * @param factor by which the context grows
     * @param original_max_position_embeddings length of training before the extension
     * @param attention_factor factor of queries and keys, or 0 for the paper's, 0.1 ln(factor) + 1
     * @param beta_fast turns from which on a pair is not slowed down
     * @param beta_slow turns below which a pair is slowed down by the factor
     * @param mscale with mscale_all_dim, scales of the logarithm whose quotient is the attention factor; 0 for none
     * @param mscale_all_dim see mscale
     * @param truncate whether the ends of the ramp are rounded to whole pairs
     */
    record Yarn(double factor, int original_max_position_embeddings, double attention_factor, double beta_fast, double beta_slow,
            double mscale, double mscale_all_dim, boolean truncate) implements RopeScaling {
        /** Checks the values. */
        public Yarn {
            require(positive(factor, beta_fast, beta_slow) && beta_fast >= beta_slow && original_max_position_embeddings >= 1, "yarn",
                    "finite factor > 0, beta_fast >= beta_slow > 0 and original_max_position_embeddings >= 1", factor, beta_fast, beta_slow,
                    original_max_position_embeddings);
            require(optional(attention_factor, mscale, mscale_all_dim), "yarn",
                    "attention_factor, mscale and mscale_all_dim that are not negative",
                    attention_factor, mscale, mscale_all_dim);
        }

        @Override
        public String type() {
            return "yarn";
        }

        @Override
        public Map<String, Object> toMap() {
            Map<String, Object> m = map(type(), "factor", factor, "original_max_position_embeddings", original_max_position_embeddings,
                    "beta_fast", beta_fast, "beta_slow", beta_slow, "truncate", truncate);
            putIfSet(m, "attention_factor", attention_factor);
            putIfSet(m, "mscale", mscale);
            putIfSet(m, "mscale_all_dim", mscale_all_dim);
            return m;
        }

        @Override
        public void requireFit(int channels, double theta) {
            require(theta > 1, type(), "a rope_theta > 1", theta);
        }

        @Override
        public RotaryFrequencies frequencies(int channels, double theta) {
            double low = pairOf(beta_fast, channels, theta);
            double high = pairOf(beta_slow, channels, theta);
            low = Math.max(truncate ? Math.floor(low) : low, 0);
            high = Math.min(truncate ? Math.ceil(high) : high, channels - 1);
            double width = low == high ? 0.001 : high - low;
            double[] w = RotaryFrequencies.powers(channels, theta);
            for (int i = 0; i < w.length; i++) {
                double slowed = Math.clamp((i - low) / width, 0, 1);
                w[i] = w[i] / factor * slowed + w[i] * (1 - slowed);
            }
            return RotaryFrequencies.fixed(w, attention(), Integer.MAX_VALUE);
        }

        /** The pair, as a real number, that turns {@code turns} times within the original context. */
        private double pairOf(double turns, int channels, double theta) {
            return channels * Math.log(original_max_position_embeddings / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
        }

        private double attention() {
            if (attention_factor > 0) {
                return attention_factor;
            }
            return mscale > 0 && mscale_all_dim > 0 ? scale(mscale) / scale(mscale_all_dim) : scale(1);
        }

        private double scale(double m) {
            return factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1;
        }
    }

    /**
     * LongRoPE (Ding et al. 2024): {@code w[i] / short_factor[i]} for sequences up to the original length, {@code w[i] / long_factor[i]}
     * for longer ones. Angles of the two kinds do not belong together, so that without a sequence_length positions beyond the original
     * length are an error.
     *
     * @param factor by which the context grows; the attention factor follows from it
     * @param original_max_position_embeddings length of training before the extension
     * @param short_factor a divisor per pair
     * @param long_factor a divisor per pair
     * @param attention_factor factor of queries and keys, or 0 for sqrt(1 + ln(factor) / ln(original length))
     * @param sequence_length length for which all tokens' divisors are chosen, or 0 for short sequences
     */
    record LongRope(double factor, int original_max_position_embeddings, List<Double> short_factor, List<Double> long_factor,
            double attention_factor, int sequence_length) implements RopeScaling {
        /** Checks the values. */
        public LongRope {
            short_factor = List.copyOf(short_factor);
            long_factor = List.copyOf(long_factor);
            require(positive(factor) && original_max_position_embeddings >= 2 && optional(attention_factor) && sequence_length >= 0,
                    "longrope", "finite factor > 0, original_max_position_embeddings >= 2, attention_factor >= 0 and sequence_length >= 0",
                    factor, original_max_position_embeddings, attention_factor, sequence_length);
            for (List<Double> divisors : List.of(short_factor, long_factor)) {
                require(positive(divisors.stream().mapToDouble(d -> d).toArray()), "longrope", "finite short_factor and long_factor > 0",
                        divisors.stream().limit(20).toArray());
            }
        }

        @Override
        public String type() {
            return "longrope";
        }

        @Override
        public Map<String, Object> toMap() {
            Map<String, Object> m = map(type(), "factor", factor, "original_max_position_embeddings", original_max_position_embeddings,
                    "short_factor", short_factor, "long_factor", long_factor);
            putIfSet(m, "attention_factor", attention_factor);
            return withLength(m, sequence_length);
        }

        @Override
        public void requireFit(int channels, double theta) {
            require(short_factor.size() == channels / 2 && long_factor.size() == channels / 2, type(),
                    "one short_factor and one long_factor per pair, " + channels / 2, short_factor.size(), long_factor.size());
        }

        @Override
        public RotaryFrequencies frequencies(int channels, double theta) {
            boolean beyond = sequence_length > original_max_position_embeddings;
            List<Double> divisors = beyond ? long_factor : short_factor;
            double[] w = RotaryFrequencies.powers(channels, theta);
            for (int i = 0; i < w.length; i++) {
                w[i] /= divisors.get(i);
            }
            return RotaryFrequencies.fixed(w, attention(), beyond ? Integer.MAX_VALUE : original_max_position_embeddings);
        }

        private double attention() {
            if (attention_factor > 0) {
                return attention_factor;
            }
            return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original_max_position_embeddings));
        }
    }

    /**
     * Llama 3.1's: {@code w[i]} for short wave lengths, {@code w[i] / factor} for long ones, a blend between.
     *
     * @param factor by which the context grows
     * @param original_max_position_embeddings length of training before the extension
     * @param low_freq_factor wave lengths above the original length divided by this are long
     * @param high_freq_factor wave lengths below the original length divided by this are short
     */
    record Llama3(double factor, int original_max_position_embeddings, double low_freq_factor,
            double high_freq_factor) implements RopeScaling {
        /** Checks the values. */
        public Llama3 {
            require(positive(factor, low_freq_factor, high_freq_factor) && high_freq_factor > low_freq_factor
                    && original_max_position_embeddings >= 1,
                    "llama3", "finite factor > 0, high_freq_factor > low_freq_factor > 0 and original_max_position_embeddings >= 1", factor,
                    high_freq_factor, low_freq_factor, original_max_position_embeddings);
        }

        @Override
        public String type() {
            return "llama3";
        }

        @Override
        public Map<String, Object> toMap() {
            return map(type(), "factor", factor, "original_max_position_embeddings", original_max_position_embeddings, "low_freq_factor",
                    low_freq_factor, "high_freq_factor", high_freq_factor);
        }

        @Override
        public void requireFit(int channels, double theta) {}

        @Override
        public RotaryFrequencies frequencies(int channels, double theta) {
            double[] w = RotaryFrequencies.powers(channels, theta);
            for (int i = 0; i < w.length; i++) {
                double turns = original_max_position_embeddings * w[i] / (2 * Math.PI);
                double kept = Math.clamp((turns - low_freq_factor) / (high_freq_factor - low_freq_factor), 0, 1);
                w[i] = (1 - kept) * w[i] / factor + kept * w[i];
            }
            return RotaryFrequencies.fixed(w, 1, Integer.MAX_VALUE);
        }
    }

    private static void putIfSet(Map<String, Object> m, String key, double value) {
        if (value > 0) {
            m.put(key, value);
        }
    }

    private static Map<String, Object> withLength(Map<String, Object> m, int length) {
        if (length > 0) {
            m.put("sequence_length", length);
        }
        return m;
    }
}
