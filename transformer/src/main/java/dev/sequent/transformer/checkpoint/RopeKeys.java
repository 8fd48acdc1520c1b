package dev.sequent.transformer.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.transformer.position.RopeScaling;
import dev.sequent.type.ConfigException;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The keys of {@code config.json} that describe rotary embedding: {@code rope_theta} and {@code rope_scaling}, since transformers 5
 * together in {@code rope_parameters}. Both forms are read and written.
 *
 * @param theta base of the wave lengths
 * @param scaling extension of the context, or null
 */
record RopeKeys(double theta, RopeScaling scaling) {
    private static final double DEFAULT_THETA = 10_000;
    private static final List<String> FORMS = List.of("rope_scaling", "rope_parameters");

    /** Reads both forms, which must agree where both are there. */
    static RopeKeys read(ConfigReader r, String owner, int positions) {
        double theta = r.number("rope_theta", DEFAULT_THETA);
        int original = r.integer("original_max_position_embeddings", 0);
        RopeKeys found = null;
        for (String form : FORMS) {
            Map<String, Object> parameters = r.object(form);
            if (parameters != null && !parameters.isEmpty()) {
                RopeKeys next = read(new HashMap<>(parameters), theta, original, positions);
                if (found != null && !next.equals(found)) {
                    throw new ConfigException(owner, "equal rope_scaling and rope_parameters", found + " and " + next);
                }
                found = next;
            }
        }
        if (found != null && r.has("rope_theta") && found.theta != theta) {
            throw new ConfigException(owner, "equal rope_theta and rope_parameters.rope_theta", theta + " and " + found.theta);
        }
        double used = found == null ? theta : found.theta;
        if (!(used > 0)) {
            throw new ConfigException(owner, "a rope_theta > 0", used + "");
        }
        return found == null ? new RopeKeys(theta, null) : found;
    }

    private static RopeKeys read(Map<String, Object> parameters, double outerTheta, int original, int positions) {
        ConfigReader r = new ConfigReader("rope_parameters", parameters);
        double theta = r.number("rope_theta", outerTheta);
        r.only("partial_rotary_factor", 1.0, 1L);
        parameters.remove("rope_theta");
        parameters.remove("partial_rotary_factor");
        parameters.values().removeIf(v -> v == null);
        String type = r.text("rope_type", r.text("type", "default"));
        boolean stretches = type.equals("yarn") || type.equals("longrope");
        if (stretches || type.equals("llama3")) {
            if (original > 0) {
                parameters.put("original_max_position_embeddings", original);
            }
            parameters.putIfAbsent("original_max_position_embeddings", positions);
        }
        int length = r.integer("original_max_position_embeddings", positions, 1, Integer.MAX_VALUE);
        if (stretches) {
            parameters.putIfAbsent("factor", (double) positions / length);
        }
        if (type.equals("dynamic")) {
            parameters.putIfAbsent("max_position_embeddings", positions);
        }
        if (type.equals("default")) {
            r.only("type", "default");
            r.done();
            return new RopeKeys(theta, null);
        }
        return new RopeKeys(theta, RopeScaling.parse(parameters));
    }

    static void write(AttentionConfig attention, Map<String, Object> m) {
        m.put("rope_theta", attention.rope_theta());
        RopeScaling scaling = attention.rope_scaling();
        Map<String, Object> parameters = new LinkedHashMap<>();
        if (scaling == null) {
            parameters.put("rope_type", "default");
        } else {
            parameters.putAll(scaling.toMap());
            if (scaling instanceof RopeScaling.Dynamic d) {
                parameters.remove("max_position_embeddings");
                m.put("max_position_embeddings", d.max_position_embeddings());
            }
            m.put("rope_scaling", new LinkedHashMap<>(parameters));
        }
        parameters.put("rope_theta", attention.rope_theta());
        m.put("rope_parameters", parameters);
    }
}
