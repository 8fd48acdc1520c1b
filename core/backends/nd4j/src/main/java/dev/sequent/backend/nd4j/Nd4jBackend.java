package dev.sequent.backend.nd4j;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendGuard;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.Layout;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;

/**
 * The ND4J backend: checks handles and decides who computes. {@link Arithmetic} goes to ND4J, matrix products go to its BLAS
 * ({@link Products}); what ND4J lacks, or does otherwise than the SPI says, is a loop of ours over its buffers. Movement operations are
 * views wherever strides can express them. Thread-safe.
 */
final class Nd4jBackend implements Backend {

    private final Memory memory;
    private final Workbench bench;
    private final Engine engine;
    private final Casts casts;
    private final Arithmetic arithmetic;
    private final Products products;
    private final String description;
    private final BackendGuard guard = new BackendGuard("the ND4J backend");

    Nd4jBackend(Nd4jOptions options, Nd4jRuntime runtime) {
        memory = new Memory(options.memoryLimit());
        bench = new Workbench(memory);
        engine = new Engine();
        casts = new Casts(bench);
        arithmetic = new Arithmetic(bench, casts, engine);
        products = new Products(bench, casts);
        description = runtime.describe();
    }

    // identity

    @Override
    public String name() {
        return Nd4jBackendProvider.NAME;
    }

    @Override
    public int deviceCount() {
        return 1;
    }

    @Override
    public Capabilities capabilities(int device) {
        guard.checkDevice("capabilities", device);
        return new Capabilities(description, EnumSet.allOf(DType.class), true, Detours.all());
    }

    @Override
    public MemoryStats memory(int device) {
        guard.checkDevice("memory", device);
        return memory.stats();
    }

    /** Every operation is complete when it returns, so there is nothing to wait for. */
    @Override
    public void synchronize(int device) {
        guard.checkDevice("synchronize", device);
    }

    @Override
    public <T> Optional<T> facility(Class<T> type) {
        guard.checkOpen("facility");
        return Optional.empty();
    }

    @Override
    public void close() {
        if (guard.close()) {
            engine.close();
            memory.close();
        }
    }

    // storage

    @Override
    public TensorHandle full(Shape shape, DType dtype, double value, int device) {
        guard.checkDevice("full", device);
        return guard.run("full", () -> {
            Nd4jHandle y = bench.allocate("full", shape, dtype);
            return bench.produce(y, () -> Elements.fill(dtype, y.storage().segment(), value));
        });
    }

    @Override
    public TensorHandle upload(ByteBuffer source, Shape shape, DType dtype, int device) {
        guard.checkDevice("upload", device);
        return guard.run("upload", () -> {
            BackendGuard.checkBytes("upload", shape, dtype, source);
            Nd4jHandle y = bench.allocate("upload", shape, dtype);
            return bench.produce(y, () -> {
                MemorySegment out = y.storage().segment();
                MemorySegment.copy(MemorySegment.ofBuffer(source), 0, out, 0, source.remaining());
                if (dtype == DType.BOOL) {
                    try (Dense bytes = bench.dense("upload", y)) {
                        HostElementwise.normalise(bytes);
                    }
                }
            });
        });
    }

    @Override
    public void download(TensorHandle x, ByteBuffer target) {
        guard.run("download", () -> {
            Nd4jHandle a = live("download", x);
            BackendGuard.checkBytes("download", a.shape(), a.dtype(), target);
            try (Dense dense = bench.dense("download", a)) {
                MemorySegment.copy(dense.segment(), 0, MemorySegment.ofBuffer(target), 0, target.remaining());
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
        return guard.run("share", () -> same(live("share", x)));
    }

    private static Nd4jHandle same(Nd4jHandle x) {
        return x.view(x.offset(), x.shape(), x.strides());
    }

    @Override
    public void write(TensorHandle target, long[] start, TensorHandle source) {
        guard.run("write", () -> {
            paste(live("write", target), start, live("write", source));
            return null;
        });
    }

    private static void paste(Nd4jHandle target, long[] start, Nd4jHandle source) {
        Strides.copy(target.dtype().bytes(), source.shape(), Strides.Place.of(source), Strides.Place.of(target).from(start));
    }

    // generation

    @Override
    public TensorHandle iota(long n, DType dtype, int device) {
        guard.checkDevice("iota", device);
        return guard.run("iota", () -> fresh("iota", Shape.of(n), dtype, HostElementwise::iota));
    }

    @Override
    public TensorHandle randomUniform(Shape shape, DType dtype, long seed, long offset, int device) {
        guard.checkDevice("randomUniform", device);
        return guard.run("randomUniform", () -> fresh("randomUniform", shape, dtype, y -> HostElementwise.uniform(seed, offset, y)));
    }

    // elementwise

    @Override
    public TensorHandle unary(UnaryOp op, TensorHandle x) {
        return guard.run(op.name(), () -> arithmetic.unary(op, live(op.name(), x)));
    }

    @Override
    public TensorHandle binary(BinaryOp op, TensorHandle x, TensorHandle z) {
        return guard.run(op.name(), () -> arithmetic.binary(op, live(op.name(), x), live(op.name(), z)));
    }

    @Override
    public TensorHandle binaryScalar(BinaryOp op, TensorHandle x, double s, boolean reversed) {
        return guard.run(op.name(), () -> arithmetic.binaryScalar(op, live(op.name(), x), s, reversed));
    }

    @Override
    public TensorHandle compare(CompareOp op, TensorHandle x, TensorHandle z) {
        return guard.run(op.name(), () -> {
            Nd4jHandle a = live(op.name(), x);
            Nd4jHandle b = live(op.name(), z);
            return fresh(op.name(), a.shape(), DType.BOOL, y -> {
                try (Dense left = bench.dense(op.name(), a); Dense right = bench.dense(op.name(), b)) {
                    HostElementwise.compare(op, left, right, y);
                }
            });
        });
    }

    @Override
    public TensorHandle where(TensorHandle condition, TensorHandle x, TensorHandle z) {
        return guard.run("where", () -> {
            Nd4jHandle c = live("where", condition);
            Nd4jHandle a = live("where", x);
            Nd4jHandle b = live("where", z);
            return fresh("where", a.shape(), a.dtype(), y -> {
                try (Dense holds = bench.dense("where", c); Dense left = bench.dense("where", a); Dense right = bench.dense("where", b)) {
                    HostElementwise.where(holds, left, right, y);
                }
            });
        });
    }

    @Override
    public TensorHandle cast(TensorHandle x, DType dtype) {
        return guard.run("cast", () -> casts.cast("cast", live("cast", x), dtype));
    }

    // reductions and scans

    @Override
    public TensorHandle reduce(ReduceOp op, TensorHandle x, int[] axes) {
        return guard.run(op.name(), () -> {
            Nd4jHandle a = live(op.name(), x);
            Shape shape = a.shape();
            for (int axis : axes) {
                shape = shape.with(axis, 1);
            }
            Shape result = shape;
            // one run of neighbouring axes is reduced where it is; other axes are moved to the end first
            boolean isRun = axes.length > 0 && axes[axes.length - 1] - axes[0] == axes.length - 1;
            Nd4jHandle ordered = isRun ? same(a) : withAxesLast(a, axes);
            try {
                int first = isRun ? axes[0] : a.shape().rank() - axes.length;
                int last = first + axes.length;
                HostReductions.Axis axis = axis(ordered.shape(), first, last);
                return fresh(op.name(), result, a.dtype(), y -> {
                    try (Dense in = bench.dense(op.name(), ordered)) {
                        HostReductions.reduce(op, axis, in, y);
                    }
                });
            } finally {
                ordered.release();
            }
        });
    }

    /** Sizes in front of, in, and behind the axes in {@code [first, last)}. */
    private static HostReductions.Axis axis(Shape shape, int first, int last) {
        return new HostReductions.Axis(Strides.product(shape, 0, first), Math.toIntExact(Strides.product(shape, first, last)),
                Math.toIntExact(Strides.product(shape, last, shape.rank())));
    }

    private static Nd4jHandle withAxesLast(Nd4jHandle x, int[] axes) {
        int rank = x.shape().rank();
        int[] order = new int[rank];
        int n = 0;
        for (int axis = 0; axis < rank; axis++) {
            if (Arrays.binarySearch(axes, axis) < 0) {
                order[n++] = axis;
            }
        }
        System.arraycopy(axes, 0, order, n, axes.length);
        return permuted(x, order);
    }

    @Override
    public TensorHandle argReduce(ReduceOp op, TensorHandle x, int axis) {
        return guard.run("argReduce", () -> {
            Nd4jHandle a = live("argReduce", x);
            if (a.shape().dim(axis) == 0) {
                throw new ShapeException("argReduce", "at least one element along axis " + axis, a.shape().toString());
            }
            return fresh("argReduce", a.shape().with(axis, 1), DType.I64, y -> {
                try (Dense in = bench.dense("argReduce", a)) {
                    HostReductions.argReduce(op, axis(a.shape(), axis, axis + 1), in, y);
                }
            });
        });
    }

    @Override
    public TensorHandle scan(ReduceOp op, TensorHandle x, int axis, boolean reverse) {
        return guard.run("scan", () -> {
            Nd4jHandle a = live("scan", x);
            return fresh("scan", a.shape(), a.dtype(), y -> {
                try (Dense in = bench.dense("scan", a)) {
                    HostReductions.scan(op, axis(a.shape(), axis, axis + 1), reverse, in, y);
                }
            });
        });
    }

    // movement

    @Override
    public TensorHandle reshape(TensorHandle x, Shape shape) {
        return guard.run("reshape", () -> bench.contiguous("reshape", live("reshape", x), shape));
    }

    @Override
    public TensorHandle permute(TensorHandle x, int[] order) {
        return guard.run("permute", () -> permuted(live("permute", x), order));
    }

    private static Nd4jHandle permuted(Nd4jHandle x, int[] order) {
        Shape shape = Shape.of(Layout.permute(x.shape().toArray(), order));
        return x.view(x.offset(), shape, Layout.permute(x.strides(), order));
    }

    @Override
    public TensorHandle broadcastTo(TensorHandle x, Shape shape) {
        return guard.run("broadcastTo", () -> {
            Nd4jHandle a = live("broadcastTo", x);
            return a.view(a.offset(), shape, Layout.broadcast(a.shape(), a.strides(), shape));
        });
    }

    @Override
    public TensorHandle slice(TensorHandle x, long[] start, long[] stop) {
        return guard.run("slice", () -> {
            Nd4jHandle a = live("slice", x);
            long[] dims = new long[start.length];
            Arrays.setAll(dims, axis -> stop[axis] - start[axis]);
            return a.view(a.offset() + Strides.position(start, a.strides()), Shape.of(dims), a.strides());
        });
    }

    @Override
    public TensorHandle pad(TensorHandle x, long[] before, long[] after, double value) {
        return guard.run("pad", () -> {
            Nd4jHandle a = live("pad", x);
            long[] dims = a.shape().toArray();
            Arrays.setAll(dims, axis -> dims[axis] + before[axis] + after[axis]);
            Nd4jHandle y = bench.allocate("pad", Shape.of(dims), a.dtype());
            return bench.produce(y, () -> {
                Elements.fill(y.dtype(), y.storage().segment(), value);
                paste(y, before, a);
            });
        });
    }

    @Override
    public TensorHandle flip(TensorHandle x, int[] axes) {
        return guard.run("flip", () -> {
            Nd4jHandle a = live("flip", x);
            long[] strides = a.strides().clone();
            long offset = a.offset();
            for (int axis : axes) {
                offset += (a.shape().dim(axis) - 1) * strides[axis];
                strides[axis] = -strides[axis];
            }
            return a.view(offset, a.shape(), strides);
        });
    }

    @Override
    public TensorHandle concat(TensorHandle[] xs, int axis) {
        return guard.run("concat", () -> {
            Nd4jHandle[] parts = Arrays.stream(xs).map(x -> live("concat", x)).toArray(Nd4jHandle[]::new);
            long size = Arrays.stream(parts).mapToLong(part -> part.shape().dim(axis)).sum();
            Nd4jHandle y = bench.allocate("concat", parts[0].shape().with(axis, size), parts[0].dtype());
            return bench.produce(y, () -> {
                long[] start = new long[y.shape().rank()];
                for (Nd4jHandle part : parts) {
                    paste(y, start, part);
                    start[axis] += part.shape().dim(axis);
                }
            });
        });
    }

    @Override
    public TensorHandle contiguous(TensorHandle x) {
        return guard.run("contiguous", () -> {
            Nd4jHandle a = live("contiguous", x);
            return bench.contiguous("contiguous", a, a.shape());
        });
    }

    // indexing

    @Override
    public TensorHandle gather(TensorHandle x, int axis, TensorHandle index) {
        return guard.run("gather", () -> {
            Nd4jHandle a = live("gather", x);
            long[] at = indices("gather", live("gather", index), a.shape().dim(axis));
            Shape shape = index.shape();
            return fresh("gather", shape, a.dtype(), y -> {
                try (Dense in = bench.dense("gather", a)) {
                    HostIndexing.gather(in, HostIndexing.positions(shape, a.shape(), axis, at), y);
                }
            });
        });
    }

    @Override
    public TensorHandle scatterAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return guard.run("scatterAdd", () -> {
            Nd4jHandle a = live("scatterAdd", x);
            long[] at = indices("scatterAdd", live("scatterAdd", index), a.shape().dim(axis));
            long[] to = HostIndexing.positions(source.shape(), a.shape(), axis, at);
            return sum("scatterAdd", a, live("scatterAdd", source), (terms, y) -> HostIndexing.add(to, terms, y));
        });
    }

    @Override
    public TensorHandle indexSelect(TensorHandle x, int axis, TensorHandle index) {
        return guard.run("indexSelect", () -> {
            Nd4jHandle a = live("indexSelect", x);
            long[] at = indices("indexSelect", live("indexSelect", index), a.shape().dim(axis));
            HostReductions.Axis sizes = axis(a.shape(), axis, axis + 1);
            return fresh("indexSelect", a.shape().with(axis, at.length), a.dtype(), y -> {
                try (Dense in = bench.dense("indexSelect", a)) {
                    HostIndexing.select(in, sizes.outer(), sizes.n(), sizes.inner(), at, y);
                }
            });
        });
    }

    @Override
    public TensorHandle indexAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return guard.run("indexAdd", () -> {
            Nd4jHandle a = live("indexAdd", x);
            long[] at = indices("indexAdd", live("indexAdd", index), a.shape().dim(axis));
            HostReductions.Axis sizes = axis(a.shape(), axis, axis + 1);
            return sum("indexAdd", a, live("indexAdd", source),
                    (terms, y) -> HostIndexing.addSlices(sizes.outer(), sizes.n(), sizes.inner(), at, terms, y));
        });
    }

    private long[] indices(String op, Nd4jHandle index, long size) {
        try (Dense dense = bench.dense(op, index)) {
            return HostIndexing.indices(op, dense, size);
        }
    }

    /** What adds terms to a tensor. */
    private interface Addition {
        void add(Dense terms, Dense y);
    }

    /** A copy of {@code x} to which {@code source} has been added. */
    private Nd4jHandle sum(String op, Nd4jHandle x, Nd4jHandle source, Addition addition) {
        return fresh(op, x.shape(), x.dtype(), y -> {
            try (Dense in = bench.dense(op, x); Dense terms = bench.dense(op, source)) {
                MemorySegment.copy(in.segment(), 0, y.segment(), 0, y.segment().byteSize());
                addition.add(terms, y);
            }
        });
    }

    @Override
    public TensorHandle topK(TensorHandle x, int k) {
        return guard.run("topK", () -> {
            Nd4jHandle a = live("topK", x);
            return fresh("topK", a.shape().with(-1, k), DType.I64, y -> {
                try (Dense in = bench.dense("topK", a)) {
                    HostReductions.topK(Math.toIntExact(a.shape().dim(-1)), k, in, y);
                }
            });
        });
    }

    // contraction

    @Override
    public TensorHandle matmul(TensorHandle a, TensorHandle b, boolean transposeA, boolean transposeB) {
        return guard.run("matmul", () -> products.matmul(live("matmul", a), live("matmul", b), transposeA, transposeB));
    }

    // what the operations share

    /** What fills a new tensor. */
    private interface Filling {
        void fill(Dense y);
    }

    /** A new tensor; nothing is done when it has no elements. */
    private Nd4jHandle fresh(String op, Shape shape, DType dtype, Filling filling) {
        Nd4jHandle y = bench.allocate(op, shape, dtype);
        return bench.produce(y, () -> {
            if (shape.size() > 0) {
                try (Dense out = bench.dense(op, y)) {
                    filling.fill(out);
                }
            }
        });
    }

    private Nd4jHandle own(String op, TensorHandle x) {
        if (x instanceof Nd4jHandle handle && handle.storage().memory() == memory) {
            return handle;
        }
        throw BackendGuard.foreign(op, x);
    }

    private Nd4jHandle live(String op, TensorHandle x) {
        Nd4jHandle handle = own(op, x);
        handle.check(op);
        return handle;
    }
}
