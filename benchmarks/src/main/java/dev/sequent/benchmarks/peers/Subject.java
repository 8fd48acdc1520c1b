package dev.sequent.benchmarks.peers;

import java.util.Map;

/**
 * Our side of a comparison, ready to run.
 *
 * @param benchmark the JMH benchmark that measures the same, class and method
 * @param parameters that benchmark's parameters
 * @param gauges figures besides the time, as {@link dev.sequent.benchmarks.Gauges} has them
 * @param call does it once
 * @param release gives back what the calls needed
 */
record Subject(String benchmark, Map<String, String> parameters, Map<String, Double> gauges, Runnable call,
        Runnable release) implements AutoCloseable {
    @Override
    public void close() {
        release.run();
    }
}
