package dev.sequent.backend;

import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

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
        for (BackendProvider provider : discovery.providers()) {
            if (Discovery.probe(provider).isAvailable()) {
                return provider.open(Map.of());
            }
        }
        throw new BackendException("open best", "an available backend", listing(discovery));
    }

    /**
     * A table for people: every provider with its priority and what its probe found, the devices of the available ones with their
     * element types, and what could not be loaded. Opens and closes the available backends to ask for their devices.
     */
    public static String explain() {
        return explain(discover());
    }

    static String explain(Discovery discovery) {
        StringBuilder table = new StringBuilder("backends, preferred first (choose one with -D" + PROPERTY + "=NAME):\n");
        table.append(String.format("  %-12s %8s  %s%n", "name", "priority", "found"));
        for (BackendProvider provider : discovery.providers()) {
            Probe probe = Discovery.probe(provider);
            table.append(String.format("  %-12s %8d  %s%n", provider.name(), provider.priority(), probe));
            if (probe.isAvailable()) {
                appendDevices(table, provider);
            }
        }
        for (String failure : discovery.failures()) {
            table.append("  not loaded: ").append(failure).append(System.lineSeparator());
        }
        return table.toString();
    }

    private static void appendDevices(StringBuilder table, BackendProvider provider) {
        try (Backend backend = provider.open(Map.of())) {
            for (int device = 0; device < backend.deviceCount(); device++) {
                Capabilities can = backend.capabilities(device);
                String dtypes = can.dtypes().stream().sorted().map(Enum::name).collect(Collectors.joining(" "));
                table.append(String.format("  %-12s %8s  device %d: %s; %s%n", "", "", device, can.description(), dtypes));
            }
        } catch (RuntimeException | LinkageError error) {
            table.append(String.format("  %-12s %8s  could not be opened: %s%n", "", "", Discovery.sentence(error)));
        }
    }

    static Backend openBackend(Discovery discovery, String name, Map<String, String> options) {
        for (BackendProvider provider : discovery.providers()) {
            if (provider.name().equals(name)) {
                Probe probe = Discovery.probe(provider);
                if (!probe.isAvailable()) {
                    throw new BackendException("open " + name, "a backend that works here", probe.toString());
                }
                return provider.open(options);
            }
        }
        throw new BackendException("open", "the name of a backend (" + listing(discovery) + ")", "\"" + name + "\"");
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
