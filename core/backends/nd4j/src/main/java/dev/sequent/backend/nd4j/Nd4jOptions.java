package dev.sequent.backend.nd4j;

import com.sun.management.OperatingSystemMXBean;
import dev.sequent.type.ConfigException;
import java.lang.management.ManagementFactory;
import java.util.Map;
import java.util.TreeMap;

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
        Map<String, String> left = new TreeMap<>(options);
        String threads = left.remove("threads");
        String memoryLimit = left.remove("memoryLimit");
        if (!left.isEmpty()) {
            throw new ConfigException("open nd4j", "options among threads, memoryLimit", left.keySet().toString());
        }
        return new Nd4jOptions(threads == null ? 1 : (int) number("threads", threads, MAX_THREADS),
                memoryLimit == null ? defaultLimit() : number("memoryLimit", memoryLimit, Long.MAX_VALUE));
    }

    private static long number(String name, String value, long largest) {
        try {
            long n = Long.parseLong(value);
            if (n >= 1 && n <= largest) {
                return n;
            }
        } catch (NumberFormatException e) {
            throw new ConfigException("[open nd4j] expected a number for option " + name + ", given " + value, e);
        }
        throw new ConfigException("open nd4j", name + " in [1, " + largest + "]", value);
    }

    /** Nine tenths of the memory of the machine or container: an exception comes before the operating system kills the process. */
    private static long defaultLimit() {
        OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        return system == null ? Long.MAX_VALUE : system.getTotalMemorySize() / 10 * 9;
    }
}
