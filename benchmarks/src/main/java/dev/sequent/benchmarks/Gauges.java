package dev.sequent.benchmarks;

import dev.sequent.cost.Work;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.ScalarResult;

/**
 * Figures of a benchmark besides its time: tokens, predicted work, memory. A benchmark sets them while it runs, and this profiler puts
 * the largest value of each beside the score, so that the result file of JMH holds everything the report needs.
 *
 * <p>A benchmark runs in a process of its own, so the values are per process.
 */
public final class Gauges implements InternalProfiler {
    /** Tokens that one call processes. */
    public static final String TOKENS = "tokens";
    /** Floating-point operations of the forward pass by the cost model. */
    static final String FLOPS = "flops";
    /** Bytes that the forward pass moves at least, by the cost model. */
    static final String BYTES = "bytes";
    /** Floating-point operations of the backward pass by the cost model. */
    static final String BACKWARD_FLOPS = "backward.flops";
    /** Bytes that the backward pass moves at least, by the cost model. */
    static final String BACKWARD_BYTES = "backward.bytes";
    /** The most native memory that the backend held, in bytes. */
    static final String PEAK_MEMORY = "peak.memory";
    /** Bytes of the recurrent states and caches. */
    static final String STATE = "state.bytes";
    /** Bytes of the parameters. */
    static final String PARAMETERS = "parameter.bytes";

    private static final Map<String, Double> VALUES = new ConcurrentHashMap<>();

    /** Instantiated by JMH. */
    public Gauges() {}

    /** Sets a figure of the running benchmark. */
    public static void set(String name, double value) {
        VALUES.put(name, value);
    }

    /** Sets tokens and predicted work of one call: of the forward pass, and of the backward pass where the benchmark has one. */
    static void work(double tokens, Work forward, Work backward) {
        set(TOKENS, tokens);
        set(FLOPS, forward.flops());
        set(BYTES, forward.bytes());
        set(BACKWARD_FLOPS, backward.flops());
        set(BACKWARD_BYTES, backward.bytes());
    }

    @Override
    public String getDescription() {
        return "tokens, predicted work and memory";
    }

    @Override
    public void beforeIteration(BenchmarkParams benchmark, IterationParams iteration) {}

    @Override
    public Collection<ScalarResult> afterIteration(BenchmarkParams benchmark, IterationParams iteration, IterationResult result) {
        List<ScalarResult> list = new ArrayList<>();
        VALUES.forEach((name, value) -> list.add(new ScalarResult(name, value, "1", AggregationPolicy.MAX)));
        return list;
    }
}
