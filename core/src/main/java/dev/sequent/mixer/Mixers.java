package dev.sequent.mixer;

import dev.sequent.type.ConfigException;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;

/** The kinds of mixers on the class path. */
public final class Mixers {
    private Mixers() {}

    /** The known kinds by name. */
    public static Map<String, MixerProvider> known() {
        Map<String, MixerProvider> known = new TreeMap<>();
        ServiceLoader.load(MixerProvider.class, Mixers.class.getClassLoader()).forEach(p -> known.put(p.type(), p));
        return known;
    }

    /** The configuration of a mixer from its type and options. */
    public static MixerConfig parse(String type, Map<String, Object> options) {
        Map<String, MixerProvider> known = known();
        MixerProvider provider = known.get(type);
        if (provider == null) {
            throw new ConfigException("mixer", "one of " + known.keySet() + " (is its artifact on the class path?)", "'" + type + "'");
        }
        return provider.parse(options);
    }
}
