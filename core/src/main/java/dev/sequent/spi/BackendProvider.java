package dev.sequent.spi;

import java.util.Map;

/** A backend that can be discovered by {@link java.util.ServiceLoader}. Loading the class has no side effects. */
public interface BackendProvider {
    /** Name under which the backend is opened, lower case. */
    String name();

    /** Greater is preferred by {@code Backends.openBest()}. */
    int priority();

    /** Whether the backend works here. Never throws, and is cheap. */
    Probe probe();

    /** Whether the backend works here with these options. Never throws, and is cheap. */
    default Probe probe(Map<String, String> options) {
        return probe();
    }

    /**
     * Opens the backend.
     *
     * @param options settings of this backend; an unknown key is an error that lists the known ones
     */
    Backend open(Map<String, String> options);
}
