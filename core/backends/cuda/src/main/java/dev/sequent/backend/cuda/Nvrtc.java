package dev.sequent.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.sequent.spi.DeviceCode.Source;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** CUDA's run-time compiler: C++ in, machine code or PTX out. Names are those of {@code nvrtc.h}. Thread-safe. */
final class Nvrtc {
    private static final int TEXT_BYTES = 1 << 16;

    private final MethodHandle version;
    private final MethodHandle architectureCount;
    private final MethodHandle architectures;
    private final MethodHandle create;
    private final MethodHandle destroy;
    private final MethodHandle compile;
    private final MethodHandle logSize;
    private final MethodHandle log;
    private final MethodHandle ptxSize;
    private final MethodHandle ptx;
    private final MethodHandle cubinSize;
    private final MethodHandle cubin;
    private final MethodHandle addName;
    private final MethodHandle loweredName;
    private final MethodHandle errorString;

    /** Binds the functions; an {@link IllegalArgumentException} names one that is missing. */
    Nvrtc(NativeLibrary library) {
        // it opens its builtins by name, and would not find them where only its own path is known
        library.loadNeighbours("libnvrtc-builtins\\.so\\.\\d+\\.\\d+.*");
        version = library.function("nvrtcVersion", ADDRESS, ADDRESS);
        architectureCount = library.function("nvrtcGetNumSupportedArchs", ADDRESS);
        architectures = library.function("nvrtcGetSupportedArchs", ADDRESS);
        create = library.function("nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
        destroy = library.function("nvrtcDestroyProgram", ADDRESS);
        compile = library.function("nvrtcCompileProgram", ADDRESS, JAVA_INT, ADDRESS);
        logSize = library.function("nvrtcGetProgramLogSize", ADDRESS, ADDRESS);
        log = library.function("nvrtcGetProgramLog", ADDRESS, ADDRESS);
        ptxSize = library.function("nvrtcGetPTXSize", ADDRESS, ADDRESS);
        ptx = library.function("nvrtcGetPTX", ADDRESS, ADDRESS);
        cubinSize = library.function("nvrtcGetCUBINSize", ADDRESS, ADDRESS);
        cubin = library.function("nvrtcGetCUBIN", ADDRESS, ADDRESS);
        addName = library.function("nvrtcAddNameExpression", ADDRESS, ADDRESS);
        loweredName = library.function("nvrtcGetLoweredName", ADDRESS, ADDRESS, ADDRESS);
        errorString = library.function(FunctionDescriptor.of(ADDRESS, JAVA_INT), "nvrtcGetErrorString");
    }

    /**
     * A compiled program.
     *
     * @param image machine code, or PTX as text
     * @param names the names of the functions in the image, by the expressions that asked for them
     */
    record Image(byte[] image, Map<String, String> names) {}

    /** For example {@code 13.0}. */
    String version() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_INT, 2);
            check("nvrtcVersion", (int) version.invokeExact(out, out.asSlice(JAVA_INT.byteSize())), "");
            return out.getAtIndex(JAVA_INT, 0) + "." + out.getAtIndex(JAVA_INT, 1);
        } catch (Throwable t) {
            throw Driver.failed("nvrtcVersion", t);
        }
    }

    /** Compute capabilities for which the compiler makes machine code, ten times the number: 80, 86, 90. */
    List<Integer> architectures() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(JAVA_INT);
            check("nvrtcGetNumSupportedArchs", (int) architectureCount.invokeExact(count), "");
            MemorySegment list = arena.allocate(JAVA_INT, Math.max(1, count.get(JAVA_INT, 0)));
            check("nvrtcGetSupportedArchs", (int) architectures.invokeExact(list), "");
            List<Integer> all = new ArrayList<>();
            for (int i = 0; i < count.get(JAVA_INT, 0); i++) {
                all.add(list.getAtIndex(JAVA_INT, i));
            }
            return all;
        } catch (Throwable t) {
            throw Driver.failed("nvrtcGetSupportedArchs", t);
        }
    }

    /**
     * Compiles a program.
     *
     * @param options among them the architecture, {@code --gpu-architecture=sm_90} for machine code or {@code compute_90} for PTX
     * @throws CudaException with the compiler's messages if it does not compile
     */
    Image compile(Source source, List<String> options) {
        boolean machineCode = options.stream().anyMatch(o -> o.startsWith("--gpu-architecture=sm_"));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ADDRESS);
            MemorySegment texts = arena.allocate(ADDRESS, Math.max(1, source.headers().size()));
            MemorySegment names = arena.allocate(ADDRESS, Math.max(1, source.headers().size()));
            int headers = 0;
            for (Map.Entry<String, String> header : source.headers().entrySet()) {
                names.setAtIndex(ADDRESS, headers, arena.allocateFrom(header.getKey()));
                texts.setAtIndex(ADDRESS, headers++, arena.allocateFrom(header.getValue()));
            }
            MemorySegment text = arena.allocateFrom(source.text());
            MemorySegment name = arena.allocateFrom(source.name() + ".cu");
            check("nvrtcCreateProgram", (int) create.invokeExact(out, text, name, headers, texts, names), "");
            MemorySegment program = out.get(ADDRESS, 0);
            try {
                return compile(arena, program, source, options, machineCode);
            } finally {
                int ignored = (int) destroy.invokeExact(out);
                assert ignored == 0;
            }
        } catch (Throwable t) {
            throw Driver.failed("nvrtcCompileProgram", t);
        }
    }

    private Image compile(Arena arena, MemorySegment program, Source source, List<String> options, boolean machineCode) throws Throwable {
        for (String function : source.functions()) {
            MemorySegment expression = arena.allocateFrom(function);
            check("nvrtcAddNameExpression " + function, (int) addName.invokeExact(program, expression), "");
        }
        MemorySegment list = arena.allocate(ADDRESS, options.size());
        for (int i = 0; i < options.size(); i++) {
            list.setAtIndex(ADDRESS, i, arena.allocateFrom(options.get(i)));
        }
        int status = (int) compile.invokeExact(program, options.size(), list);
        if (status != 0) {
            check("compile " + source.name() + ".cu", status, new String(bytes(arena, program, logSize, log), StandardCharsets.UTF_8)
                    .replace("\0", "").strip());
        }
        byte[] image = machineCode ? bytes(arena, program, cubinSize, cubin) : bytes(arena, program, ptxSize, ptx);
        Map<String, String> names = new LinkedHashMap<>();
        MemorySegment out = arena.allocate(ADDRESS);
        for (String function : source.functions()) {
            MemorySegment expression = arena.allocateFrom(function);
            check("nvrtcGetLoweredName " + function, (int) loweredName.invokeExact(program, expression, out), "");
            names.put(function, text(out.get(ADDRESS, 0)));
        }
        return new Image(image, names);
    }

    private byte[] bytes(Arena arena, MemorySegment program, MethodHandle size, MethodHandle content) throws Throwable {
        MemorySegment length = arena.allocate(JAVA_LONG);
        check("size of the compiler's result", (int) size.invokeExact(program, length), "");
        MemorySegment buffer = arena.allocate(Math.max(1, length.get(JAVA_LONG, 0)));
        check("the compiler's result", (int) content.invokeExact(program, buffer), "");
        return buffer.asSlice(0, length.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
    }

    @SuppressWarnings("restricted")
    private static String text(MemorySegment text) {
        return text.address() == 0 ? "" : text.reinterpret(TEXT_BYTES).getString(0);
    }

    private void check(String call, int status, String details) throws Throwable {
        if (status != 0) {
            throw new CudaException(call, status, text((MemorySegment) errorString.invokeExact(status)), details);
        }
    }
}
