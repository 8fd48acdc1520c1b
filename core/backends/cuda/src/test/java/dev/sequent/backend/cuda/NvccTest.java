package dev.sequent.backend.cuda;

import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.testkit.cuda.Nvcc;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** NVIDIA's compiler takes every kernel of the backend, for every architecture from Ampere to Blackwell. */
class NvccTest {
    /** F16 goes the way of BF16, and I32 and BOOL that of I64; leaving them out halves the time. */
    private static boolean isRepresentative(String function) {
        return !function.matches(".*\\b(f16|i32|u8|u16)\\b.*");
    }

    @Test
    void everyKernelCompilesForEveryArchitecture() {
        Nvcc.require();
        Map<String, String> headers = new LinkedHashMap<>(Map.of("sequent.cuh", Programs.resource("sequent.cuh")));
        Set<String> texts = new LinkedHashSet<>();
        Map<String, String> defines = new LinkedHashMap<>();
        List<String> functions = new ArrayList<>();
        for (Source source : Kernels.sources()) {
            headers.putAll(source.headers());
            defines.putAll(source.defines());
            texts.add(source.text());
            functions.addAll(source.functions());
        }
        // one translation unit: the front end and the toolkit's headers are most of a small compilation
        StringBuilder all = new StringBuilder();
        defines.forEach((name, value) -> all.append("#define ").append(name).append(' ').append(value).append('\n'));
        texts.forEach(all::append);
        Nvcc.compile(all.toString(), headers, functions.stream().distinct().filter(NvccTest::isRepresentative).toList());
    }
}
