package dev.sequent.transformer.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.Map;

/** The keys of {@code config.json} that describe rotary embedding: {@code rope_theta} and {@code rope_scaling}, since transformers 5 {@code rope_parameters}. */
final class RopeKeys {
    private static final double DEFAULT_THETA = 10_000;

    private RopeKeys() {}

    static double theta(ConfigReader r, String owner) {
        double theta = r.number("rope_theta", DEFAULT_THETA);
        r.only("rope_scaling");
        Map<String, Object> parameters = r.object("rope_parameters");
        if (parameters == null) {
            return theta;
        }
        ConfigReader p = new ConfigReader(owner + " rope_parameters", parameters);
        p.only("rope_type", "default");
        double inner = p.number("rope_theta", theta);
        p.done();
        if (r.has("rope_theta") && inner != theta) {
            throw new ConfigException(owner, "equal rope_theta and rope_parameters.rope_theta", theta + " and " + inner);
        }
        return inner;
    }

    static void write(AttentionConfig attention, Map<String, Object> m) {
        m.put("rope_theta", attention.rope_theta());
        Map<String, Object> parameters = new LinkedHashMap<>();
        parameters.put("rope_type", "default");
        parameters.put("rope_theta", attention.rope_theta());
        m.put("rope_parameters", parameters);
    }
}
