package dev.sequent.benchmarks.report;

import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.type.DataException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * One row of JMH's results.
 *
 * @param source whose result it is: {@code sequent}, or the name of a peer
 * @param benchmark class and method without package, for example {@code MixerBenchmark.forward}
 * @param parameters the benchmark's parameters
 * @param seconds mean time of one call
 * @param error half the width of JMH's 99.9 % confidence interval, NaN when there were too few samples
 * @param gauges figures besides the time
 */
record Measurement(String source, String benchmark, Map<String, String> parameters, double seconds, double error,
        Map<String, Double> gauges) {
    private static final long MAX_BYTES = 1 << 28;
    /** The source of our own results. */
    static final String OWN = "sequent";
    /** Names of the libraries of baselines. */
    private static final Map<String, String> LIBRARIES = Map.of("djl", "DJL's own", "nd4j", "ND4J's own");
    /** Parameters that say where something ran, not what. */
    private static final Set<String> PLACES = Set.of("backend", "threads", "library");

    /** The rows of a file in JMH's format. A peer's file has a member {@code source} in each row. */
    static List<Measurement> read(Path file) {
        Json json = Json.read(file, MAX_BYTES, Json.Dialect.PYTHON, DataException::new);
        return JsonView.of(json, file.toString(), DataException::new).elements().stream().map(Measurement::of).toList();
    }

    private static Measurement of(JsonView row) {
        JsonView primary = row.at("primaryMetric");
        double unit = secondsOf(primary.at("scoreUnit"));
        Map<String, String> parameters = new LinkedHashMap<>();
        row.find("params").ifPresent(p -> p.members().forEach((name, value) -> parameters.put(name, value.asString())));
        Map<String, Double> gauges = new LinkedHashMap<>();
        row.find("secondaryMetrics").ifPresent(s -> s.members().forEach((name, value) -> gauges.put(name, number(value.at("score")))));
        String[] name = row.at("benchmark").asString().split("\\.");
        String benchmark = name.length < 2 ? name[0] : name[name.length - 2] + "." + name[name.length - 1];
        String library = parameters.getOrDefault("library", OWN);
        return new Measurement(row.find("source").map(JsonView::asString).orElse(LIBRARIES.getOrDefault(library, library)), benchmark,
                parameters, number(primary.at("score")) * unit,
                primary.find("scoreError").map(Measurement::number).orElse(Double.NaN) * unit, gauges);
    }

    /** JMH writes NaN as a string. */
    private static double number(JsonView value) {
        return value.value() instanceof Json.Str ? Double.parseDouble(value.asString()) : value.asDouble();
    }

    private static double secondsOf(JsonView unit) {
        return switch (unit.asString()) {
            case "ns/op" -> 1e-9;
            case "us/op" -> 1e-6;
            case "ms/op" -> 1e-3;
            case "s/op" -> 1;
            default -> throw unit.mismatch("a time per operation");
        };
    }

    /** Whether it is a result of ours. */
    boolean isOwn() {
        return source.equals(OWN);
    }

    /** The same as another's. */
    Measurement withSource(String owner) {
        return new Measurement(owner, benchmark, parameters, seconds, error, gauges);
    }

    /** Whether the other measures the same, perhaps on another backend or by another library. */
    boolean sameAs(Measurement other) {
        return benchmark.equals(other.benchmark) && task().equals(other.task());
    }

    private Map<String, String> task() {
        Map<String, String> task = new LinkedHashMap<>(parameters);
        task.keySet().removeAll(PLACES);
        return task;
    }

    String parameter(String name) {
        return parameters.getOrDefault(name, "");
    }

    /** A parameter that is a number, or 0 where it is absent. */
    long number(String name) {
        return parameters.containsKey(name) ? Long.parseLong(parameters.get(name)) : 0;
    }

    Optional<Double> gauge(String name) {
        return Optional.ofNullable(gauges.get(name));
    }

    /** Whether the call does the backward pass too. */
    boolean hasBackward() {
        return benchmark.endsWith(".gradient") || benchmark.endsWith(".step");
    }

    /** Floating-point operations of the call by the cost model; 0 when unknown. */
    double flops() {
        return total("flops");
    }

    /** Bytes that the call moves at least by the cost model; 0 when unknown. */
    double bytes() {
        return total("bytes");
    }

    /** A figure of the passes that the call does; 0 where one of them is unknown. */
    private double total(String name) {
        Optional<Double> backward = hasBackward() ? gauge("backward." + name) : Optional.of(0.0);
        return backward.isEmpty() ? 0 : gauge(name).map(forward -> forward + backward.get()).orElse(0.0);
    }

    /** Time per token. */
    double secondsPerToken() {
        return seconds / gauge("tokens").orElse(1.0);
    }

    /** What is measured, for a legend: the kernel, mixer or model, and whose it is. */
    String subject() {
        for (String name : List.of("kernel", "mixer", "model", "layer", "operation")) {
            if (parameters.containsKey(name)) {
                String owner = source.equals(OWN) ? "" : " (" + source + ")";
                return parameters.get(name).replace('_', ' ') + owner;
            }
        }
        return benchmark;
    }
}
