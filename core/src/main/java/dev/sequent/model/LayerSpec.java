package dev.sequent.model;

import dev.sequent.mixer.MixerConfig;
import dev.sequent.type.ConfigException;

/**
 * One layer of a model: a mixer and an optional feed-forward part.
 *
 * @param mixer how positions are mixed
 * @param mlp the feed-forward part, or null for none (as in Mamba)
 */
public record LayerSpec(MixerConfig mixer, MlpConfig mlp) {
    /** Checks that there is a mixer. */
    public LayerSpec {
        if (mixer == null) {
            throw new ConfigException("layer", "a mixer", "none");
        }
    }

    /** A layer without a feed-forward part. */
    public static LayerSpec of(MixerConfig mixer) {
        return new LayerSpec(mixer, null);
    }
}
