package dev.sequent.ssm.mamba;

import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.MixerProvider;
import java.util.Map;

/** Makes Mamba known by name. */
public final class MambaProvider implements MixerProvider {
    /** For the service loader. */
    public MambaProvider() {}

    @Override
    public String type() {
        return MambaConfig.TYPE;
    }

    @Override
    public MixerConfig parse(Map<String, Object> options) {
        return MambaConfig.parse(options);
    }
}
