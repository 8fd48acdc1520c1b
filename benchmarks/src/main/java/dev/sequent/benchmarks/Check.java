package dev.sequent.benchmarks;

import dev.sequent.tensor.Tensor;
import java.util.List;

/** Whether a result is right: a benchmark of wrong results means nothing. */
final class Check {
    private Check() {}

    /** Fails unless every tensor differs from its reference by at most {@code tolerance} times the reference's largest element. */
    static void close(String what, List<Tensor> given, List<Tensor> expected, double tolerance) {
        if (given.size() != expected.size()) {
            throw new IllegalStateException(what + ": expected " + expected.size() + " results, given " + given.size());
        }
        for (int i = 0; i < given.size(); i++) {
            close(what + " [" + i + "]", given.get(i).toDoubles(), expected.get(i).toDoubles(), tolerance);
        }
    }

    private static void close(String what, double[] given, double[] expected, double tolerance) {
        if (given.length != expected.length) {
            throw new IllegalStateException(what + ": expected " + expected.length + " elements, given " + given.length);
        }
        double largest = 1e-30;
        for (double e : expected) {
            largest = Math.max(largest, Math.abs(e));
        }
        for (int i = 0; i < given.length; i++) {
            if (!(Math.abs(given[i] - expected[i]) <= tolerance * largest)) {
                throw new IllegalStateException(what + ": expected " + expected[i] + " at " + i + ", given " + given[i]);
            }
        }
    }
}
