package dev.sequent.mixer;

import java.util.Map;

/** Makes a kind of mixer known by name, so that a stored model can be rebuilt; found by {@link java.util.ServiceLoader}. */
public interface MixerProvider {
    /** Name of the kind of mixer. */
    String type();

    /**
     * The configuration for {@code options}; keys that are absent have their defaults.
     *
     * @throws dev.sequent.type.ConfigException for an unknown key or a bad value
     */
    MixerConfig parse(Map<String, Object> options);
}
