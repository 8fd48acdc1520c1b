package dev.sequent.backend;

import dev.sequent.service.Services;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Finds the backends on the class path and opens them. Providers are found by {@link java.util.ServiceLoader} with the current
 * thread's context class loader, anew on every call: nothing is remembered between calls, and every opened backend belongs to the
 * caller, who closes it. Thread-safe.
 */
public final class Backends {
    /** System property that names the backend which {@link #openBestBackend()} opens. */
    public static final String PROPERTY = "sequent.backend";

    private Backends() {}

    /** The providers that could be loaded, available or not, greatest priority first. */
    public static List<BackendProvider> providers() {
        return discover().providers();
    }

    /** Opens the backend called {@code name} with its default settings. */
    public static Backend openBackend(String name) {
        return openBackend(name, Map.of());
    }

    /**
     * Opens the backend called {@code name}.
     *
     * @param options settings of that backend
     * @throws BackendException if there is no such backend, or it does not work here; the message says what was found
     */
    public static Backend openBackend(String name, Map<String, String> options) {
        return openBackend(discover(), name, options);
    }

    /**
     * Opens the backend that the system property {@value #PROPERTY} names, or else the available one of greatest priority.
     *
     * @throws BackendException if there is none; the message says what was found
     */
    public static Backend openBestBackend() {
        Discovery discovery = discover();
        String wanted = System.getProperty(PROPERTY, "").strip();
        if (!wanted.isEmpty()) {
            return openBackend(discovery, wanted, Map.of());
        }
        return openBest(discovery);
    }

    static Backend openBest(Discovery discovery) {
        for (BackendProvider provider : discovery.providers()) {
            if (Discovery.probe(provider).isAvailable()) {
                try {
                    return open(provider, Map.of());
                } catch (RuntimeException error) {
                    // nobody has asked for this one by name, so that the next one will do; silence would hide a lost GPU
                    System.getLogger(Backends.class.getPackageName()).log(System.Logger.Level.WARNING, "The backend " + provider.name()
                            + " seemed to work and could not be opened; the next one is tried: " + Services.sentence(error));
                }
            }
        }
        throw new BackendException("open best", "an available backend", listing(discovery));
    }

    /**
     * Tables for people: every provider with its priority and what its probe found; the element types of the devices of the available ones;
     * which operations are native there, composed or done on the host, with the reasons; and which fused operations have kernels. Opens and
     * closes the available backends to ask them.
     */
    public static String explain() {
        return Explanation.of(discover());
    }

    static Backend openBackend(Discovery discovery, String name, Map<String, String> options) {
        for (BackendProvider provider : discovery.providers()) {
            if (provider.name().equals(name)) {
                Probe probe = Discovery.probe(provider, options);
                if (!probe.isAvailable()) {
                    throw new BackendException("open " + name, "a backend that works here", probe.toString());
                }
                return open(provider, options);
            }
        }
        throw new BackendException("open", "the name of a backend (" + listing(discovery) + ")", "\"" + name + "\"");
    }

    /** Opens a backend; what is wrong with its native libraries becomes an error of this library. */
    private static Backend open(BackendProvider provider, Map<String, String> options) {
        try {
            return provider.open(options);
        } catch (LinkageError error) {
            throw new BackendException("[open " + provider.name() + "] expected libraries that can be loaded, given "
                    + Services.sentence(error), error);
        }
    }

    /** Known names with their probe results, and failures, in one line. */
    private static String listing(Discovery discovery) {
        List<String> items = new ArrayList<>();
        for (BackendProvider provider : discovery.providers()) {
            items.add(provider.name() + ": " + Discovery.probe(provider));
        }
        for (String failure : discovery.failures()) {
            items.add("not loaded: " + failure);
        }
        return items.isEmpty() ? "none on the class path" : String.join("; ", items);
    }

    private static Discovery discover() {
        return Discovery.of(Thread.currentThread().getContextClassLoader());
    }
}
