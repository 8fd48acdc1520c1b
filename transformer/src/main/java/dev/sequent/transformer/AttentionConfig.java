package dev.sequent.transformer;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.nn.Init;
import dev.sequent.transformer.position.RopeScaling;
import dev.sequent.transformer.position.RotaryFrequencies;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Configuration of {@link CausalSelfAttention}.
 *
 * @param num_attention_heads H: query heads
 * @param num_key_value_heads G: key-value heads, a divisor of H; H for multi-head, 1 for multi-query attention
 * @param head_dim P: channels per head, or 0 for D / H
 * @param rope_theta base of the rotary embedding's wave lengths, or 0 for no rotary embedding
 * @param partial_rotary_factor fraction of a head's channels that is rotated
 * @param attention_bias whether projections have biases
 * @param qk_norm whether queries and keys are normalised per head (RMS) before they are rotated
 * @param rms_norm_eps added under the root of that norm
 * @param sliding_window how many tokens, itself included, a token sees at most, or 0 for all
 * @param attention_dropout probability that an attention weight becomes zero in training
 * @param initializer_range standard deviation of initial weights; the output projection's is divided by sqrt(2 layers)
 * @param rope_scaling how the rotary embedding extends the context, or null for the original one
 */
public record AttentionConfig(int num_attention_heads, int num_key_value_heads, int head_dim, double rope_theta,
        double partial_rotary_factor, boolean attention_bias, boolean qk_norm, double rms_norm_eps, int sliding_window,
        double attention_dropout, double initializer_range, RopeScaling rope_scaling)
        implements MixerConfig {
    /** Name of this kind of mixer. */
    public static final String TYPE = "attention";

    /** Checks the values. */
    public AttentionConfig {
        if (num_attention_heads < 1 || num_key_value_heads < 1 || num_attention_heads % num_key_value_heads != 0) {
            throw new ConfigException(TYPE, "num_attention_heads >= 1 and num_key_value_heads, one of its divisors",
                    num_attention_heads + " and " + num_key_value_heads);
        }
        if (head_dim < 0 || !(rope_theta >= 0 && Double.isFinite(rope_theta)) || sliding_window < 0) {
            throw new ConfigException(TYPE, "finite head_dim, rope_theta and sliding_window that are not negative",
                    head_dim + ", " + rope_theta + ", " + sliding_window);
        }
        if (!(partial_rotary_factor > 0 && partial_rotary_factor <= 1) || !(rms_norm_eps > 0 && Double.isFinite(rms_norm_eps))
                || !(initializer_range > 0 && Double.isFinite(initializer_range))) {
            throw new ConfigException(TYPE, "0 < partial_rotary_factor <= 1, finite rms_norm_eps > 0 and initializer_range > 0",
                    partial_rotary_factor + ", " + rms_norm_eps + ", " + initializer_range);
        }
        if (!(attention_dropout >= 0 && attention_dropout < 1)) {
            throw new ConfigException(TYPE, "0 <= attention_dropout < 1", attention_dropout + "");
        }
        if (rope_scaling != null && rope_theta == 0) {
            throw new ConfigException(TYPE, "rope_scaling with a rope_theta > 0", "0");
        }
    }

    /** Rotary embedding without scaling. */
    public AttentionConfig(int heads, int keyValueHeads, int headDim, double ropeTheta, double partialRotaryFactor, boolean attentionBias,
            boolean qkNorm, double rmsNormEps, int slidingWindow, double attentionDropout, double initializerRange) {
        this(heads, keyValueHeads, headDim, ropeTheta, partialRotaryFactor, attentionBias, qkNorm, rmsNormEps, slidingWindow,
                attentionDropout, initializerRange, null);
    }

    /** Multi-head attention with rotary embedding (theta 10000), without biases, norms, window or dropout. */
    public static AttentionConfig of(int heads) {
        return new AttentionConfig(heads, heads, 0, 10_000, 1, false, false, 1e-6, 0, 0, 0.02);
    }

    /** The same with fewer key-value heads. */
    public AttentionConfig withKeyValueHeads(int n) {
        return new AttentionConfig(num_attention_heads, n, head_dim, rope_theta, partial_rotary_factor, attention_bias, qk_norm,
                rms_norm_eps, sliding_window, attention_dropout, initializer_range, rope_scaling);
    }

    /** The same with another base of the rotary embedding, or 0 for none. */
    public AttentionConfig withRopeTheta(double theta) {
        return new AttentionConfig(num_attention_heads, num_key_value_heads, head_dim, theta, partial_rotary_factor, attention_bias,
                qk_norm, rms_norm_eps, sliding_window, attention_dropout, initializer_range, theta == 0 ? null : rope_scaling);
    }

    /** The same with another window. */
    public AttentionConfig withSlidingWindow(int tokens) {
        return new AttentionConfig(num_attention_heads, num_key_value_heads, head_dim, rope_theta, partial_rotary_factor, attention_bias,
                qk_norm, rms_norm_eps, tokens, attention_dropout, initializer_range, rope_scaling);
    }

    /** The same with an extended context, or null for the original rotary embedding. */
    public AttentionConfig withRopeScaling(RopeScaling scaling) {
        return new AttentionConfig(num_attention_heads, num_key_value_heads, head_dim, rope_theta, partial_rotary_factor, attention_bias,
                qk_norm, rms_norm_eps, sliding_window, attention_dropout, initializer_range, scaling);
    }

    static AttentionConfig parse(Map<String, Object> options) {
        ConfigReader r = new ConfigReader(TYPE, options);
        int heads = r.integer("num_attention_heads", 4);
        AttentionConfig d = of(Math.max(heads, 1));
        AttentionConfig c = new AttentionConfig(heads, r.integer("num_key_value_heads", heads), r.integer("head_dim", d.head_dim),
                r.number("rope_theta", d.rope_theta), r.number("partial_rotary_factor", d.partial_rotary_factor),
                r.flag("attention_bias", d.attention_bias), r.flag("qk_norm", d.qk_norm), r.number("rms_norm_eps", d.rms_norm_eps),
                r.integer("sliding_window", d.sliding_window), r.number("attention_dropout", d.attention_dropout),
                r.number("initializer_range", d.initializer_range), r.has("rope_scaling") ? RopeScaling.parse(r.object("rope_scaling"))
                : null);
        r.done();
        return c;
    }

    @Override
    public String type() {
        return TYPE;
    }

    @Override
    public Map<String, Object> toMap() {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("num_attention_heads", num_attention_heads);
        m.put("num_key_value_heads", num_key_value_heads);
        m.put("head_dim", head_dim);
        m.put("rope_theta", rope_theta);
        m.put("partial_rotary_factor", partial_rotary_factor);
        m.put("attention_bias", attention_bias);
        m.put("qk_norm", qk_norm);
        m.put("rms_norm_eps", rms_norm_eps);
        m.put("sliding_window", sliding_window);
        m.put("attention_dropout", attention_dropout);
        m.put("initializer_range", initializer_range);
        if (rope_scaling != null) {
            m.put("rope_scaling", rope_scaling.toMap());
        }
        return m;
    }

    @Override
    public CausalSelfAttention create(int width, int layers, Init init) {
        return new CausalSelfAttention(this, width, layers, init);
    }

    /** P for a model of width D, after checking that it suits the heads and the rotary embedding. */
    int headWidth(int width) {
        if (head_dim == 0 && width % num_attention_heads != 0) {
            throw new ConfigException(TYPE, "a width that num_attention_heads divides, or head_dim",
                    "width " + width + ", " + num_attention_heads + " heads");
        }
        int headWidth = head_dim > 0 ? head_dim : width / num_attention_heads;
        int rotated = rotatedChannels(headWidth);
        if (rope_theta > 0 && (rotated < 2 || rotated % 2 != 0)) {
            throw new ConfigException(TYPE, "an even number of rotated channels per head", rotated + " of " + headWidth);
        }
        if (rope_scaling != null) {
            rope_scaling.requireFit(rotated, rope_theta);
        }
        return headWidth;
    }

    /** The frequencies of the rotary embedding of heads of {@code headWidth} channels. */
    RotaryFrequencies frequencies(int headWidth) {
        int rotated = rotatedChannels(headWidth);
        return rope_scaling == null ? RotaryFrequencies.standard(rotated, rope_theta) : rope_scaling.frequencies(rotated, rope_theta);
    }

    /** Channels of a head of {@code headWidth} channels that the rotary embedding turns. */
    private int rotatedChannels(int headWidth) {
        return (int) (headWidth * partial_rotary_factor);
    }
}
