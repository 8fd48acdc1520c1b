package dev.sequent.backend.reference;

import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import dev.sequent.type.ConfigException;
import java.util.Map;

/** Offers the reference backend: it works everywhere, has no options, and every other backend is preferred to it. Thread-safe. */
public final class ReferenceBackendProvider implements BackendProvider {
    /** Name under which the backend is opened. */
    public static final String NAME = "reference";

    /** A provider; it holds nothing. */
    public ReferenceBackendProvider() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int priority() {
        return 0;
    }

    @Override
    public Probe probe() {
        return Probe.available("plain Java loops, for checking rather than for speed");
    }

    @Override
    public Backend open(Map<String, String> options) {
        if (!options.isEmpty()) {
            throw new ConfigException("open " + NAME, "no options", options.toString());
        }
        return new ReferenceBackend();
    }
}
