package dev.sequent.onednn;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.sequent.type.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;

/**
 * The functions of oneDNN's C interface that a matrix product needs. Names and constants are those of {@code dnnl.h} and
 * {@code dnnl_types.h}, version 3. Thread-safe, as the functions are.
 */
final class Dnnl {
    static final int F32 = 3;
    static final int BF16 = 2;
    private static final int CPU = 1;
    private static final int IN_ORDER = 1;
    private static final int SCRATCHPAD_USER = 1;
    private static final int MATH_BF16 = 1;
    private static final int QUERY_SCRATCHPAD = 136;
    private static final int ISA_BF16 = 0x80;
    private static final int ISA_AMX = 0xe00;
    private static final List<String> STATUS = List.of("success", "out_of_memory", "invalid_arguments", "unimplemented",
            "last_impl_reached", "runtime_error", "not_required", "invalid_graph", "invalid_graph_op", "invalid_shape",
            "invalid_data_type");

    private final MethodHandle version;
    private final MethodHandle isa;
    private final MethodHandle setThreads;
    private final Function engineCreate;
    private final Function engineDestroy;
    private final Function streamCreate;
    private final Function streamDestroy;
    private final Function streamWait;
    private final Function descCreate;
    private final Function descDestroy;
    private final MethodHandle descSize;
    private final Function memoryCreate;
    private final Function memoryDestroy;
    private final Function memorySetHandle;
    private final Function attrCreate;
    private final Function attrDestroy;
    private final Function attrScratchpad;
    private final Function attrMath;
    private final Function attrPostOps;
    private final Function postOpsCreate;
    private final Function postOpsDestroy;
    private final Function postOpsSum;
    private final Function matmulDesc;
    private final Function primitiveDescDestroy;
    private final MethodHandle primitiveDescQuery;
    private final Function primitiveCreate;
    private final Function primitiveDestroy;
    private final Function execute;

    /** A function that returns a status. */
    private record Function(String name, MethodHandle handle) {}

    /**
     * Loads both libraries for the life of the process.
     *
     * @throws IllegalArgumentException if one cannot be loaded
     * @throws IllegalCallerException if native access is denied
     */
    @SuppressWarnings("restricted")
    Dnnl(Path openMp, Path dnnl) {
        // First the OpenMP runtime: oneDNN's dependency is then found by its name, wherever the files lie.
        SymbolLookup gomp = SymbolLookup.libraryLookup(openMp, Arena.global());
        SymbolLookup library = SymbolLookup.libraryLookup(dnnl, Arena.global());
        setThreads = handle(gomp, "omp_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT));
        version = handle(library, "dnnl_version", FunctionDescriptor.of(ADDRESS));
        isa = handle(library, "dnnl_get_effective_cpu_isa", FunctionDescriptor.of(JAVA_INT));
        engineCreate = function(library, "dnnl_engine_create", ADDRESS, JAVA_INT, JAVA_LONG);
        engineDestroy = function(library, "dnnl_engine_destroy", ADDRESS);
        streamCreate = function(library, "dnnl_stream_create", ADDRESS, ADDRESS, JAVA_INT);
        streamDestroy = function(library, "dnnl_stream_destroy", ADDRESS);
        streamWait = function(library, "dnnl_stream_wait", ADDRESS);
        descCreate = function(library, "dnnl_memory_desc_create_with_strides", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS);
        descDestroy = function(library, "dnnl_memory_desc_destroy", ADDRESS);
        descSize = handle(library, "dnnl_memory_desc_get_size", FunctionDescriptor.of(JAVA_LONG, ADDRESS));
        memoryCreate = function(library, "dnnl_memory_create", ADDRESS, ADDRESS, ADDRESS, ADDRESS);
        memoryDestroy = function(library, "dnnl_memory_destroy", ADDRESS);
        memorySetHandle = function(library, "dnnl_memory_set_data_handle", ADDRESS, ADDRESS);
        attrCreate = function(library, "dnnl_primitive_attr_create", ADDRESS);
        attrDestroy = function(library, "dnnl_primitive_attr_destroy", ADDRESS);
        attrScratchpad = function(library, "dnnl_primitive_attr_set_scratchpad_mode", ADDRESS, JAVA_INT);
        attrMath = function(library, "dnnl_primitive_attr_set_fpmath_mode", ADDRESS, JAVA_INT);
        attrPostOps = function(library, "dnnl_primitive_attr_set_post_ops", ADDRESS, ADDRESS);
        postOpsCreate = function(library, "dnnl_post_ops_create", ADDRESS);
        postOpsDestroy = function(library, "dnnl_post_ops_destroy", ADDRESS);
        postOpsSum = function(library, "dnnl_post_ops_append_sum", ADDRESS, JAVA_FLOAT, JAVA_INT, JAVA_INT);
        matmulDesc = function(library, "dnnl_matmul_primitive_desc_create", ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
        primitiveDescDestroy = function(library, "dnnl_primitive_desc_destroy", ADDRESS);
        primitiveDescQuery = handle(library, "dnnl_primitive_desc_query_md", FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT, JAVA_INT));
        primitiveCreate = function(library, "dnnl_primitive_create", ADDRESS, ADDRESS);
        primitiveDestroy = function(library, "dnnl_primitive_destroy", ADDRESS);
        execute = function(library, "dnnl_primitive_execute", ADDRESS, ADDRESS, JAVA_INT, ADDRESS);
    }

    private static Function function(SymbolLookup library, String name, MemoryLayout... parameters) {
        return new Function(name, handle(library, name, FunctionDescriptor.of(JAVA_INT, parameters)));
    }

    @SuppressWarnings("restricted")
    private static MethodHandle handle(SymbolLookup library, String name, FunctionDescriptor type) {
        MemorySegment address = library.find(name)
                .orElseThrow(() -> new IllegalArgumentException("the library has no function " + name));
        return Linker.nativeLinker().downcallHandle(address, type);
    }

    /** Version as in {@code 3.11.0}. */
    @SuppressWarnings("restricted")
    String version() {
        try {
            MemorySegment numbers = ((MemorySegment) version.invokeExact()).reinterpret(3 * JAVA_INT.byteSize());
            return numbers.getAtIndex(JAVA_INT, 0) + "." + numbers.getAtIndex(JAVA_INT, 1) + "." + numbers.getAtIndex(JAVA_INT, 2);
        } catch (Throwable t) {
            throw failed("dnnl_version", t);
        }
    }

    /** Whether the processor multiplies BF16 numbers in hardware. */
    boolean hasBf16() {
        return (isa() & ISA_BF16) == ISA_BF16;
    }

    /** Whether the processor has tiles (AMX), which multiply BF16 several times faster than F32. */
    boolean hasAmx() {
        return (isa() & ISA_AMX) == ISA_AMX;
    }

    private int isa() {
        try {
            return (int) isa.invokeExact();
        } catch (Throwable t) {
            throw failed("dnnl_get_effective_cpu_isa", t);
        }
    }

    /**
     * Makes oneDNN run in the calling thread alone whenever that calls it. The setting belongs to the thread and to this OpenMP runtime,
     * so other users of the same runtime see it in this thread too.
     */
    void useOneThread() {
        try {
            setThreads.invokeExact(1);
        } catch (Throwable t) {
            throw failed("omp_set_num_threads", t);
        }
    }

    MemorySegment engine() {
        return created(out -> (int) engineCreate.handle.invokeExact(out, CPU, 0L), engineCreate);
    }

    void destroyEngine(MemorySegment engine) {
        call(engineDestroy, engine);
    }

    MemorySegment stream(MemorySegment engine) {
        return created(out -> (int) streamCreate.handle.invokeExact(out, engine, IN_ORDER), streamCreate);
    }

    void destroyStream(MemorySegment stream) {
        call(streamDestroy, stream);
    }

    /** Descriptor of a matrix whose element (i, j) stands at {@code i * rowStride + j * columnStride}. */
    MemorySegment matrix(long rows, long columns, int type, long rowStride, long columnStride) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment dims = arena.allocateFrom(JAVA_LONG, rows, columns);
            MemorySegment strides = arena.allocateFrom(JAVA_LONG, rowStride, columnStride);
            return created(out -> (int) descCreate.handle.invokeExact(out, 2, dims, type, strides), descCreate);
        }
    }

    void destroyDescriptor(MemorySegment descriptor) {
        call(descDestroy, descriptor);
    }

    MemorySegment memory(MemorySegment descriptor, MemorySegment engine) {
        return created(out -> (int) memoryCreate.handle.invokeExact(out, descriptor, engine, MemorySegment.NULL), memoryCreate);
    }

    void setData(MemorySegment memory, MemorySegment data) {
        check(memorySetHandle, () -> (int) memorySetHandle.handle.invokeExact(memory, data));
    }

    void destroyMemory(MemorySegment memory) {
        call(memoryDestroy, memory);
    }

    /**
     * Attributes of a product: scratch memory from the caller, addition to C where {@code add}, and operands rounded to BF16 on their way
     * into the processor's tiles where {@code rounded}.
     */
    MemorySegment attributes(boolean add, boolean rounded) {
        MemorySegment attributes = created(out -> (int) attrCreate.handle.invokeExact(out), attrCreate);
        try {
            check(attrScratchpad, () -> (int) attrScratchpad.handle.invokeExact(attributes, SCRATCHPAD_USER));
            if (rounded) {
                check(attrMath, () -> (int) attrMath.handle.invokeExact(attributes, MATH_BF16));
            }
            if (add) {
                addToTarget(attributes);
            }
            return attributes;
        } catch (RuntimeException failure) {
            destroyAttributes(attributes);
            throw failure;
        }
    }

    private void addToTarget(MemorySegment attributes) {
        MemorySegment operations = created(out -> (int) postOpsCreate.handle.invokeExact(out), postOpsCreate);
        try {
            check(postOpsSum, () -> (int) postOpsSum.handle.invokeExact(operations, 1f, 0, 0));
            check(attrPostOps, () -> (int) attrPostOps.handle.invokeExact(attributes, operations));
        } finally {
            call(postOpsDestroy, operations);
        }
    }

    void destroyAttributes(MemorySegment attributes) {
        call(attrDestroy, attributes);
    }

    MemorySegment matmulDescriptor(MemorySegment engine, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment attributes) {
        return created(out -> (int) matmulDesc.handle.invokeExact(out, engine, a, b, MemorySegment.NULL, c, attributes), matmulDesc);
    }

    void destroyPrimitiveDescriptor(MemorySegment descriptor) {
        call(primitiveDescDestroy, descriptor);
    }

    /** Descriptor of the scratch memory; belongs to the primitive descriptor. */
    MemorySegment scratchpad(MemorySegment primitiveDescriptor) {
        try {
            return (MemorySegment) primitiveDescQuery.invokeExact(primitiveDescriptor, QUERY_SCRATCHPAD, 0);
        } catch (Throwable t) {
            throw failed("dnnl_primitive_desc_query_md", t);
        }
    }

    long bytes(MemorySegment descriptor) {
        try {
            return (long) descSize.invokeExact(descriptor);
        } catch (Throwable t) {
            throw failed("dnnl_memory_desc_get_size", t);
        }
    }

    MemorySegment primitive(MemorySegment descriptor) {
        return created(out -> (int) primitiveCreate.handle.invokeExact(out, descriptor), primitiveCreate);
    }

    void destroyPrimitive(MemorySegment primitive) {
        call(primitiveDestroy, primitive);
    }

    /** Runs a primitive and waits for it. */
    void execute(MemorySegment primitive, MemorySegment stream, int count, MemorySegment arguments) {
        check(execute, () -> (int) execute.handle.invokeExact(primitive, stream, count, arguments));
        call(streamWait, stream);
    }

    private void call(Function function, MemorySegment argument) {
        check(function, () -> (int) function.handle.invokeExact(argument));
    }

    /** A call that returns a status. */
    @FunctionalInterface
    private interface Call {
        int run() throws Throwable;
    }

    /** A call that writes the address of a new object and returns a status. */
    @FunctionalInterface
    private interface Creation {
        int run(MemorySegment out) throws Throwable;
    }

    private static MemorySegment created(Creation creation, Function function) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ADDRESS);
            check(function, () -> creation.run(out));
            return out.get(ADDRESS, 0);
        }
    }

    private static void check(Function function, Call call) {
        int status;
        try {
            status = call.run();
        } catch (Throwable t) {
            throw failed(function.name, t);
        }
        if (status != 0) {
            String name = status > 0 && status < STATUS.size() ? "dnnl_" + STATUS.get(status) : "status " + status;
            throw new BackendException(function.name, "dnnl_success", name);
        }
    }

    private static BackendException failed(String function, Throwable cause) {
        if (cause instanceof BackendException e) {
            return e;
        }
        return new BackendException("[" + function + "] expected a call of oneDNN, given " + cause, cause);
    }
}
