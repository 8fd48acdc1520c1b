package dev.sequent.model;

import dev.sequent.mixer.MixerConfig;

/**
 * One layer of a model: a mixer and an optional feed-forward part.
 *
 * @param mixer how positions are mixed
 * @param mlp the feed-forward part, or null for none (as in Mamba)
 */
public record LayerSpec(MixerConfig mixer, MlpConfig mlp) {
    /** A layer without a feed-forward part. */
    public static LayerSpec of(MixerConfig mixer) {
        return new LayerSpec(mixer, null);
    }
}
