package dev.sequent.benchmarks.baselines;

import org.junit.jupiter.api.Test;

/** Our side of the baselines; the libraries' own are checked whenever they are measured. */
class BaselineTest {
    @Test
    void ourAttentionIsThePlainComputation() {
        BaselineBenchmark.check("sequent", "attention");
    }
}
