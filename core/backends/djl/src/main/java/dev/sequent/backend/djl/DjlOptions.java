package dev.sequent.backend.djl;

import dev.sequent.spi.OptionReader;
import java.util.Map;

/**
 * Settings of the DJL backend.
 *
 * @param threads threads of one operation, or 0 to leave PyTorch's own number
 * @param memoryLimit most bytes that tensors may take on each device
 * @param download whether DJL may fetch native libraries that are not on the class path
 */
record DjlOptions(int threads, long memoryLimit, boolean download) {
    private static final int MAX_THREADS = 1024;

    /** Reads options by name; what is missing has a default. */
    static DjlOptions of(Map<String, String> options) {
        OptionReader r = new OptionReader("djl", options);
        DjlOptions result = new DjlOptions((int) r.number("threads", 1, MAX_THREADS, 0), r.memoryLimit(), r.flag("download", false));
        r.done();
        return result;
    }
}
