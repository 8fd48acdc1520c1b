package dev.sequent.backend.djl;

import com.sun.management.OperatingSystemMXBean;
import dev.sequent.type.ConfigException;
import java.lang.management.ManagementFactory;
import java.util.Map;
import java.util.TreeMap;

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
        Map<String, String> left = new TreeMap<>(options);
        String threads = left.remove("threads");
        String memoryLimit = left.remove("memoryLimit");
        String download = left.remove("download");
        if (!left.isEmpty()) {
            throw new ConfigException("open djl", "options among threads, memoryLimit, download", left.keySet().toString());
        }
        if (download != null && !download.equals("true") && !download.equals("false")) {
            throw new ConfigException("open djl", "download to be true or false", download);
        }
        return new DjlOptions(
                threads == null ? 0 : (int) number("threads", threads, MAX_THREADS),
                memoryLimit == null ? defaultLimit() : number("memoryLimit", memoryLimit, Long.MAX_VALUE),
                "true".equals(download));
    }

    private static long number(String name, String value, long largest) {
        try {
            long n = Long.parseLong(value);
            if (n >= 1 && n <= largest) {
                return n;
            }
        } catch (NumberFormatException e) {
            throw new ConfigException("[open djl] expected a number for option " + name + ", given " + value, e);
        }
        throw new ConfigException("open djl", name + " in [1, " + largest + "]", value);
    }

    /** Nine tenths of the memory of the machine or container: an exception comes before the operating system kills the process. */
    private static long defaultLimit() {
        OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        return system == null ? Long.MAX_VALUE : system.getTotalMemorySize() / 10 * 9;
    }
}
