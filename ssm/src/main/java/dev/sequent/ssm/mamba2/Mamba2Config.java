package dev.sequent.ssm.mamba2;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.nn.Init;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Configuration of a {@link Mamba2} mixer, with the keys of Hugging Face's {@code config.json}, and {@code norm_per_group}, which has none
 * there.
 *
 * @param state_size N, states of each channel
 * @param num_heads H, or 0 for E / P
 * @param head_dim P, channels of a head
 * @param n_groups G, groups of neighbouring heads that share B and C; a divisor of H
 * @param conv_kernel K, taps of the short convolution, at least 2
 * @param chunk_size tokens of a chunk where the recurrence runs as tensor operations; results depend on it by rounding only
 * @param expand E / D, unless intermediate_size is given
 * @param intermediate_size E = H P, or 0 for expand D
 * @param time_step_min smallest initial step size, before the floor
 * @param time_step_max largest initial step size
 * @param time_step_floor initial step sizes are at least this
 * @param time_step_limit bounds of all step sizes
 * @param rms_norm whether the gated output is normalised
 * @param norm_per_group whether each group's channels are normalised for themselves, as in the authors' implementation, or all E together,
 *     as in Hugging Face's {@code Mamba2}; the same for one group
 * @param layer_norm_epsilon added to the mean square in the norm
 * @param use_bias whether the input and output projections have a bias
 * @param use_conv_bias whether the convolution has a bias
 * @param rescale_prenorm_residual whether the initial output projection is divided by the root of the number of layers
 */
public record Mamba2Config(int state_size, int num_heads, int head_dim, int n_groups, int conv_kernel, int chunk_size, int expand,
        int intermediate_size, double time_step_min, double time_step_max, double time_step_floor, Limit time_step_limit, boolean rms_norm,
        boolean norm_per_group, double layer_norm_epsilon, boolean use_bias, boolean use_conv_bias,
        boolean rescale_prenorm_residual) implements MixerConfig {
    /** Name of this kind of mixer. */
    public static final String TYPE = "mamba2";

    /**
     * Bounds of step sizes.
     *
     * @param low smallest step size, at least 0
     * @param high largest step size, which may be infinite
     */
    public record Limit(double low, double high) {
        /** Every step size that softplus can give. */
        public static final Limit NONE = new Limit(0, Double.POSITIVE_INFINITY);

        /** Checks the order. */
        public Limit {
            if (!(low >= 0) || !(high > low) || Double.isInfinite(low)) {
                throw new ConfigException(TYPE, "time_step_limit [low, high] with 0 <= low < high", "[" + low + ", " + high + "]");
            }
        }

        private static Limit parse(Object value) {
            if (value == null) {
                return NONE;
            }
            if (value instanceof List<?> l && l.size() == 2 && l.get(0) instanceof Number low && l.get(1) instanceof Number high) {
                return new Limit(low.doubleValue(), high.doubleValue());
            }
            throw new ConfigException(TYPE, "two numbers for 'time_step_limit'", String.valueOf(value));
        }
    }

    /** Checks the values that do not depend on the width of the model. */
    public Mamba2Config {
        if (state_size < 1 || num_heads < 0 || head_dim < 1 || n_groups < 1 || conv_kernel < 2 || chunk_size < 1 || expand < 1
                || intermediate_size < 0) {
            throw new ConfigException(TYPE,
                    "state_size, head_dim, n_groups, chunk_size, expand >= 1, conv_kernel >= 2, num_heads, intermediate_size >= 0",
                    state_size + ", " + head_dim + ", " + n_groups + ", " + chunk_size + ", " + expand + ", " + conv_kernel + ", "
                            + num_heads + ", "
                            + intermediate_size);
        }
        if (!(time_step_min > 0) || !(time_step_max >= time_step_min) || !(time_step_floor > 0) || !Double.isFinite(time_step_max)
                || !Double.isFinite(time_step_floor)) {
            throw new ConfigException(TYPE, "finite 0 < time_step_min <= time_step_max and time_step_floor > 0",
                    time_step_min + ", " + time_step_max + ", " + time_step_floor);
        }
        if (!(layer_norm_epsilon >= 0) || !Double.isFinite(layer_norm_epsilon)) {
            throw new ConfigException(TYPE, "a finite layer_norm_epsilon >= 0", layer_norm_epsilon + "");
        }
    }

    /** The values of the paper: N = 128, P = 64, one group, K = 4, E = 2 D. */
    public static Mamba2Config defaults() {
        return new Mamba2Config(128, 0, 64, 1, 4, 256, 2, 0, 1e-3, 1e-1, 1e-4, Limit.NONE, true, true, 1e-5, false, true, true);
    }

    /** The same with another number of states per channel. */
    public Mamba2Config withStates(int states) {
        return new Mamba2Config(states, num_heads, head_dim, n_groups, conv_kernel, chunk_size, expand, intermediate_size, time_step_min,
                time_step_max, time_step_floor, time_step_limit, rms_norm, norm_per_group, layer_norm_epsilon, use_bias, use_conv_bias,
                rescale_prenorm_residual);
    }

    /** The same with heads of another width, as many as E has room for, in {@code groups} groups. */
    public Mamba2Config withHeads(int width, int groups) {
        return new Mamba2Config(state_size, 0, width, groups, conv_kernel, chunk_size, expand, intermediate_size, time_step_min,
                time_step_max, time_step_floor, time_step_limit, rms_norm, norm_per_group, layer_norm_epsilon, use_bias, use_conv_bias,
                rescale_prenorm_residual);
    }

    /** The configuration that {@link #toMap} writes; absent keys have the values of {@link #defaults}. */
    public static Mamba2Config parse(Map<String, Object> options) {
        ConfigReader r = new ConfigReader(TYPE, options);
        Mamba2Config d = defaults();
        Mamba2Config c = new Mamba2Config(r.integer("state_size", d.state_size), r.integer("num_heads", 0),
                r.integer("head_dim", d.head_dim), r.integer("n_groups", d.n_groups), r.integer("conv_kernel", d.conv_kernel),
                r.integer("chunk_size", d.chunk_size), r.integer("expand", d.expand), r.integer("intermediate_size", 0),
                r.number("time_step_min", d.time_step_min), r.number("time_step_max", d.time_step_max),
                r.number("time_step_floor", d.time_step_floor), Limit.parse(r.raw("time_step_limit")), r.flag("rms_norm", d.rms_norm),
                r.flag("norm_per_group", d.norm_per_group), r.number("layer_norm_epsilon", d.layer_norm_epsilon),
                r.flag("use_bias", d.use_bias), r.flag("use_conv_bias", d.use_conv_bias),
                r.flag("rescale_prenorm_residual", d.rescale_prenorm_residual));
        r.done();
        return c;
    }

    /**
     * E for a model of width D.
     *
     * @throws ConfigException when it is 2^31 or more
     */
    public int inner(int width) {
        if ((long) expand * width > Integer.MAX_VALUE && intermediate_size == 0) {
            throw new ConfigException(TYPE, "expand times the model's width below 2^31", expand + " * " + width);
        }
        return intermediate_size > 0 ? intermediate_size : expand * width;
    }

    /**
     * H for a model of width D.
     *
     * @throws ConfigException when heads of this width do not fill E, or the groups do not divide the heads
     */
    public int heads(int width) {
        int heads = num_heads > 0 ? num_heads : inner(width) / head_dim;
        if ((long) heads * head_dim != inner(width)) {
            throw new ConfigException(TYPE, "num_heads * head_dim = " + inner(width) + ", the inner width", heads + " * " + head_dim);
        }
        if (heads % n_groups != 0) {
            throw new ConfigException(TYPE, "n_groups that divides num_heads", n_groups + " for " + heads + " heads");
        }
        return heads;
    }

    @Override
    public String type() {
        return TYPE;
    }

    @Override
    public Map<String, Object> toMap() {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("state_size", state_size);
        m.put("num_heads", num_heads);
        m.put("head_dim", head_dim);
        m.put("n_groups", n_groups);
        m.put("conv_kernel", conv_kernel);
        m.put("chunk_size", chunk_size);
        m.put("expand", expand);
        m.put("intermediate_size", intermediate_size);
        m.put("time_step_min", time_step_min);
        m.put("time_step_max", time_step_max);
        m.put("time_step_floor", time_step_floor);
        m.put("time_step_limit", List.of(time_step_limit.low, time_step_limit.high));
        m.put("rms_norm", rms_norm);
        m.put("norm_per_group", norm_per_group);
        m.put("layer_norm_epsilon", layer_norm_epsilon);
        m.put("use_bias", use_bias);
        m.put("use_conv_bias", use_conv_bias);
        m.put("rescale_prenorm_residual", rescale_prenorm_residual);
        return m;
    }

    @Override
    public Mamba2 create(int width, int layers, Init init) {
        return new Mamba2(this, width, layers, init);
    }
}
