package dev.sequent.ssm.mamba;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.nn.Init;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Configuration of a {@link Mamba} mixer, with the keys of Hugging Face's {@code config.json}.
 *
 * @param state_size N, states of each channel
 * @param conv_kernel K, taps of the short convolution, at least 2
 * @param expand E / D, unless intermediate_size is given
 * @param intermediate_size E, or 0 for expand D
 * @param time_step_rank R, rank of the step size's projection, or 0 for D / 16, rounded up
 * @param time_step_scale factor of the initial weights of the step size's projection
 * @param time_step_min smallest initial step size, before the floor
 * @param time_step_max largest initial step size
 * @param time_step_floor initial step sizes are at least this
 * @param time_step_init_scheme {@code random} or {@code constant} initial weights of the step size's projection
 * @param use_bias whether the input and output projections have a bias
 * @param use_conv_bias whether the convolution has a bias
 * @param rescale_prenorm_residual whether the initial output projection is divided by the root of the number of layers
 * @param select_norm_eps added under the root of the RMS norms of dt (before its projection), B and C, as in Jamba; 0 for no such norms
 */
public record MambaConfig(int state_size, int conv_kernel, int expand, int intermediate_size, int time_step_rank, double time_step_scale,
        double time_step_min, double time_step_max, double time_step_floor, String time_step_init_scheme, boolean use_bias,
        boolean use_conv_bias, boolean rescale_prenorm_residual, double select_norm_eps) implements MixerConfig {
    /** Name of this kind of mixer. */
    public static final String TYPE = "mamba";

    /** Checks the values. */
    public MambaConfig {
        if (state_size < 1 || conv_kernel < 2 || expand < 1 || intermediate_size < 0 || time_step_rank < 0) {
            throw new ConfigException(TYPE,
                    "state_size >= 1, conv_kernel >= 2, expand >= 1, intermediate_size >= 0 and time_step_rank >= 0",
                    state_size + ", " + conv_kernel + ", " + expand + ", " + intermediate_size + ", " + time_step_rank);
        }
        if (!(time_step_min > 0) || !(time_step_max >= time_step_min) || !(time_step_floor > 0) || !(time_step_scale > 0)
                || !Double.isFinite(time_step_max) || !Double.isFinite(time_step_scale) || !Double.isFinite(time_step_floor)) {
            throw new ConfigException(TYPE, "finite 0 < time_step_min <= time_step_max, time_step_floor > 0 and time_step_scale > 0",
                    time_step_min + ", " + time_step_max + ", " + time_step_floor + ", " + time_step_scale);
        }
        if (!time_step_init_scheme.equals("random") && !time_step_init_scheme.equals("constant")) {
            throw new ConfigException(TYPE, "time_step_init_scheme random or constant", "'" + time_step_init_scheme + "'");
        }
        if (!(select_norm_eps >= 0 && select_norm_eps < Double.POSITIVE_INFINITY)) {
            throw new ConfigException(TYPE, "a finite select_norm_eps >= 0", select_norm_eps + "");
        }
    }

    /** Without norms of dt, B and C. */
    public MambaConfig(int state_size, int conv_kernel, int expand, int intermediate_size, int time_step_rank, double time_step_scale,
            double time_step_min, double time_step_max, double time_step_floor, String time_step_init_scheme, boolean use_bias,
            boolean use_conv_bias, boolean rescale_prenorm_residual) {
        this(state_size, conv_kernel, expand, intermediate_size, time_step_rank, time_step_scale, time_step_min, time_step_max,
                time_step_floor, time_step_init_scheme, use_bias, use_conv_bias, rescale_prenorm_residual, 0);
    }

    /** The values of the paper: N = 16, K = 4, E = 2 D, R = D / 16. */
    public static MambaConfig defaults() {
        return new MambaConfig(16, 4, 2, 0, 0, 1, 1e-3, 1e-1, 1e-4, "random", false, true, true);
    }

    /** The same with another number of states per channel. */
    public MambaConfig withStates(int states) {
        return new MambaConfig(states, conv_kernel, expand, intermediate_size, time_step_rank, time_step_scale, time_step_min,
                time_step_max, time_step_floor, time_step_init_scheme, use_bias, use_conv_bias, rescale_prenorm_residual, select_norm_eps);
    }

    /** The same with RMS norms of dt, B and C, or without them for 0. */
    public MambaConfig withSelectNorm(double eps) {
        return new MambaConfig(state_size, conv_kernel, expand, intermediate_size, time_step_rank, time_step_scale, time_step_min,
                time_step_max, time_step_floor, time_step_init_scheme, use_bias, use_conv_bias, rescale_prenorm_residual, eps);
    }

    /**
     * The configuration that {@link #toMap} writes; absent keys have the values of {@link #defaults}, {@code time_step_rank} may be
     * {@code "auto"}.
     */
    public static MambaConfig parse(Map<String, Object> options) {
        ConfigReader r = new ConfigReader(TYPE, options);
        MambaConfig d = defaults();
        int rank = "auto".equals(r.raw("time_step_rank")) ? 0 : r.integer("time_step_rank", 0);
        MambaConfig c = new MambaConfig(r.integer("state_size", d.state_size), r.integer("conv_kernel", d.conv_kernel),
                r.integer("expand", d.expand), r.integer("intermediate_size", 0), rank, r.number("time_step_scale", d.time_step_scale),
                r.number("time_step_min", d.time_step_min), r.number("time_step_max", d.time_step_max),
                r.number("time_step_floor", d.time_step_floor), r.text("time_step_init_scheme", d.time_step_init_scheme),
                r.flag("use_bias", d.use_bias), r.flag("use_conv_bias", d.use_conv_bias),
                r.flag("rescale_prenorm_residual", d.rescale_prenorm_residual), r.number("select_norm_eps", d.select_norm_eps));
        r.done();
        return c;
    }

    /** E for a model of width D. */
    public int inner(int width) {
        return intermediate_size > 0 ? intermediate_size : Math.multiplyExact(expand, width);
    }

    /** R for a model of width D. */
    public int rank(int width) {
        return time_step_rank > 0 ? time_step_rank : Math.ceilDiv(width, 16);
    }

    @Override
    public String type() {
        return TYPE;
    }

    @Override
    public Map<String, Object> toMap() {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("state_size", state_size);
        m.put("conv_kernel", conv_kernel);
        m.put("expand", expand);
        m.put("intermediate_size", intermediate_size);
        m.put("time_step_rank", time_step_rank == 0 ? "auto" : (Object) time_step_rank);
        m.put("time_step_scale", time_step_scale);
        m.put("time_step_min", time_step_min);
        m.put("time_step_max", time_step_max);
        m.put("time_step_floor", time_step_floor);
        m.put("time_step_init_scheme", time_step_init_scheme);
        m.put("use_bias", use_bias);
        m.put("use_conv_bias", use_conv_bias);
        m.put("rescale_prenorm_residual", rescale_prenorm_residual);
        if (select_norm_eps > 0) {
            m.put("select_norm_eps", select_norm_eps);
        }
        return m;
    }

    @Override
    public Mamba create(int width, int layers, Init init) {
        return new Mamba(this, width, layers, init);
    }
}
