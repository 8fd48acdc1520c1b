package dev.sequent.backend.cpu;

import com.sun.management.OperatingSystemMXBean;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.lang.management.ManagementFactory;
import java.util.Map;
import java.util.TreeMap;

/**
 * Settings of the CPU backend.
 *
 * @param threads threads of a parallel loop, the caller included
 * @param memoryLimit most bytes that tensors may take
 * @param poison whether fresh memory is filled with NaN
 * @param vector whether vector kernels may be used
 * @param matmul {@code auto}, {@code builtin} or the name of a {@link dev.sequent.spi.MatmulProvider}
 * @param products F32, or BF16 where products of F32 matrices may round their operands to it
 */
record CpuOptions(int threads, long memoryLimit, boolean poison, boolean vector, String matmul, DType products) {
    static final String AUTO = "auto";
    static final String BUILTIN = "builtin";
    private static final int MAX_THREADS = 1024;

    /** Reads options by name; what is missing has a default. */
    static CpuOptions of(Map<String, String> options) {
        Map<String, String> left = new TreeMap<>(options);
        String threads = left.remove("threads");
        String memoryLimit = left.remove("memoryLimit");
        String poison = left.remove("poison");
        String vector = left.remove("vector");
        String matmul = left.remove("matmul");
        String products = left.remove("products");
        if (!left.isEmpty()) {
            throw new ConfigException("open cpu", "options among threads, memoryLimit, poison, vector, matmul, products",
                    left.keySet().toString());
        }
        return new CpuOptions(
                threads == null ? Runtime.getRuntime().availableProcessors() : (int) number("threads", threads, MAX_THREADS),
                memoryLimit == null ? defaultLimit() : number("memoryLimit", memoryLimit, Long.MAX_VALUE),
                poison != null && choice("poison", poison, "true", "false").equals("true"),
                vector == null || choice("vector", vector, AUTO, "off").equals(AUTO),
                matmul == null ? AUTO : matmul,
                products == null || choice("products", products, "f32", "bf16").equals("f32") ? DType.F32 : DType.BF16);
    }

    private static long number(String name, String value, long largest) {
        try {
            long n = Long.parseLong(value);
            if (n >= 1 && n <= largest) {
                return n;
            }
        } catch (NumberFormatException e) {
            throw new ConfigException("[open cpu] expected a number for option " + name + ", given " + value, e);
        }
        throw new ConfigException("open cpu", name + " in [1, " + largest + "]", value);
    }

    private static String choice(String name, String value, String first, String second) {
        if (!value.equals(first) && !value.equals(second)) {
            throw new ConfigException("open cpu", name + " to be " + first + " or " + second, value);
        }
        return value;
    }

    /** Nine tenths of the memory of the machine or container: an exception comes before the operating system kills the process. */
    private static long defaultLimit() {
        OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
        return system == null ? Long.MAX_VALUE : system.getTotalMemorySize() / 10 * 9;
    }
}
