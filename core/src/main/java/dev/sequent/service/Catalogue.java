package dev.sequent.service;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * The providers of a service by name, and what is wrong with those that could not be loaded. Immutable.
 *
 * @param known the providers by name, in alphabetical order
 * @param failures one sentence for each provider that is not among them
 */
public record Catalogue<S>(Map<String, S> known, List<String> failures) {
    /** Copies. */
    public Catalogue {
        known = Collections.unmodifiableMap(new TreeMap<>(known));
        failures = List.copyOf(failures);
    }

    /**
     * Loads the providers of {@code service} that {@code loader} finds. Each one that fails is a warning of {@code logger}, and so is one
     * whose name is that of an earlier one: the first is used.
     *
     * @param name the name of a provider
     * @param own providers that come before all others
     */
    @SafeVarargs
    public static <S> Catalogue<S> load(Class<S> service, ClassLoader loader, Function<S, String> name, System.Logger logger, S... own) {
        Map<String, S> known = new TreeMap<>();
        List<String> failures = new ArrayList<>();
        for (S provider : own) {
            known.put(name.apply(provider), provider);
        }
        Services.load(service, loader, provider -> Services.register(known, name.apply(provider), provider), failures::add);
        failures.forEach(failure -> logger.log(System.Logger.Level.WARNING,
                () -> "A provider of " + service.getSimpleName() + " is not used: " + failure));
        return new Catalogue<>(known, failures);
    }

    /** For a message about a name that is not known: the known ones, a hint, and why others are missing. */
    public String choices() {
        String hint = " (is its artifact on the class path?)";
        return known.keySet() + hint + (failures.isEmpty() ? "" : "; not loaded: " + String.join("; ", failures));
    }
}
