package dev.sequent.model;

import dev.sequent.service.Catalogue;
import dev.sequent.type.ConfigException;
import java.util.Map;

/**
 * The formats of checkpoints on the class path. A provider that cannot be loaded, or whose name is taken, is a warning, and the others are
 * used.
 */
public final class CheckpointFamilies {
    private CheckpointFamilies() {}

    /** The known formats by name, this library's own among them. */
    public static Map<String, CheckpointFamily> known() {
        return catalogue(CheckpointFamilies.class.getClassLoader()).known();
    }

    /** The format called {@code name}. */
    public static CheckpointFamily named(String name) {
        Catalogue<CheckpointFamily> catalogue = catalogue(CheckpointFamilies.class.getClassLoader());
        CheckpointFamily family = catalogue.known().get(name);
        if (family == null) {
            throw new ConfigException("checkpoint", "a format among " + catalogue.choices(), "'" + name + "'");
        }
        return family;
    }

    /** The format of a {@code config.json} with these values. */
    static CheckpointFamily of(Map<String, Object> values) {
        return of(CheckpointFamilies.class.getClassLoader(), values);
    }

    static CheckpointFamily of(ClassLoader loader, Map<String, Object> values) {
        Catalogue<CheckpointFamily> catalogue = catalogue(loader);
        return catalogue.known().values().stream().filter(f -> f.reads(values)).findFirst().orElseThrow(() -> {
            String type = String.valueOf(values.get("model_type"));
            return new ConfigException(ModelFiles.CONFIG, "a model_type among " + catalogue.choices(),
                    "'" + (type.length() > 60 ? type.substring(0, 60) + "..." : type) + "'");
        });
    }

    private static Catalogue<CheckpointFamily> catalogue(ClassLoader loader) {
        return Catalogue.load(CheckpointFamily.class, loader, CheckpointFamily::name, System.getLogger("dev.sequent.model"),
                new OwnFormat());
    }
}
