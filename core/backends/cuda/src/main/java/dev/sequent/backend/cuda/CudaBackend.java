package dev.sequent.backend.cuda;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendGuard;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.GraphCapture;
import dev.sequent.spi.Layout;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.DeviceMismatchException;
import dev.sequent.type.Shape;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * The operations of a backend on NVIDIA GPUs. Every method here does the bookkeeping (live handles, one device, its lock); the work is in
 * {@link Elementwise}, {@link Movement}, {@link Reductions}, {@link Indexing} and {@link Matmul}.
 *
 * <p>Calls return when the work has been submitted; only {@link #download} and {@link #synchronize} wait. Thread-safe: calls on one device
 * take turns.
 */
public final class CudaBackend implements Backend, DeviceCode, GraphCapture {
    private final Libraries libraries;
    private final List<Unit> units = new ArrayList<>();

    CudaBackend(CudaOptions options, Libraries libraries) {
        this.libraries = libraries;
        int count = libraries.driver().deviceCount();
        for (int number = 0; number < count; number++) {
            if (Libraries.refusal(libraries.driver(), libraries.nvrtc(), number) == null) {
                units.add(new Unit(new CudaDevice(units.size(), number, libraries, options), libraries, options));
            }
        }
    }

    /** A device with the operations on it. */
    private static final class Unit {
        final CudaDevice device;
        final Elementwise elementwise;
        final Movement movement;
        final Reductions reductions;
        final Indexing indexing;
        final Matmul matmul;

        Unit(CudaDevice device, Libraries libraries, CudaOptions options) {
            this.device = device;
            Kernels kernels = new Kernels(device);
            elementwise = new Elementwise(device, kernels);
            movement = new Movement(device, kernels);
            reductions = new Reductions(device, kernels);
            indexing = new Indexing(device, kernels, movement);
            matmul = new Matmul(device, libraries.blas(), options.tf32(), kernels, movement, elementwise);
        }

        void close() {
            if (!device.isLost()) {
                device.locked(matmul::close);
            }
            device.close();
        }
    }

    // identity

    @Override
    public String name() {
        return CudaBackendProvider.NAME;
    }

    @Override
    public int deviceCount() {
        return units.size();
    }

    @Override
    public Capabilities capabilities(int device) {
        return on("capabilities", device, unit -> {
            Limits l = unit.device.limits();
            String description = l.name() + ", compute capability " + l.major() + "." + l.minor() + ", " + l.multiprocessors()
                    + " multiprocessors, " + (l.memoryBytes() >> 20) + " MiB; " + libraries.versions();
            return new Capabilities(description, EnumSet.allOf(DType.class), true);
        });
    }

    @Override
    public MemoryStats memory(int device) {
        return on("memory", device, unit -> unit.device.memory().stats());
    }

    @Override
    public void synchronize(int device) {
        on("synchronize", device, unit -> {
            unit.device.synchronize();
            return null;
        });
    }

    @Override
    public <T> Optional<T> facility(Class<T> type) {
        return on("facility", 0, _ -> type.isInstance(this) && type.isInterface() && type != Backend.class && type != AutoCloseable.class
                ? Optional.of(type.cast(this))
                : Optional.empty());
    }

    @Override
    public void close() {
        units.forEach(Unit::close);
    }

    // storage

    @Override
    public TensorHandle full(Shape shape, DType dtype, double value, int device) {
        return on("full", device, unit -> {
            CudaHandle y = unit.device.allocate("full", shape, dtype);
            unit.elementwise.fill(y, value);
            return y;
        });
    }

    @Override
    public TensorHandle upload(ByteBuffer source, Shape shape, DType dtype, int device) {
        return on("upload", device, unit -> {
            BackendGuard.checkBytes("upload", shape, dtype, source);
            CudaHandle y = unit.device.allocate("upload", shape, dtype);
            unit.device.staging().upload(source, y.address());
            return y;
        });
    }

    @Override
    public void download(TensorHandle x, ByteBuffer target) {
        with("download", x, (unit, a) -> {
            BackendGuard.checkBytes("download", a.shape(), a.dtype(), target);
            if (unit.device.isCapturing()) {
                throw new BackendException("download", "no look at values while work is recorded for a graph", "a capture in progress");
            }
            CudaHandle dense = unit.movement.contiguous("download", a);
            unit.device.staging().download(dense.address(), target);
            dense.release();
            return null;
        });
    }

    /** Works on a lost device, too, so that programs can clean up after its error. */
    @Override
    public void release(TensorHandle x) {
        CudaHandle a = own("release", x);
        if (a.device().isLost()) {
            return;
        }
        a.device().run("release", () -> {
            a.release();
            return null;
        });
    }

    @Override
    public TensorHandle share(TensorHandle x) {
        return with("share", x, (_, a) -> a.share());
    }

    @Override
    public void write(TensorHandle target, long[] start, TensorHandle source) {
        with("write", target, (unit, y) -> {
            unit.movement.paste("write", y, start, operand("write", unit, source));
            return null;
        });
    }

    // generation

    @Override
    public TensorHandle iota(long n, DType dtype, int device) {
        return on("iota", device, unit -> unit.elementwise.iota(n, dtype));
    }

    @Override
    public TensorHandle randomUniform(Shape shape, DType dtype, long seed, long offset, int device) {
        return on("randomUniform", device, unit -> unit.elementwise.uniform(shape, dtype, seed, offset));
    }

    // elementwise

    @Override
    public TensorHandle unary(UnaryOp op, TensorHandle x) {
        return with(op.name(), x, (unit, a) -> unit.elementwise.unary(op, a));
    }

    @Override
    public TensorHandle binary(BinaryOp op, TensorHandle a, TensorHandle b) {
        return with(op.name(), a, (unit, x) -> unit.elementwise.binary(op, x, operand(op.name(), unit, b)));
    }

    @Override
    public TensorHandle binaryScalar(BinaryOp op, TensorHandle x, double s, boolean reversed) {
        return with(op.name(), x, (unit, a) -> unit.elementwise.scalar(op, a, s, reversed));
    }

    @Override
    public TensorHandle compare(CompareOp op, TensorHandle a, TensorHandle b) {
        return with(op.name(), a, (unit, x) -> unit.elementwise.compare(op, x, operand(op.name(), unit, b)));
    }

    @Override
    public TensorHandle where(TensorHandle condition, TensorHandle a, TensorHandle b) {
        return with("where", condition, (unit, c) -> unit.elementwise.where(c, operand("where", unit, a), operand("where", unit, b)));
    }

    @Override
    public TensorHandle cast(TensorHandle x, DType dtype) {
        return with("cast", x, (unit, a) -> a.dtype() == dtype ? a.share() : unit.elementwise.cast(a, dtype));
    }

    // reductions and scans

    @Override
    public TensorHandle reduce(ReduceOp op, TensorHandle x, int[] axes) {
        return with(op.name(), x, (unit, a) -> axes.length == 0 ? a.share() : unit.reductions.reduce(op, a, axes));
    }

    @Override
    public TensorHandle argReduce(ReduceOp op, TensorHandle x, int axis) {
        return with("argReduce", x, (unit, a) -> unit.reductions.argReduce(op, a, axis));
    }

    @Override
    public TensorHandle scan(ReduceOp op, TensorHandle x, int axis, boolean reverse) {
        return with("scan", x, (unit, a) -> unit.reductions.scan(op, a, axis, reverse));
    }

    // movement

    @Override
    public TensorHandle reshape(TensorHandle x, Shape shape) {
        return with("reshape", x, (unit, a) -> {
            if (a.contiguous()) {
                return a.view(0, shape, shape.strides());
            }
            long[] strides = Layout.reshape(a.shape(), a.strides(), shape);
            return strides != null ? a.view(0, shape, strides) : unit.movement.dense("reshape", a).reshaped(shape);
        });
    }

    @Override
    public TensorHandle permute(TensorHandle x, int[] order) {
        return with("permute", x, (_, a) -> a.view(0, Shape.of(Layout.permute(a.shape().toArray(), order)),
                Layout.permute(a.strides(), order)));
    }

    @Override
    public TensorHandle broadcastTo(TensorHandle x, Shape shape) {
        return with("broadcastTo", x, (_, a) -> a.view(0, shape, Layout.broadcast(a.shape(), a.strides(), shape)));
    }

    @Override
    public TensorHandle slice(TensorHandle x, long[] start, long[] stop) {
        return with("slice", x, (_, a) -> {
            Shape shape = Shape.of(IntStream.range(0, start.length).mapToLong(axis -> stop[axis] - start[axis]).toArray());
            long offset = 0;
            for (int axis = 0; axis < start.length && shape.size() > 0; axis++) {
                offset += start[axis] * a.strides()[axis];
            }
            return a.view(offset, shape, a.strides());
        });
    }

    @Override
    public TensorHandle pad(TensorHandle x, long[] before, long[] after, double value) {
        return with("pad", x, (unit, a) -> {
            long[] dims = a.shape().toArray();
            for (int axis = 0; axis < dims.length; axis++) {
                dims[axis] += before[axis] + after[axis];
            }
            CudaHandle y = unit.device.allocate("pad", Shape.of(dims), a.dtype());
            unit.elementwise.fill(y, value);
            unit.movement.paste("pad", y, before, a);
            return y;
        });
    }

    @Override
    public TensorHandle flip(TensorHandle x, int[] axes) {
        return with("flip", x, (unit, a) -> axes.length == 0 ? a.share() : unit.movement.flip(a, axes));
    }

    @Override
    public TensorHandle concat(TensorHandle[] xs, int axis) {
        return with("concat", xs[0], (unit, first) -> {
            CudaHandle[] parts = new CudaHandle[xs.length];
            for (int i = 0; i < parts.length; i++) {
                parts[i] = operand("concat", unit, xs[i]);
            }
            CudaHandle y = unit.device.allocate("concat", Movement.joined(parts, axis), first.dtype());
            long[] start = new long[y.shape().rank()];
            for (CudaHandle part : parts) {
                unit.movement.paste("concat", y, start, part);
                start[axis] += part.shape().dim(axis);
            }
            return y;
        });
    }

    @Override
    public TensorHandle contiguous(TensorHandle x) {
        return with("contiguous", x, (unit, a) -> unit.movement.contiguous("contiguous", a));
    }

    // indexing

    @Override
    public TensorHandle gather(TensorHandle x, int axis, TensorHandle index) {
        return with("gather", x, (unit, a) -> unit.indexing.gather(a, axis, operand("gather", unit, index)));
    }

    @Override
    public TensorHandle scatterAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return with("scatterAdd", x, (unit, a) -> unit.indexing.scatterAdd(a, axis, operand("scatterAdd", unit, index),
                operand("scatterAdd", unit, source)));
    }

    @Override
    public TensorHandle indexSelect(TensorHandle x, int axis, TensorHandle index) {
        return with("indexSelect", x, (unit, a) -> unit.indexing.indexSelect(a, axis, operand("indexSelect", unit, index)));
    }

    @Override
    public TensorHandle indexAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return with("indexAdd", x, (unit, a) -> unit.indexing.indexAdd(a, axis, operand("indexAdd", unit, index),
                operand("indexAdd", unit, source)));
    }

    @Override
    public TensorHandle topK(TensorHandle x, int k) {
        return with("topK", x, (unit, a) -> {
            CudaHandle rows = unit.movement.contiguous("topK", a);
            CudaHandle y = unit.reductions.topK(rows, k);
            rows.release();
            return y;
        });
    }

    // contraction

    @Override
    public TensorHandle matmul(TensorHandle a, TensorHandle b, boolean transposeA, boolean transposeB) {
        return with("matmul", a, (unit, x) -> unit.matmul.product(x, operand("matmul", unit, b), transposeA, transposeB));
    }

    // device code

    @Override
    public Limits limits(int device) {
        return on("limits", device, unit -> unit.device.limits());
    }

    @Override
    public Map<String, Function> functions(Source source, int device) {
        return on("functions of " + source.name(), device, unit -> unit.device.functions(source));
    }

    @Override
    public TensorHandle allocate(Shape shape, DType dtype, int device) {
        return on("allocate", device, unit -> unit.device.allocate("allocate", shape, dtype));
    }

    @Override
    public Scratch scratch(long bytes, int device) {
        return on("scratch", device, unit -> unit.device.scratch("scratch", bytes));
    }

    @Override
    public View view(TensorHandle handle) {
        return with("view", handle, (_, x) -> new View(x.strides().clone(), x.contiguous()));
    }

    @Override
    public void launch(Function function, Grid grid, Object... arguments) {
        if (!(function instanceof CudaFunction f) || units.stream().noneMatch(unit -> unit.device == f.owner())) {
            throw new DeviceMismatchException("launch", "a function of this backend", String.valueOf(function));
        }
        f.owner().run("launch " + f.name(), () -> {
            f.owner().launch(f, grid, arguments);
            return null;
        });
    }

    // graphs

    @Override
    public Graph capture(int device, Runnable body) {
        return on("capture", device, unit -> CudaGraph.capture(unit.device, body));
    }

    /** The one who records holds the device's lock, so another thread's question waits until the recording has ended. */
    @Override
    public boolean capturing(int device) {
        return on("capturing", device, unit -> unit.device.isCapturing());
    }

    // what the operations share

    private <T> T on(String op, int device, java.util.function.Function<Unit, T> body) {
        if (device < 0 || device >= units.size()) {
            throw new BackendException(op, "a device from 0 to " + (units.size() - 1), "device " + device);
        }
        Unit unit = units.get(device);
        return unit.device.run(op, () -> body.apply(unit));
    }

    private <T> T with(String op, TensorHandle x, BiFunction<Unit, CudaHandle, T> body) {
        CudaHandle a = own(op, x);
        Supplier<T> work = () -> {
            a.check(op);
            return body.apply(units.get(a.device().index()), a);
        };
        return a.device().run(op, work);
    }

    private CudaHandle own(String op, TensorHandle x) {
        if (x instanceof CudaHandle handle && handle.device().index() < units.size()
                && units.get(handle.device().index()).device == handle.device()) {
            return handle;
        }
        throw BackendGuard.foreign(op, x);
    }

    private CudaHandle operand(String op, Unit unit, TensorHandle x) {
        CudaHandle handle = own(op, x);
        if (handle.device() != unit.device) {
            throw new DeviceMismatchException(op, "operands on one device",
                    "cuda:" + unit.device.index() + " and cuda:" + handle.device().index());
        }
        handle.check(op);
        return handle;
    }
}
