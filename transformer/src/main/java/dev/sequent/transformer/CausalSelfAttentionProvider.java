package dev.sequent.transformer;

import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.MixerProvider;
import java.util.Map;

/** Makes {@link CausalSelfAttention} known by name. */
public final class CausalSelfAttentionProvider implements MixerProvider {
    /** For the service loader. */
    public CausalSelfAttentionProvider() {}

    @Override
    public String type() {
        return AttentionConfig.TYPE;
    }

    @Override
    public MixerConfig parse(Map<String, Object> options) {
        return AttentionConfig.parse(options);
    }
}
