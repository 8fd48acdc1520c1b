package dev.sequent.backend;

import dev.sequent.service.Services;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * What one search for providers found.
 *
 * @param providers those that could be loaded, greatest priority first, then by name
 * @param failures one sentence for each that could not, or whose name is that of an earlier one
 */
record Discovery(List<BackendProvider> providers, List<String> failures) {
    Discovery {
        providers = List.copyOf(providers);
        failures = List.copyOf(failures);
    }

    static Discovery of(ClassLoader loader) {
        Map<String, BackendProvider> known = new LinkedHashMap<>();
        List<String> failures = new ArrayList<>();
        Services.load(BackendProvider.class, loader, provider -> {
            requireIdentity(provider);
            Services.register(known, provider.name(), provider);
        }, failures::add);
        List<BackendProvider> providers = new ArrayList<>(known.values());
        providers.sort(Comparator.comparingInt(BackendProvider::priority).reversed().thenComparing(BackendProvider::name));
        return new Discovery(providers, failures);
    }

    /** Fails for a provider that cannot even say its name and priority, by which the others are found and sorted. */
    private static void requireIdentity(BackendProvider provider) {
        provider.priority();
        if (provider.name() == null || provider.name().isBlank()) {
            throw new IllegalStateException(provider.getClass().getName() + " has no name");
        }
    }

    /** The answer of a provider, also where it breaks its promise never to throw. */
    static Probe probe(BackendProvider provider) {
        return probe(provider::probe);
    }

    /** The same for the backend with options. */
    static Probe probe(BackendProvider provider, Map<String, String> options) {
        return probe(() -> options.isEmpty() ? provider.probe() : provider.probe(options));
    }

    private static Probe probe(Supplier<Probe> answer) {
        try {
            return answer.get();
        } catch (RuntimeException | LinkageError error) {
            return new Probe(Probe.Status.MISCONFIGURED, "the probe failed: " + Services.sentence(error),
                    "report this to the backend's authors");
        }
    }
}
