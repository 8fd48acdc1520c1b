package dev.sequent.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.sequent.spi.DeviceCode.Grid;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The functions of the CUDA driver that a tensor backend needs. Names and constants are those of {@code cuda.h}; handles and device
 * addresses are longs. A status other than success becomes a {@link CudaException}. Thread-safe, as the functions are; all but the first
 * few work on the calling thread's current context.
 */
final class Driver {
    static final int ATTRIBUTE_MAX_THREADS = 1;
    static final int ATTRIBUTE_WARP_SIZE = 10;
    static final int ATTRIBUTE_MULTIPROCESSORS = 16;
    static final int ATTRIBUTE_L2_BYTES = 38;
    static final int ATTRIBUTE_MAJOR = 75;
    static final int ATTRIBUTE_MINOR = 76;
    static final int ATTRIBUTE_SHARED_PER_MULTIPROCESSOR = 81;
    static final int ATTRIBUTE_REGISTERS_PER_MULTIPROCESSOR = 82;
    static final int ATTRIBUTE_SHARED_PER_BLOCK = 97;
    static final int FUNCTION_LOCAL_BYTES = 3;
    static final int FUNCTION_REGISTERS = 4;
    private static final int FUNCTION_MAX_DYNAMIC_SHARED = 8;
    private static final int STREAM_NON_BLOCKING = 1;
    private static final int EVENT_DISABLE_TIMING = 2;
    private static final int CAPTURE_RELAXED = 2;
    private static final int NAME_BYTES = 256;
    private static final int TEXT_BYTES = 4096;

    private final MethodHandle init;
    private final MethodHandle version;
    private final MethodHandle errorName;
    private final MethodHandle errorString;
    private final MethodHandle deviceCount;
    private final MethodHandle deviceGet;
    private final MethodHandle deviceName;
    private final MethodHandle deviceMemory;
    private final MethodHandle deviceAttribute;
    private final MethodHandle contextRetain;
    private final MethodHandle contextRelease;
    private final MethodHandle contextSet;
    private final MethodHandle moduleLoad;
    private final MethodHandle moduleUnload;
    private final MethodHandle moduleFunction;
    private final MethodHandle functionSet;
    private final MethodHandle functionGet;
    private final MethodHandle functionParameter;
    private final MethodHandle occupancy;
    private final MethodHandle memoryInfo;
    private final MethodHandle memoryAllocate;
    private final MethodHandle memoryFree;
    private final MethodHandle hostAllocate;
    private final MethodHandle hostFree;
    private final MethodHandle copyToDevice;
    private final MethodHandle copyToHost;
    private final MethodHandle copyOnDevice;
    private final MethodHandle fill;
    private final MethodHandle streamCreate;
    private final MethodHandle streamDestroy;
    private final MethodHandle streamSynchronize;
    private final MethodHandle eventCreate;
    private final MethodHandle eventDestroy;
    private final MethodHandle eventRecord;
    private final MethodHandle eventSynchronize;
    private final MethodHandle launch;
    private final MethodHandle captureBegin;
    private final MethodHandle captureEnd;
    private final MethodHandle graphNodes;
    private final MethodHandle graphInstantiate;
    private final MethodHandle graphLaunch;
    private final MethodHandle graphDestroy;
    private final MethodHandle graphExecDestroy;

    /** Binds the functions; an {@link IllegalArgumentException} names one that is missing. */
    Driver(NativeLibrary library) {
        init = library.function("cuInit", JAVA_INT);
        version = library.function("cuDriverGetVersion", ADDRESS);
        errorName = library.function("cuGetErrorName", JAVA_INT, ADDRESS);
        errorString = library.function("cuGetErrorString", JAVA_INT, ADDRESS);
        deviceCount = library.function("cuDeviceGetCount", ADDRESS);
        deviceGet = library.function("cuDeviceGet", ADDRESS, JAVA_INT);
        deviceName = library.function("cuDeviceGetName", ADDRESS, JAVA_INT, JAVA_INT);
        deviceMemory = library.function("cuDeviceTotalMem_v2", ADDRESS, JAVA_INT);
        deviceAttribute = library.function("cuDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
        contextRetain = library.function("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT);
        contextRelease = library.function("cuDevicePrimaryCtxRelease_v2|cuDevicePrimaryCtxRelease", JAVA_INT);
        contextSet = library.function("cuCtxSetCurrent", JAVA_LONG);
        moduleLoad = library.function("cuModuleLoadData", ADDRESS, ADDRESS);
        moduleUnload = library.function("cuModuleUnload", JAVA_LONG);
        moduleFunction = library.function("cuModuleGetFunction", ADDRESS, JAVA_LONG, ADDRESS);
        functionSet = library.function("cuFuncSetAttribute", JAVA_LONG, JAVA_INT, JAVA_INT);
        functionGet = library.function("cuFuncGetAttribute", ADDRESS, JAVA_INT, JAVA_LONG);
        functionParameter = library.optional(FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS), "cuFuncGetParamInfo");
        occupancy = library.function("cuOccupancyMaxActiveBlocksPerMultiprocessor", ADDRESS, JAVA_LONG, JAVA_INT, JAVA_LONG);
        memoryInfo = library.function("cuMemGetInfo_v2", ADDRESS, ADDRESS);
        memoryAllocate = library.function("cuMemAlloc_v2", ADDRESS, JAVA_LONG);
        memoryFree = library.function("cuMemFree_v2", JAVA_LONG);
        hostAllocate = library.function("cuMemHostAlloc", ADDRESS, JAVA_LONG, JAVA_INT);
        hostFree = library.function("cuMemFreeHost", JAVA_LONG);
        copyToDevice = library.function("cuMemcpyHtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
        copyToHost = library.function("cuMemcpyDtoHAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
        copyOnDevice = library.function("cuMemcpyDtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
        fill = library.function("cuMemsetD8Async", JAVA_LONG, JAVA_BYTE, JAVA_LONG, JAVA_LONG);
        streamCreate = library.function("cuStreamCreate", ADDRESS, JAVA_INT);
        streamDestroy = library.function("cuStreamDestroy_v2", JAVA_LONG);
        streamSynchronize = library.function("cuStreamSynchronize", JAVA_LONG);
        eventCreate = library.function("cuEventCreate", ADDRESS, JAVA_INT);
        eventDestroy = library.function("cuEventDestroy_v2", JAVA_LONG);
        eventRecord = library.function("cuEventRecord", JAVA_LONG, JAVA_LONG);
        eventSynchronize = library.function("cuEventSynchronize", JAVA_LONG);
        launch = library.function("cuLaunchKernel", JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
                JAVA_LONG, ADDRESS, ADDRESS);
        captureBegin = library.function("cuStreamBeginCapture_v2", JAVA_LONG, JAVA_INT);
        captureEnd = library.function("cuStreamEndCapture", JAVA_LONG, ADDRESS);
        graphNodes = library.function("cuGraphGetNodes", JAVA_LONG, ADDRESS, ADDRESS);
        graphInstantiate = library.function("cuGraphInstantiateWithFlags", ADDRESS, JAVA_LONG, JAVA_LONG);
        graphLaunch = library.function("cuGraphLaunch", JAVA_LONG, JAVA_LONG);
        graphDestroy = library.function("cuGraphDestroy", JAVA_LONG);
        graphExecDestroy = library.function("cuGraphExecDestroy", JAVA_LONG);
    }

    /** A native call that returns a status. */
    @FunctionalInterface
    private interface Call {
        int run() throws Throwable;
    }

    /** A native call that writes a result of at most 8 bytes to {@code out} and returns a status. */
    @FunctionalInterface
    private interface Query {
        int run(MemorySegment out) throws Throwable;
    }

    private void check(String name, Call call) {
        int status;
        try {
            status = call.run();
        } catch (Throwable t) {
            throw failed(name, t);
        }
        if (status != 0) {
            throw error(name, status);
        }
    }

    private long query(String name, Query query) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_LONG);
            check(name, () -> query.run(out));
            return out.get(JAVA_LONG, 0);
        }
    }

    static RuntimeException failed(String name, Throwable t) {
        if (t instanceof Error error) {
            throw error;
        }
        return t instanceof RuntimeException r ? r : new IllegalStateException("call of " + name, t);
    }

    /** The exception for a status of the driver. */
    CudaException error(String call, int status) {
        return new CudaException(call, status, text(errorName, status, "error " + status), text(errorString, status, ""));
    }

    @SuppressWarnings("restricted")
    private static String text(MethodHandle function, int status, String unknown) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ADDRESS);
            if ((int) function.invokeExact(status, out) != 0) {
                return unknown;
            }
            MemorySegment text = out.get(ADDRESS, 0);
            return text.address() == 0 ? unknown : text.reinterpret(TEXT_BYTES).getString(0);
        } catch (Throwable t) {
            throw failed("cuGetErrorName", t);
        }
    }

    // devices

    void init() {
        check("cuInit", () -> (int) init.invokeExact(0));
    }

    /** For example 13000 for a driver of CUDA 13.0. */
    int version() {
        return (int) query("cuDriverGetVersion", out -> (int) version.invokeExact(out));
    }

    int deviceCount() {
        return (int) query("cuDeviceGetCount", out -> (int) deviceCount.invokeExact(out));
    }

    int device(int index) {
        return (int) query("cuDeviceGet", out -> (int) deviceGet.invokeExact(out, index));
    }

    String deviceName(int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(NAME_BYTES);
            check("cuDeviceGetName", () -> (int) deviceName.invokeExact(name, NAME_BYTES, device));
            return name.getString(0, StandardCharsets.UTF_8).strip();
        }
    }

    long deviceMemory(int device) {
        return query("cuDeviceTotalMem", out -> (int) deviceMemory.invokeExact(out, device));
    }

    int attribute(int attribute, int device) {
        return (int) query("cuDeviceGetAttribute", out -> (int) deviceAttribute.invokeExact(out, attribute, device));
    }

    long retainContext(int device) {
        return query("cuDevicePrimaryCtxRetain", out -> (int) contextRetain.invokeExact(out, device));
    }

    void releaseContext(int device) {
        check("cuDevicePrimaryCtxRelease", () -> (int) contextRelease.invokeExact(device));
    }

    /** Makes a context the calling thread's. */
    void setContext(long context) {
        check("cuCtxSetCurrent", () -> (int) contextSet.invokeExact(context));
    }

    // modules

    long loadModule(String name, byte[] image) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(image.length + 1L, 16);
            MemorySegment.copy(image, 0, copy, JAVA_BYTE, 0, image.length);
            return query("cuModuleLoadData of " + name, out -> (int) moduleLoad.invokeExact(out, copy));
        }
    }

    void unloadModule(long module) {
        check("cuModuleUnload", () -> (int) moduleUnload.invokeExact(module));
    }

    long function(long module, String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(name);
            return query("cuModuleGetFunction " + name, out -> (int) moduleFunction.invokeExact(out, module, text));
        }
    }

    /** Allows a function so much dynamic shared memory. */
    void setDynamicShared(long function, int bytes) {
        check("cuFuncSetAttribute", () -> (int) functionSet.invokeExact(function, FUNCTION_MAX_DYNAMIC_SHARED, bytes));
    }

    int functionAttribute(int attribute, long function) {
        return (int) query("cuFuncGetAttribute", out -> (int) functionGet.invokeExact(out, attribute, function));
    }

    /** Sizes of a function's parameters, or null where the driver is too old to tell. */
    int[] parameterSizes(long function, int most) {
        if (functionParameter == null) {
            return null;
        }
        int[] sizes = new int[most];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment offset = arena.allocate(JAVA_LONG);
            MemorySegment size = arena.allocate(JAVA_LONG);
            int n = 0;
            while (n < most && (int) functionParameter.invokeExact(function, (long) n, offset, size) == 0) {
                sizes[n++] = (int) size.get(JAVA_LONG, 0);
            }
            return Arrays.copyOf(sizes, n);
        } catch (Throwable t) {
            throw failed("cuFuncGetParamInfo", t);
        }
    }

    int blocksPerMultiprocessor(long function, int threads, int shared) {
        return (int) query("cuOccupancyMaxActiveBlocksPerMultiprocessor",
                out -> (int) occupancy.invokeExact(out, function, threads, (long) shared));
    }

    // memory

    /** Free bytes of the current device. */
    long freeMemory() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment total = arena.allocate(JAVA_LONG);
            return query("cuMemGetInfo", out -> (int) memoryInfo.invokeExact(out, total));
        }
    }

    long allocate(long bytes) {
        return query("cuMemAlloc", out -> (int) memoryAllocate.invokeExact(out, bytes));
    }

    void free(long address) {
        check("cuMemFree", () -> (int) memoryFree.invokeExact(address));
    }

    /** Memory of the host that the device reads and writes directly. */
    @SuppressWarnings("restricted")
    MemorySegment allocateHost(long bytes) {
        return MemorySegment.ofAddress(query("cuMemHostAlloc", out -> (int) hostAllocate.invokeExact(out, bytes, 0))).reinterpret(bytes);
    }

    void freeHost(MemorySegment memory) {
        long address = memory.address();
        check("cuMemFreeHost", () -> (int) hostFree.invokeExact(address));
    }

    void copyToDevice(long to, MemorySegment from, long bytes, long stream) {
        long address = from.address();
        check("cuMemcpyHtoDAsync", () -> (int) copyToDevice.invokeExact(to, address, bytes, stream));
    }

    void copyToHost(MemorySegment to, long from, long bytes, long stream) {
        long address = to.address();
        check("cuMemcpyDtoHAsync", () -> (int) copyToHost.invokeExact(address, from, bytes, stream));
    }

    void copyOnDevice(long to, long from, long bytes, long stream) {
        check("cuMemcpyDtoDAsync", () -> (int) copyOnDevice.invokeExact(to, from, bytes, stream));
    }

    void fill(long to, byte value, long bytes, long stream) {
        check("cuMemsetD8Async", () -> (int) fill.invokeExact(to, value, bytes, stream));
    }

    // streams, events, launches

    /** A stream that does not wait for the default one. */
    long createStream() {
        return query("cuStreamCreate", out -> (int) streamCreate.invokeExact(out, STREAM_NON_BLOCKING));
    }

    void destroyStream(long stream) {
        check("cuStreamDestroy", () -> (int) streamDestroy.invokeExact(stream));
    }

    void synchronize(long stream) {
        check("cuStreamSynchronize", () -> (int) streamSynchronize.invokeExact(stream));
    }

    long createEvent() {
        return query("cuEventCreate", out -> (int) eventCreate.invokeExact(out, EVENT_DISABLE_TIMING));
    }

    void destroyEvent(long event) {
        check("cuEventDestroy", () -> (int) eventDestroy.invokeExact(event));
    }

    void recordEvent(long event, long stream) {
        check("cuEventRecord", () -> (int) eventRecord.invokeExact(event, stream));
    }

    void waitForEvent(long event) {
        check("cuEventSynchronize", () -> (int) eventSynchronize.invokeExact(event));
    }

    /** Submits a launch; {@code parameters} is a table of pointers to the arguments. */
    void launch(String name, long function, Grid g, long stream, MemorySegment parameters) {
        int status;
        try {
            status = (int) launch.invokeExact(function, g.x(), g.y(), g.z(), g.threadsX(), g.threadsY(), g.threadsZ(), g.sharedBytes(),
                    stream, parameters, MemorySegment.NULL);
        } catch (Throwable t) {
            throw failed("cuLaunchKernel", t);
        }
        if (status != 0) {
            throw error("cuLaunchKernel of " + name, status);
        }
    }

    // graphs

    /** Starts to record what is submitted to a stream. Memory may be allocated meanwhile. */
    void beginCapture(long stream) {
        check("cuStreamBeginCapture", () -> (int) captureBegin.invokeExact(stream, CAPTURE_RELAXED));
    }

    long endCapture(long stream) {
        return query("cuStreamEndCapture", out -> (int) captureEnd.invokeExact(stream, out));
    }

    int graphNodes(long graph) {
        return (int) query("cuGraphGetNodes", out -> (int) graphNodes.invokeExact(graph, MemorySegment.NULL, out));
    }

    long instantiate(long graph) {
        return query("cuGraphInstantiate", out -> (int) graphInstantiate.invokeExact(out, graph, 0L));
    }

    void launchGraph(long executable, long stream) {
        check("cuGraphLaunch", () -> (int) graphLaunch.invokeExact(executable, stream));
    }

    void destroyGraph(long graph) {
        check("cuGraphDestroy", () -> (int) graphDestroy.invokeExact(graph));
    }

    void destroyExecutable(long executable) {
        check("cuGraphExecDestroy", () -> (int) graphExecDestroy.invokeExact(executable));
    }
}
