package dev.sequent.ssm.mamba2;

import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.MixerProvider;
import java.util.Map;

/** Makes Mamba-2 known by name. */
public final class Mamba2Provider implements MixerProvider {
    /** For the service loader. */
    public Mamba2Provider() {}

    @Override
    public String type() {
        return Mamba2Config.TYPE;
    }

    @Override
    public MixerConfig parse(Map<String, Object> options) {
        return Mamba2Config.parse(options);
    }
}
