package dev.sequent.backend.cuda;

import dev.sequent.spi.DeviceCode.Function;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Limits;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.Shape;
import java.lang.foreign.Arena;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * One GPU: its context, the one stream in which all of its work runs, its memory and its compiled programs. {@link #run} is the gate:
 * it takes the lock, makes the context the thread's, refuses work after an error that the driver does not forget, and remembers such an
 * error.
 */
final class CudaDevice {
    private static final int MAX_GRID_YZ = 65_535;
    private static final int BLOCKS_PER_MULTIPROCESSOR = 16;

    private final int index;
    private final int ordinal;
    private final Driver driver;
    private final Limits limits;
    private final long context;
    private final long stream;
    private final ReentrantLock lock = new ReentrantLock();
    private final Arena arena = Arena.ofShared();
    private final DeviceMemory memory;
    private final Staging staging;
    private final Programs programs;
    private final Arguments arguments;
    private Set<Storage> captured;
    private CudaException lost;
    private boolean closed;

    /** Opens device {@code index} of the backend, which is the driver's device {@code number}. */
    CudaDevice(int index, int number, Libraries libraries, CudaOptions options) {
        this.index = index;
        this.driver = libraries.driver();
        this.ordinal = driver.device(number);
        this.limits = limits(driver, ordinal);
        this.context = driver.retainContext(ordinal);
        driver.setContext(context);
        this.stream = driver.createStream();
        this.memory = new DeviceMemory(driver, stream, options, limits.memoryBytes());
        this.staging = new Staging(driver, stream);
        this.programs = new Programs(this, libraries.nvrtc(), new KernelCache(options.cache()), 10 * limits.major() + limits.minor());
        this.arguments = new Arguments(this, arena);
    }

    private static Limits limits(Driver driver, int device) {
        return new Limits(driver.deviceName(device), driver.attribute(Driver.ATTRIBUTE_MAJOR, device),
                driver.attribute(Driver.ATTRIBUTE_MINOR, device), driver.attribute(Driver.ATTRIBUTE_MULTIPROCESSORS, device),
                driver.attribute(Driver.ATTRIBUTE_WARP_SIZE, device), driver.attribute(Driver.ATTRIBUTE_MAX_THREADS, device),
                driver.attribute(Driver.ATTRIBUTE_SHARED_PER_BLOCK, device),
                driver.attribute(Driver.ATTRIBUTE_SHARED_PER_MULTIPROCESSOR, device),
                driver.attribute(Driver.ATTRIBUTE_REGISTERS_PER_MULTIPROCESSOR, device),
                driver.attribute(Driver.ATTRIBUTE_L2_BYTES, device), driver.deviceMemory(device));
    }

    int index() {
        return index;
    }

    Driver driver() {
        return driver;
    }

    Limits limits() {
        return limits;
    }

    long stream() {
        return stream;
    }

    DeviceMemory memory() {
        return memory;
    }

    Staging staging() {
        return staging;
    }

    // the gate

    /** Runs {@code body} with the lock held and this device's context current. */
    <T> T run(String op, Supplier<T> body) {
        lock.lock();
        try {
            checkUsable(op);
            driver.setContext(context);
            return body.get();
        } catch (CudaException e) {
            if (e.isSticky() && lost == null) {
                lost = e;
            }
            throw e;
        } finally {
            lock.unlock();
        }
    }

    private void checkUsable(String op) {
        if (closed) {
            throw new BackendException(op, "an open backend", "the CUDA backend after close()");
        }
        if (lost != null) {
            throw new BackendException("[" + op + "] expected a usable device, given cuda:" + index
                    + ", which an earlier error made unusable for this process: " + lost.getMessage(), lost);
        }
    }

    /** Runs bookkeeping with the lock held; also on a device that is lost or closed, where there is nothing left to do. */
    void locked(Runnable body) {
        lock.lock();
        try {
            if (!closed && lost == null) {
                driver.setContext(context);
                body.run();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Whether {@link #run} would refuse because of an earlier error. */
    boolean isLost() {
        return lost != null;
    }

    // what operations need; called within run

    /** An uninitialised tensor in row-major order. */
    CudaHandle allocate(String op, Shape shape, DType dtype) {
        return allocate(op, shape, dtype, shape.strides());
    }

    /** An uninitialised tensor whose elements lie without gaps in the order that {@code strides} say. */
    CudaHandle allocate(String op, Shape shape, DType dtype, long[] strides) {
        if (shape.size() > Long.MAX_VALUE / dtype.bytes()) {
            throw new OutOfDeviceMemoryException(op, "a request that fits", dtype + shape.toString());
        }
        Storage storage = new Storage(this, memory.allocate(op, shape.size() * dtype.bytes()));
        return new CudaHandle(storage, storage.address(), shape, dtype, strides);
    }

    CudaScratch scratch(String op, long bytes) {
        return new CudaScratch(new Storage(this, memory.allocate(op, bytes)), bytes);
    }

    Map<String, Function> functions(Source source) {
        return programs.functions(source);
    }

    /** Submits a launch. */
    void launch(CudaFunction function, Grid grid, Object... args) {
        if (grid.isEmpty()) {
            return;
        }
        check(function, grid);
        function.allowShared(grid.sharedBytes());
        driver.launch(function.name(), function.handle(), grid, stream, arguments.of(function, args));
    }

    private void check(CudaFunction function, Grid g) {
        long threads = (long) g.threadsX() * g.threadsY() * g.threadsZ();
        boolean fits = g.x() > 0 && g.y() > 0 && g.z() > 0 && g.y() <= MAX_GRID_YZ && g.z() <= MAX_GRID_YZ && g.threadsX() > 0
                && g.threadsY() > 0 && g.threadsZ() > 0 && threads <= limits.threadsPerBlock() && g.sharedBytes() >= 0
                && g.sharedBytes() <= limits.sharedBytesPerBlock();
        if (!fits) {
            throw new BackendException("launch " + function.name(), "a grid of at most 2^31 - 1 x 65535 x 65535 blocks with 1 to "
                    + limits.threadsPerBlock() + " threads and " + limits.sharedBytesPerBlock() + " bytes of shared memory", g.toString());
        }
    }

    /**
     * Blocks of at most {@code threads} threads for kernels that stride by the grid: enough for {@code work} items, but no more than keeps
     * every multiprocessor busy.
     */
    Grid grid(long work, int threads) {
        int block = (int) Math.min(threads, (work + limits.warpSize() - 1) / limits.warpSize() * limits.warpSize());
        return work == 0 ? Grid.of(0, threads) : Grid.of((int) Math.min((work + block - 1) / block,
                (long) BLOCKS_PER_MULTIPROCESSOR * limits.multiprocessors()), block);
    }

    /** A block of {@code threads} threads for each of {@code work} items, but no more than keeps every multiprocessor busy. */
    Grid blocks(long work, int threads) {
        return Grid.of((int) Math.min(work, (long) BLOCKS_PER_MULTIPROCESSOR * limits.multiprocessors()), threads);
    }

    void synchronize() {
        if (captured != null) {
            throw new BackendException("synchronize", "no waiting while work is recorded for a graph", "a capture in progress");
        }
        driver.synchronize(stream);
    }

    // capture

    /** Recorded work must keep what it refers to: storage that is not the graph's own lives as long as the graph. */
    void use(Storage storage) {
        if (captured != null && !storage.isGraphs() && captured.add(storage)) {
            storage.retain();
        }
    }

    boolean isCapturing() {
        return captured != null;
    }

    /** From now on {@link #use} keeps storages, in the set returned. */
    Set<Storage> beginCapture() {
        captured = Collections.newSetFromMap(new IdentityHashMap<>());
        return captured;
    }

    void endCapture() {
        captured = null;
    }

    /** Waits for all work and frees everything; on a lost device, whose memory the driver frees with the process, it only forgets. */
    void close() {
        lock.lock();
        try {
            if (closed) {
                return;
            }
            if (lost == null) {
                driver.setContext(context);
                driver.synchronize(stream);
                programs.close();
                staging.close();
                memory.close();
                driver.destroyStream(stream);
                driver.releaseContext(ordinal);
            }
            arena.close();
            closed = true;
        } catch (CudaException e) {
            closed = true;
            throw e;
        } finally {
            lock.unlock();
        }
    }
}
