package dev.sequent.backend.nd4j;

import dev.sequent.spi.OptionReader;
import java.util.Map;

/**
 * Settings of the ND4J backend.
 *
 * @param threads threads of ND4J's operations and of its BLAS in this process
 * @param memoryLimit most bytes that tensors may take
 */
record Nd4jOptions(int threads, long memoryLimit) {
    private static final int MAX_THREADS = 1024;

    /** Reads options by name; what is missing has a default. */
    static Nd4jOptions of(Map<String, String> options) {
        OptionReader r = new OptionReader("nd4j", options);
        Nd4jOptions result = new Nd4jOptions((int) r.number("threads", 1, MAX_THREADS, 1), r.memoryLimit());
        r.done();
        return result;
    }
}
