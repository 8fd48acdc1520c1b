package dev.sequent.backend.cpu;

import dev.sequent.spi.OptionReader;
import dev.sequent.type.DType;
import java.util.Map;

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
        OptionReader r = new OptionReader("cpu", options);
        CpuOptions result = new CpuOptions((int) r.number("threads", 1, MAX_THREADS, Runtime.getRuntime().availableProcessors()),
                r.memoryLimit(), r.flag("poison", false), r.choice("vector", AUTO, AUTO, "off").equals(AUTO), r.text("matmul").orElse(AUTO),
                r.choice("products", "f32", "f32", "bf16").equals("f32") ? DType.F32 : DType.BF16);
        r.done();
        return result;
    }
}
