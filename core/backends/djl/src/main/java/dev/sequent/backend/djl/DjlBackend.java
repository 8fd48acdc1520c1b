package dev.sequent.backend.djl;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.DeviceMismatchException;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * The operations over DJL's arrays: each one holds its operands, charges for its result, calls DJL, and wraps what comes back. Movement
 * operations are PyTorch's views. Thread-safe.
 */
final class DjlBackend implements Backend {
    /** Largest length that DJL's range, whose bounds are floats, counts exactly. */
    private static final long FLOAT_RANGE = 1L << 24;
    private static final long CLOSE_POLL_NANOS = 50_000;

    private final List<DjlDevice> devices;
    private final List<String> descriptions;
    private final AtomicInteger inFlight = new AtomicInteger();
    private volatile boolean closed;

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
        checkOpen("facility");
        return Optional.empty();
    }

    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        while (inFlight.get() > 0) {
            LockSupport.parkNanos(CLOSE_POLL_NANOS);
        }
        for (DjlDevice device : devices) {
            device.manager().close();
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
            checkBytes("upload", shape, dtype, source);
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
            checkBytes("download", x.shape(), x.dtype(), target);
            if (target.hasRemaining()) {
                MemorySegment.ofBuffer(target).copyFrom(c.memory(c.toHost(a), x.shape(), x.dtype()));
            }
            return null;
        });
    }

    private static void checkBytes(String op, Shape shape, DType dtype, ByteBuffer buffer) {
        if (buffer.remaining() != shape.size() * dtype.bytes()) {
            throw new ShapeException(op, shape.size() * dtype.bytes() + " bytes for " + dtype + shape, buffer.remaining() + " bytes");
        }
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
            return c.elementwise(narrow(c, y, compute, x.dtype()), x.shape(), x.dtype());
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
        return c.elementwise(narrow(c, y, compute, x.dtype()), x.shape(), x.dtype());
    }

    /** {@code y}, computed in {@code from}, as {@code to}: a new array, as {@code y} is one. */
    private static PtNDArray narrow(Call c, PtNDArray y, DType from, DType to) {
        return from == to ? y : c.to(c.keep(y), to);
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
            return c.result(narrow(c, y, compute, x.dtype()), shape, x.dtype(), null);
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
            return c.result(narrow(c, y, compute, x.dtype()), x.shape(), x.dtype(), null);
        });
    }

    // movement

    @Override
    public TensorHandle reshape(TensorHandle x, Shape shape) {
        return run(new Call(this, "reshape"), c -> {
            Cell cell = c.cell(x);
            if (shape.equals(x.shape())) {
                return c.share(x, cell);
            }
            long[] strides = cell.strides() == null ? null : Strides.reshape(x.shape(), cell.strides(), shape);
            if (strides != null) {
                return c.view(cell, JniUtils.reshape(cell.array(), shape.toArray()), shape, x.dtype(), strides);
            }
            // PyTorch may copy here or make a view, and would not say which: with a copy of ours it makes a view of that
            c.reserve(shape, x.dtype());
            PtNDArray dense = c.keep(c.copy(cell.array(), x.shape(), x.dtype()));
            return c.dense(JniUtils.reshape(dense, shape.toArray()), shape, x.dtype());
        });
    }

    @Override
    public TensorHandle permute(TensorHandle x, int[] order) {
        return run(new Call(this, "permute"), c -> {
            Cell cell = c.cell(x);
            Shape shape = Shape.of(Arrays.stream(order).mapToLong(x.shape()::dim).toArray());
            long[] from = cell.strides();
            long[] strides = from == null ? null : Arrays.stream(order).mapToLong(axis -> from[axis]).toArray();
            PtNDArray y = JniUtils.permute(cell.array(), Arrays.stream(order).asLongStream().toArray());
            return c.view(cell, y, shape, x.dtype(), strides);
        });
    }

    @Override
    public TensorHandle broadcastTo(TensorHandle x, Shape shape) {
        return run(new Call(this, "broadcastTo"), c -> {
            Cell cell = c.cell(x);
            if (shape.equals(x.shape())) {
                return c.share(x, cell);
            }
            long[] from = cell.strides();
            int added = shape.rank() - x.shape().rank();
            long[] strides = from == null ? null : IntStream.range(0, shape.rank())
                    .mapToLong(i -> i < added || x.shape().dim(i - added) != shape.dim(i) ? 0 : from[i - added]).toArray();
            return c.view(cell, JniUtils.broadcast(cell.array(), Types.shape(shape)), shape, x.dtype(), strides);
        });
    }

    @Override
    public TensorHandle slice(TensorHandle x, long[] start, long[] stop) {
        return run(new Call(this, "slice"), c -> {
            Cell cell = c.cell(x);
            Shape shape = Shape.of(IntStream.range(0, start.length).mapToLong(axis -> stop[axis] - start[axis]).toArray());
            if (shape.equals(x.shape())) {
                return c.share(x, cell);
            }
            int[] cut = IntStream.range(0, start.length).filter(axis -> shape.dim(axis) != x.shape().dim(axis)).toArray();
            PtNDArray y = cell.array();
            for (int axis : cut) {
                PtNDArray next = JniUtils.slice(y, axis, start[axis], stop[axis], 1);
                y = axis == cut[cut.length - 1] ? next : c.keep(next);
            }
            return c.view(cell, y, shape, x.dtype(), cell.strides());
        });
    }

    @Override
    public TensorHandle pad(TensorHandle x, long[] before, long[] after, double value) {
        return run(new Call(this, "pad"), c -> {
            PtNDArray a = c.array(x);
            int rank = x.shape().rank();
            long[] dims = x.shape().toArray();
            // pairs in PyTorch's order: the last axis comes first
            long[] pairs = new long[2 * rank];
            for (int axis = 0; axis < rank; axis++) {
                dims[axis] += before[axis] + after[axis];
                pairs[2 * (rank - 1 - axis)] = before[axis];
                pairs[2 * (rank - 1 - axis) + 1] = after[axis];
            }
            Shape shape = Shape.of(dims);
            c.reserve(shape, x.dtype());
            if (x.shape().size() == 0 || rank == 0) {
                return c.dense(rank == 0 ? c.copy(a, shape, x.dtype()) : c.full(shape, value, x.dtype()), shape, x.dtype());
            }
            return c.result(JniUtils.pad(a, pairs, Types.stored(value, x.dtype())), shape, x.dtype(), null);
        });
    }

    @Override
    public TensorHandle flip(TensorHandle x, int[] axes) {
        return run(new Call(this, "flip"), c -> {
            Cell cell = c.cell(x);
            if (axes.length == 0) {
                return c.share(x, cell);
            }
            c.reserve(x.shape(), x.dtype());
            return c.elementwise(JniUtils.flip(cell.array(), Arrays.stream(axes).asLongStream().toArray()), x.shape(), x.dtype());
        });
    }

    @Override
    public TensorHandle concat(TensorHandle[] xs, int axis) {
        return run(new Call(this, "concat"), c -> {
            PtNDArray[] parts = Arrays.stream(xs).map(c::array).toArray(PtNDArray[]::new);
            Shape shape = xs[0].shape().with(axis, Arrays.stream(xs).mapToLong(x -> x.shape().dim(axis)).sum());
            c.reserve(shape, xs[0].dtype());
            return c.elementwise(JniUtils.cat(parts, axis), shape, xs[0].dtype());
        });
    }

    @Override
    public TensorHandle contiguous(TensorHandle x) {
        return run(new Call(this, "contiguous"), c -> {
            Cell cell = c.cell(x);
            if (cell.isDense()) {
                return c.share(x, cell);
            }
            c.reserve(x.shape(), x.dtype());
            return c.dense(c.copy(cell.array(), x.shape(), x.dtype()), x.shape(), x.dtype());
        });
    }

    // indexing

    @Override
    public TensorHandle gather(TensorHandle x, int axis, TensorHandle index) {
        return run(new Call(this, "gather"), c -> {
            PtNDArray a = c.array(x);
            PtNDArray at = index(c, index, x.shape().dim(axis));
            c.reserve(index.shape(), x.dtype());
            return c.dense(JniUtils.gather(a, at, axis), index.shape(), x.dtype());
        });
    }

    @Override
    public TensorHandle indexSelect(TensorHandle x, int axis, TensorHandle index) {
        return run(new Call(this, "indexSelect"), c -> {
            PtNDArray a = c.array(x);
            PtNDArray at = index(c, index, x.shape().dim(axis));
            Shape shape = x.shape().with(axis, index.shape().size());
            c.reserve(shape, x.dtype());
            if (axis == 0 && x.shape().rank() == 2) {
                return c.dense(JniUtils.embedding(at, a, false), shape, x.dtype());
            }
            NDIndex rows = new NDIndex().addAllDim(axis).addIndices("{}", at);
            return c.result(JniUtils.indexAdv(a, rows, c.device().manager()), shape, x.dtype(), null);
        });
    }

    /** An index operand as I64. A GPU would not survive an index out of range, so that there they are checked first. */
    private static PtNDArray index(Call c, TensorHandle index, long n) {
        if (c.device().isHost()) {
            return c.in(c.array(index), index.dtype(), DType.I64);
        }
        PtNDArray wide = c.in(c.dense(index), index.dtype(), DType.I64);
        HostLoops.check(c, c.memory(c.toHost(wide), index.shape(), DType.I64), index.shape().size(), n);
        return wide;
    }

    @Override
    public TensorHandle scatterAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return run(new Call(this, "scatterAdd"), c -> added(c, x, axis, index, source, true));
    }

    @Override
    public TensorHandle indexAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return run(new Call(this, "indexAdd"), c -> added(c, x, axis, index, source, false));
    }

    private static TensorHandle added(Call c, TensorHandle x, int axis, TensorHandle index, TensorHandle source, boolean each) {
        DType compute = Elementwise.compute(x.dtype());
        PtNDArray a = c.toHost(c.in(c.dense(x), x.dtype(), compute));
        PtNDArray at = c.toHost(c.in(c.dense(index), index.dtype(), DType.I64));
        PtNDArray b = c.toHost(c.in(c.dense(source), source.dtype(), compute));
        c.reserve(x.shape(), x.dtype());
        PtNDArray y = c.hostArray(x.shape(), compute);
        if (x.shape().size() > 0) {
            MemorySegment sums = c.memory(y, x.shape(), compute);
            sums.copyFrom(c.memory(a, x.shape(), compute));
            long[] sizes = {1, source.shape().dim(axis), 1};
            for (int i = 0; i < source.shape().rank(); i++) {
                sizes[0] *= i < axis ? source.shape().dim(i) : 1;
                sizes[2] *= i > axis ? source.shape().dim(i) : 1;
            }
            HostLoops.add(c, compute, sums, x.shape().dim(axis), c.memory(at, index.shape(), DType.I64), each,
                    c.memory(b, source.shape(), compute), sizes);
        }
        return c.dense(narrow(c, c.toDevice(y), compute, x.dtype()), x.shape(), x.dtype());
    }

    @Override
    public TensorHandle topK(TensorHandle x, int k) {
        return run(new Call(this, "topK"), c -> {
            DType compute = Elementwise.compute(x.dtype());
            PtNDArray a = c.toHost(c.in(c.dense(x), x.dtype(), compute));
            Shape shape = x.shape().with(-1, k);
            c.reserve(shape, DType.I64);
            PtNDArray y = c.hostArray(shape, DType.I64);
            if (shape.size() > 0) {
                int n = Math.toIntExact(x.shape().dim(-1));
                HostLoops.topK(c.memory(a, x.shape(), compute), compute, x.shape().size() / n, n, k, c.memory(y, shape, DType.I64));
            }
            return c.dense(c.toDevice(y), shape, DType.I64);
        });
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
            return c.dense(narrow(c, y, compute, a.dtype()), shape, a.dtype());
        });
    }

    private static PtNDArray turned(Call c, PtNDArray a, int rank, boolean transpose) {
        return transpose ? c.keep(JniUtils.transpose(a, rank - 2, rank - 1)) : a;
    }

    // what the operations share

    /** Runs an operation and closes its call; errors of DJL become this library's. {@link #close} waits for it. */
    private <R> R run(Call call, Function<Call, R> body) {
        inFlight.incrementAndGet();
        try (call) {
            checkOpen(call.op());
            return body.apply(call);
        } catch (EngineException | IllegalStateException error) {
            throw failure(call, error);
        } finally {
            inFlight.decrementAndGet();
        }
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
        throw new DeviceMismatchException(op, "a handle of this backend", x == null ? "null" : x.getClass().getName());
    }

    private void checkOpen(String op) {
        if (closed) {
            throw new BackendException(op, "an open backend", "the DJL backend after close()");
        }
    }

    private DjlDevice device(String op, int device) {
        checkOpen(op);
        if (device < 0 || device >= devices.size()) {
            throw new BackendException(op, "a device in [0, " + devices.size() + ")", "device " + device);
        }
        return devices.get(device);
    }
}
