package dev.sequent.testkit.cuda;

import dev.sequent.spi.DeviceCode;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/**
 * Compiles kernels with NVIDIA's own compiler for real architectures, to learn without a GPU that they do compile. Tests are skipped with
 * the reason where {@code nvcc} is not on the path, or fail under {@code -Dsequent.requireAll=true}. Thread-safe.
 */
public final class Nvcc {
    /** Compute capabilities from Ampere to Blackwell. */
    public static final List<Integer> ARCHITECTURES = List.of(80, 86, 89, 90, 100, 120);

    private static final String HEADER = "sequent.cuh";

    private Nvcc() {}

    /** Skips the calling test where there is no {@code nvcc}. */
    public static void require() {
        String reason = null;
        try {
            reason = EmulatedCuda.run(Path.of("."), List.of("nvcc", "--version"));
        } catch (IOException e) {
            reason = "nvcc not found";
        }
        if (reason != null) {
            String message = "compiling kernels for real architectures needs nvcc on the path: " + reason;
            if (Boolean.getBoolean("sequent.requireAll")) {
                Assertions.fail(message);
            }
            System.out.println("SKIPPED: " + message);
            Assumptions.abort(message);
        }
    }

    /**
     * Compiles a source for all {@link #ARCHITECTURES} in one call.
     *
     * @param text the source
     * @param headers what it includes, by name
     * @param functions expressions that name the kernels to instantiate
     */
    public static void compile(String text, Map<String, String> headers, List<String> functions) {
        compile(text, headers, functions, ARCHITECTURES);
    }

    /**
     * Compiles for all {@link #ARCHITECTURES} the sources of the fused kernels that {@code use} asks for on a device of {@link
     * EmulatedCuda}, each with all functions that are asked for. The header of the CUDA backend must be on the class path.
     *
     * @return names of the sources
     */
    public static Set<String> compileFused(Consumer<Device> use) {
        require();
        Map<DeviceCode.Source, Set<String>> sources = new LinkedHashMap<>();
        try (Device device = InterceptedCuda.open(EmulatedCuda.require(), source -> {
            DeviceCode.Source bare = new DeviceCode.Source(source.name(), source.text(), List.of(), source.defines(), source.headers());
            sources.computeIfAbsent(bare, _ -> new LinkedHashSet<>()).addAll(source.functions());
            return source;
        }); Scope _ = Scope.open()) {
            use.accept(device);
        }
        Set<String> names = new TreeSet<>();
        sources.forEach((source, functions) -> {
            StringBuilder text = new StringBuilder();
            source.defines().forEach((macro, value) -> text.append("#define ").append(macro).append(' ').append(value).append('\n'));
            Map<String, String> headers = new HashMap<>(source.headers());
            headers.put(HEADER, resource("dev/sequent/backend/cuda/" + HEADER));
            compile(text.append(source.text()).toString(), headers, List.copyOf(functions));
            names.add(source.name());
        });
        return names;
    }

    private static String resource(String name) {
        try (InputStream in = Nvcc.class.getClassLoader().getResourceAsStream(name)) {
            Assertions.assertNotNull(in, () -> name + " is not on the class path");
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Compiles a source for chosen architectures. */
    public static void compile(String text, Map<String, String> headers, List<String> functions, List<Integer> architectures) {
        try {
            Path directory = Files.createTempDirectory("sequent-nvcc-");
            try {
                for (Map.Entry<String, String> header : headers.entrySet()) {
                    Files.writeString(directory.resolve(header.getKey()), header.getValue());
                }
                StringBuilder source = new StringBuilder(text).append("\nvoid* sequent_instances[] = {");
                functions.forEach(f -> source.append("(void*) ").append(f).append(", "));
                Files.writeString(directory.resolve("source.cu"), source.append("nullptr};\n"));
                List<String> command = new ArrayList<>(List.of("nvcc", "-std=c++17", "-fatbin", "-t", "2"));
                architectures.forEach(a -> command.addAll(List.of("-gencode", "arch=compute_" + a + ",code=sm_" + a)));
                command.addAll(List.of("-o", "source.fatbin", "source.cu"));
                String error = EmulatedCuda.run(directory, command);
                Assertions.assertNull(error, () -> "nvcc: " + error);
            } finally {
                try (Stream<Path> files = Files.walk(directory)) {
                    for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                        Files.delete(file);
                    }
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
