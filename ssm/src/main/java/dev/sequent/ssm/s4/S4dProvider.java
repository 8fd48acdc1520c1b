package dev.sequent.ssm.s4;

import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.MixerProvider;
import java.util.Map;

/** Makes {@link S4d} known by name. */
public final class S4dProvider implements MixerProvider {
    /** For the service loader. */
    public S4dProvider() {}

    @Override
    public String type() {
        return S4dConfig.TYPE;
    }

    @Override
    public MixerConfig parse(Map<String, Object> options) {
        return S4dConfig.parse(options);
    }
}
