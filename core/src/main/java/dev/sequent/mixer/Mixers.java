package dev.sequent.mixer;

import dev.sequent.service.Catalogue;
import dev.sequent.type.ConfigException;
import java.util.Map;

/**
 * The kinds of mixers on the class path. A provider that cannot be loaded, or whose name is taken, is a warning, and the others are used.
 */
public final class Mixers {
    private Mixers() {}

    /** The known kinds by name. */
    public static Map<String, MixerProvider> known() {
        return catalogue(Mixers.class.getClassLoader()).known();
    }

    /** The configuration of a mixer from its type and options. */
    public static MixerConfig parse(String type, Map<String, Object> options) {
        return parse(Mixers.class.getClassLoader(), type, options);
    }

    static MixerConfig parse(ClassLoader loader, String type, Map<String, Object> options) {
        Catalogue<MixerProvider> catalogue = catalogue(loader);
        MixerProvider provider = catalogue.known().get(type);
        if (provider == null) {
            throw new ConfigException("mixer", "one of " + catalogue.choices(), "'" + type + "'");
        }
        return provider.parse(options);
    }

    private static Catalogue<MixerProvider> catalogue(ClassLoader loader) {
        return Catalogue.load(MixerProvider.class, loader, MixerProvider::type, System.getLogger("dev.sequent.mixer"));
    }
}
