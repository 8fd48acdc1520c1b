package dev.sequent.backend;

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
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import java.nio.ByteBuffer;
import java.util.EnumSet;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Tensors with a shape and an element type and no values: every operation answers with what its result would look like, at no cost. A model
 * of any size can be laid out on it, to be described or checked, before there is memory for it.
 *
 * <p>Asking for values is a {@link BackendException}, so what decides by values, such as a mixture of experts, can be laid out and not
 * run. Memory statistics count what the tensors would take. No provider lists this backend,
 * because nobody computes on it; {@code Device.shapes()} opens it. Thread-safe.
 */
public final class ShapeBackend implements Backend {
    private static final String NAME = "shapes";

    private final AtomicLong handles = new AtomicLong();
    private final AtomicLong bytes = new AtomicLong();
    private final AtomicLong peak = new AtomicLong();
    private volatile boolean closed;

    /** A new backend with one device. */
    public ShapeBackend() {}

    private final class Handle implements TensorHandle {
        private final Shape shape;
        private final DType dtype;
        private boolean released;

        Handle(Shape shape, DType dtype) {
            this.shape = shape;
            this.dtype = dtype;
        }

        @Override
        public Shape shape() {
            return shape;
        }

        @Override
        public DType dtype() {
            return dtype;
        }

        long size() {
            return shape.size() * dtype.bytes();
        }

        synchronized void release() {
            if (released) {
                throw new ReleasedTensorException("release", "a live tensor", "one that has been released");
            }
            released = true;
            handles.decrementAndGet();
            bytes.addAndGet(-size());
        }
    }

    private TensorHandle make(Shape shape, DType dtype) {
        if (closed) {
            throw new BackendException(NAME, "an open backend", "one that has been closed");
        }
        Handle handle = new Handle(shape, dtype);
        handles.incrementAndGet();
        peak.accumulateAndGet(bytes.addAndGet(handle.size()), Math::max);
        return handle;
    }

    private TensorHandle like(TensorHandle x) {
        return make(x.shape(), x.dtype());
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int deviceCount() {
        return 1;
    }

    @Override
    public Capabilities capabilities(int device) {
        return new Capabilities("shapes without values", EnumSet.allOf(DType.class), false);
    }

    @Override
    public MemoryStats memory(int device) {
        return new MemoryStats(handles.get(), bytes.get(), 0, peak.get(), Long.MAX_VALUE);
    }

    @Override
    public void synchronize(int device) {}

    @Override
    public <T> Optional<T> facility(Class<T> type) {
        return Optional.empty();
    }

    @Override
    public void close() {
        closed = true;
    }

    @Override
    public TensorHandle full(Shape shape, DType dtype, double value, int device) {
        return make(shape, dtype);
    }

    @Override
    public TensorHandle upload(ByteBuffer source, Shape shape, DType dtype, int device) {
        return make(shape, dtype);
    }

    @Override
    public void download(TensorHandle x, ByteBuffer target) {
        throw new BackendException(NAME, "questions about shapes", "one about values of a tensor of shape " + x.shape());
    }

    @Override
    public void release(TensorHandle x) {
        ((Handle) x).release();
    }

    @Override
    public TensorHandle share(TensorHandle x) {
        return like(x);
    }

    @Override
    public void write(TensorHandle target, long[] start, TensorHandle source) {}

    @Override
    public TensorHandle iota(long n, DType dtype, int device) {
        return make(Shape.of(n), dtype);
    }

    @Override
    public TensorHandle randomUniform(Shape shape, DType dtype, long seed, long offset, int device) {
        return make(shape, dtype);
    }

    @Override
    public TensorHandle unary(UnaryOp op, TensorHandle x) {
        return like(x);
    }

    @Override
    public TensorHandle binary(BinaryOp op, TensorHandle a, TensorHandle b) {
        return like(a);
    }

    @Override
    public TensorHandle binaryScalar(BinaryOp op, TensorHandle x, double s, boolean reversed) {
        return like(x);
    }

    @Override
    public TensorHandle compare(CompareOp op, TensorHandle a, TensorHandle b) {
        return make(a.shape(), DType.BOOL);
    }

    @Override
    public TensorHandle where(TensorHandle condition, TensorHandle a, TensorHandle b) {
        return like(a);
    }

    @Override
    public TensorHandle cast(TensorHandle x, DType dtype) {
        return make(x.shape(), dtype);
    }

    @Override
    public TensorHandle reduce(ReduceOp op, TensorHandle x, int[] axes) {
        Shape shape = x.shape();
        for (int axis : axes) {
            shape = shape.with(axis, 1);
        }
        return make(shape, x.dtype());
    }

    @Override
    public TensorHandle argReduce(ReduceOp op, TensorHandle x, int axis) {
        return make(x.shape().with(axis, 1), DType.I64);
    }

    @Override
    public TensorHandle scan(ReduceOp op, TensorHandle x, int axis, boolean reverse) {
        return like(x);
    }

    @Override
    public TensorHandle reshape(TensorHandle x, Shape shape) {
        return make(shape, x.dtype());
    }

    @Override
    public TensorHandle permute(TensorHandle x, int[] order) {
        long[] dims = new long[order.length];
        for (int i = 0; i < order.length; i++) {
            dims[i] = x.shape().dim(order[i]);
        }
        return make(Shape.of(dims), x.dtype());
    }

    @Override
    public TensorHandle broadcastTo(TensorHandle x, Shape shape) {
        return make(shape, x.dtype());
    }

    @Override
    public TensorHandle slice(TensorHandle x, long[] start, long[] stop) {
        long[] dims = new long[start.length];
        for (int i = 0; i < dims.length; i++) {
            dims[i] = stop[i] - start[i];
        }
        return make(Shape.of(dims), x.dtype());
    }

    @Override
    public TensorHandle pad(TensorHandle x, long[] before, long[] after, double value) {
        long[] dims = x.shape().toArray();
        for (int i = 0; i < dims.length; i++) {
            dims[i] += before[i] + after[i];
        }
        return make(Shape.of(dims), x.dtype());
    }

    @Override
    public TensorHandle flip(TensorHandle x, int[] axes) {
        return like(x);
    }

    @Override
    public TensorHandle concat(TensorHandle[] xs, int axis) {
        long size = 0;
        for (TensorHandle x : xs) {
            size += x.shape().dim(axis);
        }
        return make(xs[0].shape().with(axis, size), xs[0].dtype());
    }

    @Override
    public TensorHandle contiguous(TensorHandle x) {
        return like(x);
    }

    @Override
    public TensorHandle gather(TensorHandle x, int axis, TensorHandle index) {
        return make(index.shape(), x.dtype());
    }

    @Override
    public TensorHandle scatterAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return like(x);
    }

    @Override
    public TensorHandle indexSelect(TensorHandle x, int axis, TensorHandle index) {
        return make(x.shape().with(axis, index.shape().size()), x.dtype());
    }

    @Override
    public TensorHandle indexAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        return like(x);
    }

    @Override
    public TensorHandle topK(TensorHandle x, int k) {
        return make(x.shape().with(-1, k), DType.I64);
    }

    @Override
    public TensorHandle matmul(TensorHandle a, TensorHandle b, boolean transposeA, boolean transposeB) {
        long rows = a.shape().dim(transposeA ? -1 : -2);
        long columns = b.shape().dim(transposeB ? -2 : -1);
        return make(a.shape().with(-2, rows).with(-1, columns), a.dtype());
    }
}
