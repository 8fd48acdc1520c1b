package dev.sequent.spi;

import java.util.List;
import java.util.Map;

/**
 * A part of the table that {@code Backends.explain()} prints, contributed by a package that knows more than backends do; found by
 * {@link java.util.ServiceLoader}.
 */
public interface ExplainSection {
    /** Heading of the part, in one line. */
    String title();

    /**
     * The rows of the table, in order: what each row is called, and a short answer for each backend. Backends are open; a backend with
     * several devices gives each of them the same answer.
     */
    Map<String, List<String>> rows(List<Backend> backends);
}
