package dev.sequent.benchmarks.run;

import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * One measurement: a benchmark method and its parameters.
 *
 * @param benchmark class and method, for example {@code MixerBenchmark.forward}
 * @param parameters values of the benchmark's parameters; those not given have the benchmark's default
 */
record Case(String benchmark, Map<String, String> parameters) {
    Case {
        parameters = new TreeMap<>(parameters);
    }

    static Case of(String benchmark, Object... namesAndValues) {
        Map<String, String> parameters = new TreeMap<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            parameters.put(namesAndValues[i].toString(), namesAndValues[i + 1].toString());
        }
        return new Case(benchmark, parameters);
    }

    Case with(String name, String value) {
        Map<String, String> more = new TreeMap<>(parameters);
        more.put(name, value);
        return new Case(benchmark, more);
    }

    /** A regular expression that only this method matches. */
    String pattern() {
        return ".*\\." + benchmark.replace(".", "\\.") + "$";
    }

    @Override
    public String toString() {
        return benchmark + parameters.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue())
                .collect(Collectors.joining(", ", " (", ")"));
    }
}
