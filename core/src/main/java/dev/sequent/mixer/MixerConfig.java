package dev.sequent.mixer;

import dev.sequent.nn.Init;
import java.util.Map;

/**
 * The configuration of one mixer: a record whose components carry the names of {@code config.json}, validated when built.
 */
public interface MixerConfig {
    /** Name of the kind of mixer, for example {@code mamba} or {@code attention}. */
    String type();

    /** The configuration as JSON-like values (strings, numbers, booleans, nested maps and lists), without the type. */
    Map<String, Object> toMap();

    /**
     * Makes the mixer with fresh parameters.
     *
     * @param width D
     * @param layers number of layers of the model, for initial values that depend on the depth
     */
    SequenceMixer<?> create(int width, int layers, Init init);
}
