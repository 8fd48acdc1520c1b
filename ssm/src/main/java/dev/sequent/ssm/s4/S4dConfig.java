package dev.sequent.ssm.s4;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.nn.Init;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Configuration of {@link S4d}.
 *
 * @param state_size N: states per channel, even, as N / 2 conjugate pairs
 * @param discretisation {@code zoh} or {@code bilinear}
 * @param init initial spectrum: {@code lin}, {@code inv} or {@code legs}
 * @param dt_min smallest initial step size
 * @param dt_max largest initial step size
 * @param dropout probability in front of the output projection, in training
 */
public record S4dConfig(int state_size, String discretisation, String init, double dt_min, double dt_max, double dropout)
        implements MixerConfig {
    /** Name of this kind of mixer. */
    public static final String TYPE = "s4d";

    /** The initial spectrum {@code legs} needs the eigenvalues of an N x N matrix. */
    private static final int MAX_STATES = 4096;

    /** Checks the values. */
    public S4dConfig {
        if (state_size < 2 || state_size % 2 != 0) {
            throw new ConfigException(TYPE, "an even state_size of at least 2", state_size + "");
        }
        if (state_size > MAX_STATES) {
            throw new ConfigException(TYPE, "a state_size of at most " + MAX_STATES, state_size + "");
        }
        if (!List.of("zoh", "bilinear").contains(discretisation)) {
            throw new ConfigException(TYPE, "discretisation zoh or bilinear", "'" + discretisation + "'");
        }
        if (!List.of("lin", "inv", "legs").contains(init)) {
            throw new ConfigException(TYPE, "init lin, inv or legs", "'" + init + "'");
        }
        if (!(dt_min > 0 && dt_max >= dt_min && dt_max < Double.POSITIVE_INFINITY) || !(dropout >= 0 && dropout < 1)) {
            throw new ConfigException(TYPE, "0 < dt_min <= dt_max and 0 <= dropout < 1", dt_min + ", " + dt_max + ", " + dropout);
        }
    }

    /** N = 64, zero-order hold, S4D-Lin, step sizes from 0.001 to 0.1, no dropout. */
    public static S4dConfig defaults() {
        return new S4dConfig(64, "zoh", "lin", 1e-3, 1e-1, 0);
    }

    /** The same with another number of states. */
    public S4dConfig withStateSize(int n) {
        return new S4dConfig(n, discretisation, init, dt_min, dt_max, dropout);
    }

    /** The same with another initial spectrum. */
    public S4dConfig withInit(String name) {
        return new S4dConfig(state_size, discretisation, name, dt_min, dt_max, dropout);
    }

    /** The same with another discretisation. */
    public S4dConfig withDiscretisation(String name) {
        return new S4dConfig(state_size, name, init, dt_min, dt_max, dropout);
    }

    static S4dConfig parse(Map<String, Object> options) {
        ConfigReader r = new ConfigReader(TYPE, options);
        S4dConfig d = defaults();
        S4dConfig c = new S4dConfig(r.integer("state_size", d.state_size), r.text("discretisation", d.discretisation),
                r.text("init", d.init), r.number("dt_min", d.dt_min), r.number("dt_max", d.dt_max), r.number("dropout", d.dropout));
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
        m.put("state_size", state_size);
        m.put("discretisation", discretisation);
        m.put("init", init);
        m.put("dt_min", dt_min);
        m.put("dt_max", dt_max);
        m.put("dropout", dropout);
        return m;
    }

    @Override
    public S4d create(int width, int layers, Init init) {
        return new S4d(this, width, init);
    }
}
