package dev.sequent.testkit.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/**
 * Stand-ins for {@code libcuda.so.1}, {@code libnvrtc.so} and {@code libcublasLt.so}, built by g++ from resources of this package: a CUDA
 * backend opened with {@link #options} runs unchanged, its kernels compiled from the same source for the CPU, on a machine without a GPU.
 *
 * <p>Built once per content of the sources, into a directory of the user below the temporary directory; so are the kernels. Where there is
 * no g++ or the machine is not x86-64 Linux, tests that ask with {@link #require} are skipped with the reason, or fail under
 * {@code -Dsequent.requireAll=true}. Settings are those of one process-wide device; tests that change them must {@link #reset} and must not
 * run at the same time as others. Thread-safe otherwise.
 */
public final class EmulatedCuda {
    private static final List<String> LIBRARIES = List.of("libcuda", "libnvrtc", "libcublasLt");
    private static final String SHIM = "cuda_shim.h";
    /** The options of the stand-in compiler, with which the precompiled header must be made, too. */
    private static final List<String> KERNEL_FLAGS = List.of("-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique",
            "-fno-strict-aliasing", "-ffp-contract=off", "-w");

    private final Path directory;
    private final Path cache;
    private final MethodHandle set;
    private final MethodHandle read;

    private EmulatedCuda(Path directory) {
        this.directory = directory;
        this.cache = directory.resolveSibling(directory.getFileName() + "-kernels");
        SymbolLookup library = library(directory.resolve("libcuda.so.1"));
        set = function(library, "cuemu_set", FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
        read = function(library, "cuemu_get", FunctionDescriptor.of(ValueLayout.JAVA_LONG, ValueLayout.ADDRESS));
    }

    @SuppressWarnings("restricted")
    private static SymbolLookup library(Path path) {
        return SymbolLookup.libraryLookup(path, Arena.global());
    }

    @SuppressWarnings("restricted")
    private static MethodHandle function(SymbolLookup library, String name, FunctionDescriptor type) {
        return Linker.nativeLinker().downcallHandle(library.find(name).orElseThrow(), type);
    }

    private static final class Holder {
        static final String REASON = unavailable();
        static final EmulatedCuda INSTANCE = REASON == null ? new EmulatedCuda(build()) : null;
    }

    /** The stand-ins, or empty where they cannot be built. */
    public static Optional<EmulatedCuda> find() {
        return Optional.ofNullable(Holder.INSTANCE);
    }

    /** The stand-ins; without g++ the calling test is skipped and the reason printed, or fails when everything is required. */
    public static EmulatedCuda require() {
        if (Holder.INSTANCE == null) {
            String message = "the CUDA stand-ins need x86-64 Linux and g++: " + Holder.REASON;
            if (Boolean.getBoolean("sequent.requireAll")) {
                Assertions.fail(message);
            }
            System.out.println("SKIPPED: " + message);
            Assumptions.abort(message);
        }
        return Holder.INSTANCE;
    }

    /** Where the libraries are. */
    public Path directory() {
        return directory;
    }

    /** Options with which the CUDA backend uses the stand-ins and keeps its compiled kernels between test runs. */
    public Map<String, String> options() {
        return new HashMap<>(Map.of("libraries", directory.toString(), "cache", cache.toString(), "poison", "true"));
    }

    /**
     * Makes the stand-ins what the CUDA backend finds without options, by system properties, until the result is closed. Not for use by
     * tests at the same time.
     */
    public AutoCloseable install() {
        Map<String, String> before = new HashMap<>();
        Map.of("sequent.cuda.libraries", directory.toString(), "sequent.cuda.cache", cache.toString()).forEach((name, value) ->
                before.put(name, System.setProperty(name, value)));
        return () -> before.forEach((name, value) -> {
            if (value == null) {
                System.clearProperty(name);
            } else {
                System.setProperty(name, value);
            }
        });
    }

    /**
     * Changes a setting of the stand-in: {@code order} of threads (0 to 4, -1 for all by turns), {@code memory} in bytes, {@code devices},
     * {@code major} and {@code minor} compute capability, {@code version} of the driver, {@code init} and {@code module} for the
     * error codes of cuInit and cuModuleLoadData, {@code fail_at} for the number of the launch that hits an illegal address.
     */
    public void set(String name, long value) {
        try (Arena arena = Arena.ofConfined()) {
            long old = (long) set.invokeExact(arena.allocateFrom(name), value);
            Assertions.assertTrue(old != -1 || name.equals("order") || name.equals("fail_at"), "unknown setting " + name);
        } catch (Throwable t) {
            throw rethrown(t);
        }
    }

    /** Forgets all settings and sticky errors. */
    public void reset() {
        set("reset", 0);
    }

    /**
     * A counter of the stand-in: {@code launches}, {@code allocations}, {@code used} and {@code peak} bytes, {@code pinned},
     * {@code streams}.
     */
    public long count(String name) {
        try (Arena arena = Arena.ofConfined()) {
            return (long) read.invokeExact(arena.allocateFrom(name));
        } catch (Throwable t) {
            throw rethrown(t);
        }
    }

    private static RuntimeException rethrown(Throwable t) {
        if (t instanceof Error error) {
            throw error;
        }
        return t instanceof RuntimeException r ? r : new IllegalStateException(t);
    }

    private static String unavailable() {
        String platform = System.getProperty("os.name") + " " + System.getProperty("os.arch");
        if (!platform.equals("Linux amd64")) {
            return "this is " + platform;
        }
        try {
            return run(Path.of("."), List.of("g++", "--version")) == null ? null : "g++ does not run";
        } catch (IOException e) {
            return "g++ not found";
        }
    }

    private static Path build() {
        try {
            Map<String, byte[]> sources = new HashMap<>();
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (String file : sourceFiles()) {
                try (InputStream in = EmulatedCuda.class.getResourceAsStream(file)) {
                    byte[] content = in.readAllBytes();
                    sources.put(file, content);
                    digest.update(content);
                }
            }
            digest.update(KERNEL_FLAGS.toString().getBytes(StandardCharsets.UTF_8));
            String key = HexFormat.of().formatHex(digest.digest(), 0, 8);
            Path home = Path.of(System.getProperty("java.io.tmpdir"), "sequent-emulated-cuda-" + System.getProperty("user.name"));
            Path directory = home.resolve(key);
            if (!Files.isDirectory(directory)) {
                Files.createDirectories(home);
                Path work = Files.createTempDirectory(home, "build-");
                compile(sources, work);
                publish(work, directory);
            }
            return directory;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<String> sourceFiles() {
        List<String> files = new ArrayList<>(List.of(SHIM));
        LIBRARIES.forEach(name -> files.add(name + ".cpp"));
        return files;
    }

    private static void compile(Map<String, byte[]> sources, Path work) throws IOException {
        for (Map.Entry<String, byte[]> source : sources.entrySet()) {
            Files.write(work.resolve(source.getKey()), source.getValue());
        }
        for (String name : LIBRARIES) {
            String file = name.equals("libcuda") ? "libcuda.so.1" : name + ".so.13";
            compile(work, List.of("g++", "-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", name + ".cpp", "-o", file,
                    "-ldl"));
        }
        List<String> header = new ArrayList<>(List.of("g++"));
        header.addAll(KERNEL_FLAGS);
        header.addAll(List.of("-x", "c++-header", SHIM, "-o", SHIM + ".gch"));
        compile(work, header);
    }

    private static void compile(Path work, List<String> command) throws IOException {
        String error = run(work, command);
        Assertions.assertNull(error, () -> command + " failed: " + error);
    }

    /** Another process may have been faster, with the same result. */
    private static void publish(Path work, Path directory) throws IOException {
        try {
            Files.move(work, directory, StandardCopyOption.ATOMIC_MOVE);
        } catch (FileAlreadyExistsException | DirectoryNotEmptyException | AtomicMoveNotSupportedException e) {
            if (!Files.isDirectory(directory)) {
                throw e;
            }
        }
    }

    /** Runs a command; null when it succeeds, else its output. */
    static String run(Path directory, List<String> command) throws IOException {
        Process process = new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            if (!process.waitFor(5, TimeUnit.MINUTES)) {
                process.destroyForcibly();
                return "no end after five minutes";
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
            return "interrupted";
        }
        return process.exitValue() == 0 ? null : output + "exit status " + process.exitValue();
    }
}
