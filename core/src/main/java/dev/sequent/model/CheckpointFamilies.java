package dev.sequent.model;

import dev.sequent.type.ConfigException;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;

/** The formats of checkpoints on the class path. */
public final class CheckpointFamilies {
    private CheckpointFamilies() {}

    /** The known formats by name, this library's own among them. */
    public static Map<String, CheckpointFamily> known() {
        Map<String, CheckpointFamily> known = new TreeMap<>();
        ServiceLoader.load(CheckpointFamily.class, CheckpointFamilies.class.getClassLoader()).forEach(f -> known.put(f.name(), f));
        known.put(OwnFormat.NAME, new OwnFormat());
        return known;
    }

    /** The format called {@code name}. */
    public static CheckpointFamily named(String name) {
        Map<String, CheckpointFamily> known = known();
        CheckpointFamily family = known.get(name);
        if (family == null) {
            throw new ConfigException("checkpoint", "a format among " + known.keySet() + " (is its artifact on the class path?)",
                    "'" + name + "'");
        }
        return family;
    }

    /** The format of a {@code config.json} with these values. */
    static CheckpointFamily of(Map<String, Object> values) {
        Map<String, CheckpointFamily> known = known();
        return known.values().stream().filter(f -> f.reads(values)).findFirst().orElseThrow(() -> {
            String type = String.valueOf(values.get("model_type"));
            return new ConfigException(ModelFiles.CONFIG, "a model_type among " + known.keySet() + " (is its artifact on the class path?)",
                    "'" + (type.length() > 60 ? type.substring(0, 60) + "..." : type) + "'");
        });
    }
}
