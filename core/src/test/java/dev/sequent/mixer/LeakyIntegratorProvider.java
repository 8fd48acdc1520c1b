package dev.sequent.mixer;

import dev.sequent.type.ConfigException;
import java.util.Map;

/** Makes the tests' mixer known by name. */
public final class LeakyIntegratorProvider implements MixerProvider {
    /** For the service loader. */
    public LeakyIntegratorProvider() {}

    @Override
    public String type() {
        return LeakyIntegrator.Config.TYPE;
    }

    @Override
    public MixerConfig parse(Map<String, Object> options) {
        ConfigReader r = new ConfigReader(LeakyIntegrator.Config.TYPE, options);
        int channels = r.integer("channels", 1);
        r.done();
        if (channels < 1) {
            throw new ConfigException(LeakyIntegrator.Config.TYPE, "channels >= 1", channels + "");
        }
        return new LeakyIntegrator.Config(channels);
    }
}
