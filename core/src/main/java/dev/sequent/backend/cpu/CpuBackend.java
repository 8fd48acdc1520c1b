package dev.sequent.backend.cpu;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendGuard;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.HostMemory;
import dev.sequent.spi.Layout;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.Parallel;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;

/**
 * The CPU backend: checks handles and hands them to the classes that do the work. Movement operations are views wherever strides can
 * express them. Thread-safe.
 */
final class CpuBackend implements Backend, HostMemory {
    /** 16-bit floats are computed in F32 and broadcast operands stay single elements. */
    private static final Elementwise.Mode ARITHMETIC = new Elementwise.Mode(true, true);
    private static final Elementwise.Mode COMPARISON = new Elementwise.Mode(true, false);
    private static final Elementwise.Mode RAW = new Elementwise.Mode(false, false);
    /** Rows, columns and depth of a product that is worth any special instruction. */
    private static final long LARGE = 1_024;

    private final CpuOptions options;
    private final Allocator allocator;
    private final Kernels kernels;
    private final Machine machine;
    private final Copies copies;
    private final Elementwise elementwise;
    private final Casts casts;
    private final Reductions reductions;
    private final Indexing indexing;
    private final Random random;
    private final MatmulProvider.Matmul provider;
    private final Matmul matmul;
    private final String description;
    private final BackendGuard guard = new BackendGuard("the CPU backend");

    /** A backend; {@code matmulProvider} is null for the built-in product. */
    CpuBackend(CpuOptions options, Kernels kernels, MatmulProvider matmulProvider) {
        this.options = options;
        this.kernels = kernels;
        allocator = new Allocator(options.memoryLimit(), options.memoryLimit() / 2, options.poison());
        machine = new Machine(allocator, new SpinPool(options.threads()), kernels);
        copies = new Copies(machine);
        elementwise = new Elementwise(machine, copies);
        casts = new Casts(machine, elementwise);
        reductions = new Reductions(machine, copies, casts);
        indexing = new Indexing(machine, copies, casts);
        random = new Random(machine);
        provider = matmulProvider == null ? null : opened(matmulProvider, machine.pool());
        Gemm gemm = kernels.vectorised() ? new JavaGemm(machine.pool()) : new ScalarGemm(machine.pool());
        matmul = new Matmul(machine, copies, casts, gemm, provider, options.products() == DType.BF16);
        description = System.getProperty("os.arch") + ", " + options.threads() + (options.threads() == 1 ? " thread, " : " threads, ")
                + kernels.description() + ", matrix products by " + (matmulProvider == null ? CpuOptions.BUILTIN : matmulProvider.name())
                + bf16Remark();
    }

    private static MatmulProvider.Matmul opened(MatmulProvider matmulProvider, SpinPool pool) {
        try {
            return matmulProvider.open(pool);
        } catch (RuntimeException | Error failure) {
            pool.close();
            throw failure;
        }
    }

    private String bf16Remark() {
        if (!hasBf16Products()) {
            return "";
        }
        return options.products() == DType.BF16 ? ", large ones of F32 operands rounded to BF16" : " (BF16 with option products=bf16)";
    }

    /** Whether large products can be computed in BF16 instructions. */
    boolean hasBf16Products() {
        return provider != null && provider.accepts(LARGE, LARGE, LARGE, DType.BF16.bytes());
    }

    // identity

    @Override
    public String name() {
        return CpuBackendProvider.NAME;
    }

    @Override
    public int deviceCount() {
        return 1;
    }

    @Override
    public Capabilities capabilities(int device) {
        guard.checkDevice("capabilities", device);
        return new Capabilities(description, EnumSet.allOf(DType.class), kernels.vectorised());
    }

    @Override
    public MemoryStats memory(int device) {
        guard.checkDevice("memory", device);
        return allocator.stats();
    }

    /** Every operation is complete when it returns, so there is nothing to wait for. */
    @Override
    public void synchronize(int device) {
        guard.checkDevice("synchronize", device);
    }

    @Override
    public <T> Optional<T> facility(Class<T> type) {
        guard.checkOpen("facility");
        return type == HostMemory.class ? Optional.of(type.cast(this)) : Optional.empty();
    }

    @Override
    public void close() {
        if (guard.close()) {
            machine.pool().close();
            if (provider != null) {
                provider.close();
            }
            machine.close();
            allocator.close();
        }
    }

    // host memory

    @Override
    public Parallel parallel() {
        return machine.pool();
    }

    @Override
    public DType products() {
        return options.products();
    }

    @Override
    public Optional<MatmulProvider.Matmul> matmulProvider() {
        return Optional.ofNullable(provider);
    }

    @Override
    public View view(TensorHandle handle) {
        return guard.run("view", () -> {
            CpuHandle x = live("view", handle);
            MemorySegment memory = x.memory().asSlice(x.offset());
            return new View(memory, x.strides().clone(), x.contiguous());
        });
    }

    @Override
    public Optional<TensorHandle> project(TensorHandle x, TensorHandle weight) {
        return guard.run("matmul", () -> Optional.ofNullable(matmul.project(live("matmul", x), live("matmul", weight))));
    }

    @Override
    public TensorHandle allocate(Shape shape, DType dtype, int device) {
        guard.checkDevice("allocate", device);
        return guard.run("allocate", () -> machine.allocate("allocate", shape, dtype));
    }

    // storage

    @Override
    public TensorHandle full(Shape shape, DType dtype, double value, int device) {
        guard.checkDevice("full", device);
        return guard.run("full", () -> {
            CpuHandle y = machine.allocate("full", shape, dtype);
            return machine.produce(y, () -> casts.fill(y, value));
        });
    }

    @Override
    public TensorHandle upload(ByteBuffer source, Shape shape, DType dtype, int device) {
        guard.checkDevice("upload", device);
        return guard.run("upload", () -> {
            BackendGuard.checkBytes("upload", shape, dtype, source);
            CpuHandle y = machine.allocate("upload", shape, dtype);
            return machine.produce(y, () -> {
                MemorySegment.copy(MemorySegment.ofBuffer(source), 0, y.memory(), y.offset(), source.remaining());
                if (dtype == DType.BOOL) {
                    casts.normalise(y);
                }
            });
        });
    }

    @Override
    public void download(TensorHandle x, ByteBuffer target) {
        guard.run("download", () -> {
            CpuHandle a = live("download", x);
            BackendGuard.checkBytes("download", a.shape(), a.dtype(), target);
            CpuHandle dense = copies.contiguous("download", a);
            try {
                MemorySegment.copy(dense.memory(), dense.offset(), MemorySegment.ofBuffer(target), 0, target.remaining());
            } finally {
                dense.release();
            }
            return null;
        });
    }

    @Override
    public void release(TensorHandle x) {
        guard.run("release", () -> {
            own("release", x).release();
            return null;
        });
    }

    @Override
    public TensorHandle share(TensorHandle x) {
        return guard.run("share", () -> live("share", x).share());
    }

    @Override
    public void write(TensorHandle target, long[] start, TensorHandle source) {
        guard.run("write", () -> {
            paste(live("write", target), start, live("write", source));
            return null;
        });
    }

    private void paste(CpuHandle target, long[] start, CpuHandle source) {
        int bytes = target.dtype().bytes();
        copies.copy(bytes, source.shape(), Copies.Place.of(source), Copies.Place.of(target).from(start, bytes));
    }

    // generation

    @Override
    public TensorHandle iota(long n, DType dtype, int device) {
        guard.checkDevice("iota", device);
        return guard.run("iota", () -> {
            CpuHandle y = machine.allocate("iota", Shape.of(n), dtype);
            return machine.produce(y, () -> machine.range(n, Machine.GRAIN, (from, to) -> {
                for (long i = from; i < to; i++) {
                    Elements.set(dtype, y.memory(), y.offset() + i * dtype.bytes(), i);
                }
            }));
        });
    }

    @Override
    public TensorHandle randomUniform(Shape shape, DType dtype, long seed, long offset, int device) {
        guard.checkDevice("randomUniform", device);
        return guard.run("randomUniform", () -> random.uniform(shape, dtype, seed, offset));
    }

    // elementwise

    @Override
    public TensorHandle unary(UnaryOp op, TensorHandle x) {
        return guard.run(op.name(), () -> {
            CpuHandle a = live(op.name(), x);
            Elementwise.RowKernel kernel = isF32(a) ? row -> kernels.unary(op, row.in[0], row.at[0], row.out, row.outAt, row.n)
                    : PlainRows.unary(op, a.dtype());
            return elementwise.map(op.name(), a.dtype(), COMPARISON, kernel, a);
        });
    }

    @Override
    public TensorHandle binary(BinaryOp op, TensorHandle x, TensorHandle z) {
        return guard.run(op.name(), () -> {
            CpuHandle a = live(op.name(), x);
            CpuHandle b = live(op.name(), z);
            if (!isF32(a)) {
                return elementwise.map(op.name(), a.dtype(), RAW, PlainRows.binary(op, a.dtype()), a, b);
            }
            return elementwise.map(op.name(), a.dtype(), ARITHMETIC, row -> binaryRow(op, row), a, b);
        });
    }

    private void binaryRow(BinaryOp op, Elementwise.Row row) {
        if (row.constant[0] || row.constant[1]) {
            int still = row.constant[0] ? 0 : 1;
            int moving = 1 - still;
            float s = (float) Elements.number(DType.F32, row.in[still], row.at[still]);
            kernels.binaryScalar(op, row.in[moving], row.at[moving], s, still == 0, row.out, row.outAt, row.n);
        } else {
            kernels.binary(op, row.in[0], row.at[0], row.in[1], row.at[1], row.out, row.outAt, row.n);
        }
    }

    @Override
    public TensorHandle binaryScalar(BinaryOp op, TensorHandle x, double s, boolean reversed) {
        return guard.run(op.name(), () -> {
            CpuHandle a = live(op.name(), x);
            float f = (float) s;
            Elementwise.RowKernel kernel = isF32(a)
                    ? row -> kernels.binaryScalar(op, row.in[0], row.at[0], f, reversed, row.out, row.outAt, row.n)
                    : PlainRows.binaryScalar(op, a.dtype(), s, reversed);
            return elementwise.map(op.name(), a.dtype(), COMPARISON, kernel, a);
        });
    }

    @Override
    public TensorHandle compare(CompareOp op, TensorHandle x, TensorHandle z) {
        return guard.run(op.name(), () -> {
            CpuHandle a = live(op.name(), x);
            CpuHandle b = live(op.name(), z);
            Elementwise.RowKernel kernel = isF32(a)
                    ? row -> kernels.compare(op, row.in[0], row.at[0], row.in[1], row.at[1], row.out, row.outAt, row.n)
                    : PlainRows.compare(op, a.dtype());
            return elementwise.map(op.name(), DType.BOOL, COMPARISON, kernel, a, b);
        });
    }

    @Override
    public TensorHandle where(TensorHandle condition, TensorHandle x, TensorHandle z) {
        return guard.run("where", () -> {
            CpuHandle c = live("where", condition);
            CpuHandle a = live("where", x);
            CpuHandle b = live("where", z);
            Elementwise.RowKernel kernel = a.dtype() != DType.F32 ? PlainRows.select(a.dtype().bytes())
                    : row -> kernels.select(row.in[0], row.at[0], row.in[1], row.at[1], row.in[2], row.at[2], row.out, row.outAt, row.n);
            return elementwise.map("where", a.dtype(), RAW, kernel, c, a, b);
        });
    }

    @Override
    public TensorHandle cast(TensorHandle x, DType dtype) {
        return guard.run("cast", () -> casts.cast(live("cast", x), dtype));
    }

    // reductions and scans

    @Override
    public TensorHandle reduce(ReduceOp op, TensorHandle x, int[] axes) {
        return guard.run(op.name(), () -> reductions.reduce(op, live(op.name(), x), axes));
    }

    @Override
    public TensorHandle argReduce(ReduceOp op, TensorHandle x, int axis) {
        return guard.run("argReduce", () -> reductions.argReduce(op, live("argReduce", x), axis));
    }

    @Override
    public TensorHandle scan(ReduceOp op, TensorHandle x, int axis, boolean reverse) {
        return guard.run("scan", () -> reductions.scan(op, live("scan", x), axis, reverse));
    }

    // movement

    @Override
    public TensorHandle reshape(TensorHandle x, Shape shape) {
        return guard.run("reshape", () -> {
            CpuHandle a = live("reshape", x);
            if (a.contiguous() || shape.size() == 0) {
                return a.view(a.offset(), shape, shape.strides());
            }
            long[] strides = Layout.reshape(a.shape(), a.strides(), shape);
            return strides != null ? a.view(a.offset(), shape, strides) : copies.dense("reshape", a).reshaped(shape);
        });
    }

    @Override
    public TensorHandle permute(TensorHandle x, int[] order) {
        return guard.run("permute", () -> {
            CpuHandle a = live("permute", x);
            Shape shape = Shape.of(Layout.permute(a.shape().toArray(), order));
            return a.view(a.offset(), shape, Layout.permute(a.strides(), order));
        });
    }

    @Override
    public TensorHandle broadcastTo(TensorHandle x, Shape shape) {
        return guard.run("broadcastTo", () -> {
            CpuHandle a = live("broadcastTo", x);
            return a.view(a.offset(), shape, Layout.broadcast(a.shape(), a.strides(), shape));
        });
    }

    @Override
    public TensorHandle slice(TensorHandle x, long[] start, long[] stop) {
        return guard.run("slice", () -> {
            CpuHandle a = live("slice", x);
            long[] dims = new long[start.length];
            for (int i = 0; i < dims.length; i++) {
                dims[i] = stop[i] - start[i];
            }
            Shape shape = Shape.of(dims);
            long offset = shape.size() == 0 ? a.offset() : Copies.Place.of(a).from(start, a.dtype().bytes()).offset();
            return a.view(offset, shape, a.strides());
        });
    }

    @Override
    public TensorHandle pad(TensorHandle x, long[] before, long[] after, double value) {
        return guard.run("pad", () -> {
            CpuHandle a = live("pad", x);
            long[] dims = a.shape().toArray();
            for (int i = 0; i < dims.length; i++) {
                dims[i] += before[i] + after[i];
            }
            CpuHandle y = machine.allocate("pad", Shape.of(dims), a.dtype());
            return machine.produce(y, () -> {
                casts.fill(y, value);
                paste(y, before, a);
            });
        });
    }

    @Override
    public TensorHandle flip(TensorHandle x, int[] axes) {
        return guard.run("flip", () -> {
            CpuHandle a = live("flip", x);
            CpuHandle y = machine.allocate("flip", a.shape(), a.dtype());
            if (a.shape().size() == 0) {
                return y;
            }
            long offset = a.offset();
            long[] strides = a.strides().clone();
            for (int axis : axes) {
                offset += (a.shape().dim(axis) - 1) * strides[axis] * a.dtype().bytes();
                strides[axis] = -strides[axis];
            }
            Copies.Place source = new Copies.Place(a.memory(), offset, strides);
            return machine.produce(y, () -> copies.copy(a.dtype().bytes(), a.shape(), source, Copies.Place.of(y)));
        });
    }

    @Override
    public TensorHandle concat(TensorHandle[] xs, int axis) {
        return guard.run("concat", () -> {
            CpuHandle[] parts = Arrays.stream(xs).map(x -> live("concat", x)).toArray(CpuHandle[]::new);
            long size = Arrays.stream(parts).mapToLong(part -> part.shape().dim(axis)).sum();
            CpuHandle y = machine.allocate("concat", parts[0].shape().with(axis, size), parts[0].dtype());
            return machine.produce(y, () -> {
                long[] start = new long[y.shape().rank()];
                for (CpuHandle part : parts) {
                    paste(y, start, part);
                    start[axis] += part.shape().dim(axis);
                }
            });
        });
    }

    @Override
    public TensorHandle contiguous(TensorHandle x) {
        return guard.run("contiguous", () -> copies.contiguous("contiguous", live("contiguous", x)));
    }

    // indexing

    @Override
    public TensorHandle gather(TensorHandle x, int axis, TensorHandle index) {
        return guard.run("gather", () -> indexing.gather(live("gather", x), axis, live("gather", index)));
    }

    @Override
    public TensorHandle scatterAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return guard.run("scatterAdd",
                () -> indexing.scatterAdd(live("scatterAdd", x), axis, live("scatterAdd", index), live("scatterAdd", source)));
    }

    @Override
    public TensorHandle indexSelect(TensorHandle x, int axis, TensorHandle index) {
        return guard.run("indexSelect", () -> indexing.indexSelect(live("indexSelect", x), axis, live("indexSelect", index)));
    }

    @Override
    public TensorHandle indexAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return guard.run("indexAdd", () -> indexing.indexAdd(live("indexAdd", x), axis, live("indexAdd", index), live("indexAdd", source)));
    }

    @Override
    public TensorHandle topK(TensorHandle x, int k) {
        return guard.run("topK", () -> reductions.topK(live("topK", x), k));
    }

    // contraction

    @Override
    public TensorHandle matmul(TensorHandle a, TensorHandle b, boolean transposeA, boolean transposeB) {
        return guard.run("matmul", () -> matmul.matmul(live("matmul", a), live("matmul", b), transposeA, transposeB));
    }

    // what the operations share

    /** Whether the F32 kernels compute this dtype. */
    private static boolean isF32(CpuHandle x) {
        return x.dtype() == DType.F32 || Elementwise.isHalf(x.dtype());
    }

    private CpuHandle own(String op, TensorHandle x) {
        if (x instanceof CpuHandle handle && handle.allocator() == allocator) {
            return handle;
        }
        throw BackendGuard.foreign(op, x);
    }

    private CpuHandle live(String op, TensorHandle x) {
        CpuHandle handle = own(op, x);
        handle.check(op);
        return handle;
    }
}
