package dev.sequent.benchmarks.peers;

import java.util.Map;
import java.util.function.DoubleSupplier;

/**
 * Our side of a comparison, ready to run.
 *
 * @param benchmark the JMH benchmark that measures the same, class and method
 * @param parameters that benchmark's parameters
 * @param gauges figures besides the time, as {@link dev.sequent.benchmarks.Gauges} has them
 * @param call does it once, and returns a number that the peer's call returns too; NaN where there is none
 * @param forPeer parameters for the peer besides the contest's
 * @param release gives back what the calls needed
 */
record Subject(String benchmark, Map<String, String> parameters, Map<String, Double> gauges,
        DoubleSupplier call, Map<String, Object> forPeer, Runnable release) implements AutoCloseable {
    /** Calls that return no number and need nothing of the peer. */
    Subject(String benchmark, Map<String, String> parameters, Map<String, Double> gauges, Runnable call, Runnable release) {
        this(benchmark, parameters, gauges, () -> {
            call.run();
            return Double.NaN;
        }, Map.of(), release);
    }

    @Override
    public void close() {
        release.run();
    }
}
