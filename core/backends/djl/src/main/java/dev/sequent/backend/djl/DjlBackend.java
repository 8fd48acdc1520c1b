package dev.sequent.backend.djl;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendGuard;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * The operations over DJL's arrays: each one holds its operands, charges for its result, calls DJL, and wraps what comes back. Movement
 * operations are PyTorch's views. Thread-safe.
 */
final class DjlBackend implements Backend {
    /** Largest length that DJL's range, whose bounds are floats, counts exactly. */
    private static final long FLOAT_RANGE = 1L << 24;

    private final List<DjlDevice> devices;
    private final List<String> descriptions;
    private final BackendGuard guard = new BackendGuard("the DJL backend");

    DjlBackend(DjlEngine engine, long memoryLimit) {
        descriptions = engine.descriptions();
        List<PtNDManager> managers = engine.managers();
        devices = IntStream.range(0, managers.size())
                .mapToObj(i -> new DjlDevice(this, i, managers.get(i), new Account(memoryLimit))).toList();
    }

    // identity

    @Override
    public String name() {
        return DjlBackendProvider.NAME;
    }

    @Override
    public int deviceCount() {
        return devices.size();
    }

    @Override
    public Capabilities capabilities(int device) {
        device("capabilities", device);
        return new Capabilities(descriptions.get(device), Types.SUPPORTED, true, Detours.all());
    }

    @Override
    public MemoryStats memory(int device) {
        return device("memory", device).account().stats();
    }

    /** On the CPU every operation is complete when it returns; on a GPU a value is fetched, which waits for everything before it. */
    @Override
    public void synchronize(int device) {
        DjlDevice found = device("synchronize", device);
        if (!found.isHost()) {
            run(new Call(found, "synchronize"), c -> c.toHost(c.keep(c.full(Shape.of(1), 0, DType.F32))));
        }
    }

    @Override
    public <T> Optional<T> facility(Class<T> type) {
        guard.checkOpen("facility");
        return Optional.empty();
    }

    @Override
    public void close() {
        if (guard.close()) {
            for (DjlDevice device : devices) {
                device.manager().close();
            }
        }
    }

    /** Arrays that DJL holds for a device: what tests compare with the handles that are live. */
    int attachedArrays(int device) {
        return device("memory", device).attachedArrays();
    }

    // storage

    @Override
    public TensorHandle full(Shape shape, DType dtype, double value, int device) {
        return run(call("full", device), c -> {
            c.reserve(shape, dtype);
            return c.dense(c.full(shape, value, dtype), shape, dtype);
        });
    }

    @Override
    public TensorHandle upload(ByteBuffer source, Shape shape, DType dtype, int device) {
        return run(call("upload", device), c -> {
            c.reserve(shape, dtype);
            BackendGuard.checkBytes("upload", shape, dtype, source);
            PtNDArray y = c.hostArray(shape, dtype);
            if (source.hasRemaining()) {
                MemorySegment to = c.memory(y, shape, dtype);
                to.copyFrom(MemorySegment.ofBuffer(source));
                if (dtype == DType.BOOL) {
                    HostLoops.normalise(to);
                }
            }
            return c.dense(c.toDevice(y), shape, dtype);
        });
    }

    @Override
    public void download(TensorHandle x, ByteBuffer target) {
        run(new Call(this, "download"), c -> {
            PtNDArray a = c.dense(x);
            BackendGuard.checkBytes("download", x.shape(), x.dtype(), target);
            if (target.hasRemaining()) {
                MemorySegment.ofBuffer(target).copyFrom(c.memory(c.toHost(a), x.shape(), x.dtype()));
            }
            return null;
        });
    }

    @Override
    public void release(TensorHandle x) {
        run(new Call(this, "release"), _ -> {
            own("release", x).release("release");
            return null;
        });
    }

    @Override
    public TensorHandle share(TensorHandle x) {
        return run(new Call(this, "share"), c -> c.share(x, c.cell(x)));
    }

    @Override
    public void write(TensorHandle target, long[] start, TensorHandle source) {
        run(new Call(this, "write"), c -> {
            PtNDArray to = c.array(target);
            PtNDArray from = c.array(source);
            if (source.shape().size() > 0) {
                Call.paste(to, start.clone(), from, source.shape());
            }
            return null;
        });
    }

    // generation

    @Override
    public TensorHandle iota(long n, DType dtype, int device) {
        return run(call("iota", device), c -> {
            Shape shape = Shape.of(n);
            c.reserve(shape, dtype);
            PtNDArray count;
            if (n <= FLOAT_RANGE) {
                count = JniUtils.arange(c.device().manager(), 0, n, 1, c.type(DType.I64), c.device().device(), SparseFormat.DENSE);
            } else {
                PtNDArray ones = c.keep(c.full(shape, 1, DType.I64));
                count = JniUtils.sub(c.keep(JniUtils.cumSum(ones, 0)), c.scalar(1, DType.I64));
            }
            return c.dense(dtype == DType.I64 ? count : c.to(c.keep(count), dtype), shape, dtype);
        });
    }

    @Override
    public TensorHandle randomUniform(Shape shape, DType dtype, long seed, long offset, int device) {
        return run(call("randomUniform", device), c -> {
            c.reserve(shape, dtype);
            PtNDArray y = c.hostArray(shape, dtype);
            HostLoops.uniform(c.memory(y, shape, dtype), shape.size(), dtype, seed, offset);
            return c.dense(c.toDevice(y), shape, dtype);
        });
    }

    // elementwise

    @Override
    public TensorHandle unary(UnaryOp op, TensorHandle x) {
        return run(new Call(this, op.name()), c -> {
            if (Elementwise.isInaccurate(op, x.dtype())) {
                PtNDArray a = c.toHost(c.dense(x));
                c.reserve(x.shape(), x.dtype());
                PtNDArray y = c.hostArray(x.shape(), x.dtype());
                HostLoops.doubles(op, c.memory(a, x.shape(), x.dtype()), c.memory(y, x.shape(), x.dtype()), x.shape().size());
                return c.dense(c.toDevice(y), x.shape(), x.dtype());
            }
            PtNDArray a = c.array(x);
            DType compute = Elementwise.compute(x.dtype());
            c.reserve(x.shape(), x.dtype());
            PtNDArray y = Elementwise.unary(c, op, c.in(a, x.dtype(), compute), compute);
            return c.elementwise(Elementwise.narrow(c, y, compute, x.dtype()), x.shape(), x.dtype());
        });
    }

    @Override
    public TensorHandle binary(BinaryOp op, TensorHandle a, TensorHandle b) {
        return run(new Call(this, op.name()), c -> {
            if (a.dtype().isInteger() && !Elementwise.isExact(op)) {
                PtNDArray x = c.dense(a);
                PtNDArray z = c.dense(b);
                c.reserve(a.shape(), a.dtype());
                return integers(c, op, a, c.toHost(x), a.shape(), c.toHost(z), b.shape());
            }
            DType compute = Elementwise.compute(a.dtype());
            PtNDArray x = c.in(c.array(a), a.dtype(), compute);
            PtNDArray z = c.in(c.array(b), b.dtype(), compute);
            return arithmetic(c, op, a, compute, x, z);
        });
    }

    @Override
    public TensorHandle binaryScalar(BinaryOp op, TensorHandle x, double s, boolean reversed) {
        return run(new Call(this, op.name()), c -> {
            Shape one = Shape.of();
            if (x.dtype().isInteger() && !Elementwise.isExact(op)) {
                PtNDArray a = c.toHost(c.dense(x));
                PtNDArray scalar = c.toHost(c.scalar(s, x.dtype()));
                c.reserve(x.shape(), x.dtype());
                return reversed ? integers(c, op, x, scalar, one, a, x.shape()) : integers(c, op, x, a, x.shape(), scalar, one);
            }
            // the scalar may need more bits than I32 has, though the result keeps its low ones only
            DType compute = x.dtype() == DType.I32 && (int) s != (long) s ? DType.I64 : Elementwise.compute(x.dtype());
            PtNDArray a = c.in(c.array(x), x.dtype(), compute);
            PtNDArray scalar = c.scalar(s, compute);
            return reversed ? arithmetic(c, op, x, compute, scalar, a) : arithmetic(c, op, x, compute, a, scalar);
        });
    }

    /** The result, like {@code x}, of {@code op} on two arrays of dtype {@code compute}. */
    private static TensorHandle arithmetic(Call c, BinaryOp op, TensorHandle x, DType compute, PtNDArray a, PtNDArray b) {
        c.reserve(x.shape(), x.dtype());
        PtNDArray y = Elementwise.binary(c, op, a, b);
        return c.elementwise(Elementwise.narrow(c, y, compute, x.dtype()), x.shape(), x.dtype());
    }

    private static TensorHandle integers(Call c, BinaryOp op, TensorHandle x, PtNDArray a, Shape shapeA, PtNDArray b, Shape shapeB) {
        DType dtype = x.dtype();
        PtNDArray y = c.hostArray(x.shape(), dtype);
        HostLoops.integers(op, dtype, c.memory(a, shapeA, dtype), shapeA.rank() == 0, c.memory(b, shapeB, dtype), shapeB.rank() == 0,
                c.memory(y, x.shape(), dtype), x.shape().size());
        return c.dense(c.toDevice(y), x.shape(), dtype);
    }

    @Override
    public TensorHandle compare(CompareOp op, TensorHandle a, TensorHandle b) {
        return run(new Call(this, op.name()), c -> {
            PtNDArray x = c.array(a);
            PtNDArray z = c.array(b);
            c.reserve(a.shape(), DType.BOOL);
            return c.elementwise(Elementwise.compare(op, x, z), a.shape(), DType.BOOL);
        });
    }

    @Override
    public TensorHandle where(TensorHandle condition, TensorHandle a, TensorHandle b) {
        return run(new Call(this, "where"), c -> {
            PtNDArray choice = c.array(condition);
            PtNDArray x = c.array(a);
            PtNDArray z = c.array(b);
            c.reserve(a.shape(), a.dtype());
            return c.elementwise(JniUtils.where(choice, x, z), a.shape(), a.dtype());
        });
    }

    @Override
    public TensorHandle cast(TensorHandle x, DType dtype) {
        return run(new Call(this, "cast"), c -> {
            Cell cell = c.cell(x);
            if (dtype == x.dtype()) {
                return c.share(x, cell);
            }
            c.reserve(x.shape(), dtype);
            return c.elementwise(c.to(cell.array(), dtype), x.shape(), dtype);
        });
    }

    // reductions and scans

    @Override
    public TensorHandle reduce(ReduceOp op, TensorHandle x, int[] axes) {
        return run(new Call(this, op.name()), c -> {
            Cell cell = c.cell(x);
            if (axes.length == 0) {
                return c.share(x, cell);
            }
            Shape shape = x.shape();
            for (int axis : axes) {
                shape = shape.with(axis, 1);
            }
            c.reserve(shape, x.dtype());
            if (x.shape().size() == 0 || shape.size() == 0) {
                return c.dense(c.full(shape, op.identity(), x.dtype()), shape, x.dtype());
            }
            DType compute = Reductions.compute(op, x.dtype());
            PtNDArray y = Reductions.reduce(c, op, c.in(cell.array(), x.dtype(), compute), x.shape(), axes);
            return c.result(Elementwise.narrow(c, y, compute, x.dtype()), shape, x.dtype(), null);
        });
    }

    @Override
    public TensorHandle argReduce(ReduceOp op, TensorHandle x, int axis) {
        return run(new Call(this, "argReduce"), c -> {
            PtNDArray a = c.array(x);
            if (x.shape().dim(axis) == 0) {
                throw new ShapeException("argReduce", "at least one element along axis " + axis, x.shape().toString());
            }
            Shape shape = x.shape().with(axis, 1);
            c.reserve(shape, DType.I64);
            if (shape.size() == 0) {
                return c.dense(c.empty(shape, DType.I64), shape, DType.I64);
            }
            PtNDArray wide = c.in(a, x.dtype(), Elementwise.compute(x.dtype()));
            PtNDArray y = op == ReduceOp.MAX ? JniUtils.argMax(wide, axis, true) : JniUtils.argMin(wide, axis, true);
            return c.result(y, shape, DType.I64, null);
        });
    }

    @Override
    public TensorHandle scan(ReduceOp op, TensorHandle x, int axis, boolean reverse) {
        return run(new Call(this, "scan"), c -> {
            Cell cell = c.cell(x);
            if (x.shape().size() == 0) {
                return c.share(x, cell);
            }
            c.reserve(x.shape(), x.dtype());
            DType compute = Reductions.compute(op, x.dtype());
            PtNDArray y = Reductions.scan(c, op, c.in(cell.array(), x.dtype(), compute), compute, axis, x.shape().dim(axis), reverse);
            return c.result(Elementwise.narrow(c, y, compute, x.dtype()), x.shape(), x.dtype(), null);
        });
    }

    // movement

    @Override
    public TensorHandle reshape(TensorHandle x, Shape shape) {
        return run(new Call(this, "reshape"), c -> Movement.reshape(c, x, shape));
    }

    @Override
    public TensorHandle permute(TensorHandle x, int[] order) {
        return run(new Call(this, "permute"), c -> Movement.permute(c, x, order));
    }

    @Override
    public TensorHandle broadcastTo(TensorHandle x, Shape shape) {
        return run(new Call(this, "broadcastTo"), c -> Movement.broadcastTo(c, x, shape));
    }

    @Override
    public TensorHandle slice(TensorHandle x, long[] start, long[] stop) {
        return run(new Call(this, "slice"), c -> Movement.slice(c, x, start, stop));
    }

    @Override
    public TensorHandle pad(TensorHandle x, long[] before, long[] after, double value) {
        return run(new Call(this, "pad"), c -> Movement.pad(c, x, before, after, value));
    }

    @Override
    public TensorHandle flip(TensorHandle x, int[] axes) {
        return run(new Call(this, "flip"), c -> Movement.flip(c, x, axes));
    }

    @Override
    public TensorHandle concat(TensorHandle[] xs, int axis) {
        return run(new Call(this, "concat"), c -> Movement.concat(c, xs, axis));
    }

    @Override
    public TensorHandle contiguous(TensorHandle x) {
        return run(new Call(this, "contiguous"), c -> Movement.contiguous(c, x));
    }

    // indexing

    @Override
    public TensorHandle gather(TensorHandle x, int axis, TensorHandle index) {
        return run(new Call(this, "gather"), c -> Indexing.gather(c, x, axis, index));
    }

    @Override
    public TensorHandle indexSelect(TensorHandle x, int axis, TensorHandle index) {
        return run(new Call(this, "indexSelect"), c -> Indexing.indexSelect(c, x, axis, index));
    }

    @Override
    public TensorHandle scatterAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return run(new Call(this, "scatterAdd"), c -> Indexing.added(c, x, axis, index, source, true));
    }

    @Override
    public TensorHandle indexAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return run(new Call(this, "indexAdd"), c -> Indexing.added(c, x, axis, index, source, false));
    }

    @Override
    public TensorHandle topK(TensorHandle x, int k) {
        return run(new Call(this, "topK"), c -> Indexing.topK(c, x, k));
    }

    // contraction

    @Override
    public TensorHandle matmul(TensorHandle a, TensorHandle b, boolean transposeA, boolean transposeB) {
        return run(new Call(this, "matmul"), c -> {
            PtNDArray x = c.array(a);
            PtNDArray z = c.array(b);
            Shape shape = a.shape().with(-2, a.shape().dim(transposeA ? -1 : -2)).with(-1, b.shape().dim(transposeB ? -2 : -1));
            c.reserve(shape, a.dtype());
            DType compute = a.dtype() == DType.I32 ? DType.I64 : Elementwise.compute(a.dtype());
            PtNDArray left = turned(c, c.in(x, a.dtype(), compute), a.shape().rank(), transposeA);
            PtNDArray right = turned(c, c.in(z, b.dtype(), compute), b.shape().rank(), transposeB);
            // PyTorch multiplies integers on the CPU only
            PtNDArray y = compute != DType.I64 || c.device().isHost() ? JniUtils.matmul(left, right)
                    : c.toDevice(JniUtils.matmul(c.toHost(left), c.toHost(right)));
            return c.dense(Elementwise.narrow(c, y, compute, a.dtype()), shape, a.dtype());
        });
    }

    private static PtNDArray turned(Call c, PtNDArray a, int rank, boolean transpose) {
        return transpose ? c.keep(JniUtils.transpose(a, rank - 2, rank - 1)) : a;
    }

    // what the operations share

    /** Runs an operation and closes its call; errors of DJL become this library's. {@link #close} waits for it. */
    private <R> R run(Call call, Function<Call, R> body) {
        return guard.run(call.op(), () -> {
            try (call) {
                return body.apply(call);
            } catch (EngineException | IllegalStateException error) {
                throw failure(call, error);
            }
        });
    }

    private static RuntimeException failure(Call call, RuntimeException error) {
        String message = String.valueOf(error.getMessage());
        String line = message.lines().findFirst().orElse("").strip();
        if (message.contains("can't allocate memory") || message.contains("not enough memory") || message.contains("out of memory")) {
            return call.device().account().outOfMemory(call.op(), line, "no more from the operating system or the device", error);
        }
        return new BackendException("[" + call.op() + "] expected PyTorch to accept the operands, given its error: " + line, error);
    }

    private Call call(String op, int device) {
        return new Call(device(op, device), op);
    }

    /** The device in whose memory Java works. */
    DjlDevice host() {
        return devices.get(0);
    }

    DjlHandle own(String op, TensorHandle x) {
        if (x instanceof DjlHandle handle && handle.device().backend() == this) {
            return handle;
        }
        throw BackendGuard.foreign(op, x);
    }

    private DjlDevice device(String op, int device) {
        guard.checkDevice(op, device, devices.size());
        return devices.get(device);
    }
}
