package dev.sequent.backend.reference;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.Philox;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendGuard;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.MemoryStats;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Every operation of a backend as the textbook writes it: read it to learn what an operation means, or before you write a backend.
 *
 * <p>Each method has the same three lines of bookkeeping: fetch the operands' arrays, allocate the result's array, and return it
 * as a handle. What stands between them is the operation. Nothing is fast here and nothing is shared: even {@link #permute} copies.
 *
 * <p>Thread-safe: arrays are written before their handle is returned and only read afterwards, except by {@link #write}, whose
 * target belongs to one caller.
 */
public final class ReferenceBackend implements Backend {
    private final BackendGuard guard = new BackendGuard("the reference backend");

    // guarded by this
    private long liveHandles;
    private long liveBytes;
    private long peakBytes;

    ReferenceBackend() {}

    // identity

    @Override
    public String name() {
        return ReferenceBackendProvider.NAME;
    }

    @Override
    public int deviceCount() {
        return 1;
    }

    @Override
    public Capabilities capabilities(int device) {
        guard.checkDevice("capabilities", device);
        return new Capabilities("plain Java loops in double precision", EnumSet.allOf(DType.class), false);
    }

    @Override
    public synchronized MemoryStats memory(int device) {
        guard.checkDevice("memory", device);
        return new MemoryStats(liveHandles, liveBytes, 0, peakBytes, Runtime.getRuntime().maxMemory());
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
        guard.close();
    }

    // storage

    @Override
    public TensorHandle full(Shape shape, DType dtype, double value, int device) {
        guard.checkDevice("full", device);
        HeapArray y = allocate("full", shape, dtype);
        y.fill(value);
        return handle(y);
    }

    @Override
    public TensorHandle upload(ByteBuffer source, Shape shape, DType dtype, int device) {
        guard.checkDevice("upload", device);
        HeapArray y = allocate("upload", shape, dtype);
        y.read("upload", source);
        return handle(y);
    }

    @Override
    public void download(TensorHandle x, ByteBuffer target) {
        array("download", x).write("download", target);
    }

    @Override
    public void release(TensorHandle x) {
        HeapArray a = own("release", x).take("release");
        count(-1, -a.bytes());
    }

    @Override
    public TensorHandle share(TensorHandle x) {
        HeapArray a = array("share", x);
        return handle(a.copy(a.shape()));
    }

    @Override
    public void write(TensorHandle target, long[] start, TensorHandle source) {
        paste(array("write", target), start, array("write", source));
    }

    // generation

    @Override
    public TensorHandle iota(long n, DType dtype, int device) {
        guard.checkDevice("iota", device);
        HeapArray y = allocate("iota", Shape.of(n), dtype);
        for (int i = 0; i < y.length(); i++) {
            y.setInteger(i, i);
        }
        return handle(y);
    }

    @Override
    public TensorHandle randomUniform(Shape shape, DType dtype, long seed, long offset, int device) {
        guard.checkDevice("randomUniform", device);
        HeapArray y = allocate("randomUniform", shape, dtype);
        int[] words = new int[Philox.WORDS];
        for (int i = 0; i < y.length(); i++) {
            long n = offset + i;
            Philox.block(seed, Math.floorDiv(n, Philox.WORDS), words);
            float uniform = Philox.uniform(words[Math.floorMod(n, Philox.WORDS)]);
            y.setNumber(i, HeapArray.truncate(uniform, dtype));
        }
        return handle(y);
    }

    // elementwise

    @Override
    public TensorHandle unary(UnaryOp op, TensorHandle x) {
        HeapArray a = array(op.name(), x);
        HeapArray y = allocate(op.name(), a.shape(), a.dtype());
        for (int i = 0; i < y.length(); i++) {
            if (y.isFloat()) {
                y.setNumber(i, op.apply(a.number(i)));
            } else {
                y.setInteger(i, op.applyInteger(a.integer(i)));
            }
        }
        return handle(y);
    }

    @Override
    public TensorHandle binary(BinaryOp op, TensorHandle x, TensorHandle z) {
        HeapArray a = array(op.name(), x);
        HeapArray b = array(op.name(), z);
        HeapArray y = allocate(op.name(), a.shape(), a.dtype());
        for (int i = 0; i < y.length(); i++) {
            if (y.isFloat()) {
                y.setNumber(i, op.apply(a.number(i), b.number(i)));
            } else {
                y.setInteger(i, op.applyInteger(a.integer(i), b.integer(i)));
            }
        }
        return handle(y);
    }

    @Override
    public TensorHandle binaryScalar(BinaryOp op, TensorHandle x, double s, boolean reversed) {
        HeapArray a = array(op.name(), x);
        HeapArray y = allocate(op.name(), a.shape(), a.dtype());
        for (int i = 0; i < y.length(); i++) {
            if (y.isFloat()) {
                y.setNumber(i, reversed ? op.apply(s, a.number(i)) : op.apply(a.number(i), s));
            } else {
                long n = (long) s;
                y.setInteger(i, reversed ? op.applyInteger(n, a.integer(i)) : op.applyInteger(a.integer(i), n));
            }
        }
        return handle(y);
    }

    @Override
    public TensorHandle compare(CompareOp op, TensorHandle x, TensorHandle z) {
        HeapArray a = array(op.name(), x);
        HeapArray b = array(op.name(), z);
        HeapArray y = allocate(op.name(), a.shape(), DType.BOOL);
        for (int i = 0; i < y.length(); i++) {
            // integers are compared as integers: as doubles, large ones would seem equal
            boolean holds = a.isFloat()
                    ? op.apply(a.number(i), b.number(i))
                    : op.apply(Long.compare(a.integer(i), b.integer(i)), 0);
            y.setInteger(i, holds ? 1 : 0);
        }
        return handle(y);
    }

    @Override
    public TensorHandle where(TensorHandle condition, TensorHandle x, TensorHandle z) {
        HeapArray c = array("where", condition);
        HeapArray a = array("where", x);
        HeapArray b = array("where", z);
        HeapArray y = allocate("where", a.shape(), a.dtype());
        for (int i = 0; i < y.length(); i++) {
            y.copy(i, c.integer(i) != 0 ? a : b, i);
        }
        return handle(y);
    }

    @Override
    public TensorHandle cast(TensorHandle x, DType dtype) {
        HeapArray a = array("cast", x);
        HeapArray y = allocate("cast", a.shape(), dtype);
        for (int i = 0; i < y.length(); i++) {
            y.copy(i, a, i);
        }
        return handle(y);
    }

    // reductions and scans

    @Override
    public TensorHandle reduce(ReduceOp op, TensorHandle x, int[] axes) {
        HeapArray a = array(op.name(), x);
        Shape shape = a.shape();
        for (int axis : axes) {
            shape = shape.with(axis, 1);
        }
        HeapArray y = allocate(op.name(), shape, a.dtype());
        // walking along a reduced axis of x, one stays at the same element of y
        long[] strides = y.shape().strides();
        for (int axis : axes) {
            strides[axis] = 0;
        }
        int[] to = Positions.of(a.shape(), 0, strides);
        if (a.isFloat()) {
            double[] partial = new double[y.length()];
            Arrays.fill(partial, op.identity());
            for (int i = 0; i < a.length(); i++) {
                partial[to[i]] = op.apply(partial[to[i]], a.number(i));
            }
            store(y, partial);
        } else {
            y.fill(op.identity());
            for (int i = 0; i < a.length(); i++) {
                y.setInteger(to[i], op.applyInteger(y.integer(to[i]), a.integer(i)));
            }
        }
        return handle(y);
    }

    @Override
    public TensorHandle argReduce(ReduceOp op, TensorHandle x, int axis) {
        HeapArray a = array("argReduce", x);
        if (a.shape().dim(axis) == 0) {
            throw new ShapeException("argReduce", "at least one element along axis " + axis, a.shape().toString());
        }
        HeapArray y = allocate("argReduce", a.shape().with(axis, 1), DType.I64);
        int stride = stride(a.shape(), axis);
        int[] first = Positions.of(y.shape(), 0, a.shape().strides());
        for (int i = 0; i < y.length(); i++) {
            int best = 0;
            for (int k = 1; k < a.shape().dim(axis); k++) {
                boolean isBetter = a.isBefore(first[i] + k * stride, first[i] + best * stride, op == ReduceOp.MAX);
                best = isBetter ? k : best;
            }
            y.setInteger(i, best);
        }
        return handle(y);
    }

    @Override
    public TensorHandle scan(ReduceOp op, TensorHandle x, int axis, boolean reverse) {
        HeapArray a = array("scan", x);
        HeapArray y = allocate("scan", a.shape(), a.dtype());
        int stride = stride(a.shape(), axis);
        int n = (int) a.shape().dim(axis);
        double[] partial = new double[a.isFloat() ? a.length() : 0];
        for (int step = 0; step < a.length(); step++) {
            int i = reverse ? a.length() - 1 - step : step;
            int previous = reverse ? i + stride : i - stride;
            boolean isFirst = i / stride % n == (reverse ? n - 1 : 0);
            if (a.isFloat()) {
                partial[i] = isFirst ? a.number(i) : op.apply(partial[previous], a.number(i));
            } else {
                y.setInteger(i, isFirst ? a.integer(i) : op.applyInteger(y.integer(previous), a.integer(i)));
            }
        }
        if (a.isFloat()) {
            store(y, partial);
        }
        return handle(y);
    }

    // movement

    @Override
    public TensorHandle reshape(TensorHandle x, Shape shape) {
        return handle(array("reshape", x).copy(shape));
    }

    @Override
    public TensorHandle permute(TensorHandle x, int[] order) {
        HeapArray a = array("permute", x);
        long[] from = a.shape().strides();
        long[] dims = IntStream.of(order).mapToLong(axis -> a.shape().dim(axis)).toArray();
        long[] strides = IntStream.of(order).mapToLong(axis -> from[axis]).toArray();
        return handle(pick("permute", a, Shape.of(dims), 0, strides));
    }

    @Override
    public TensorHandle broadcastTo(TensorHandle x, Shape shape) {
        HeapArray a = array("broadcastTo", x);
        long[] from = a.shape().strides();
        long[] strides = new long[shape.rank()];
        int newAxes = shape.rank() - a.shape().rank();
        for (int axis = newAxes; axis < shape.rank(); axis++) {
            boolean isRepeated = a.shape().dim(axis - newAxes) == 1;
            strides[axis] = isRepeated ? 0 : from[axis - newAxes];
        }
        return handle(pick("broadcastTo", a, shape, 0, strides));
    }

    @Override
    public TensorHandle slice(TensorHandle x, long[] start, long[] stop) {
        HeapArray a = array("slice", x);
        long[] strides = a.shape().strides();
        long[] dims = IntStream.range(0, start.length).mapToLong(axis -> stop[axis] - start[axis]).toArray();
        return handle(pick("slice", a, Shape.of(dims), Positions.of(start, strides), strides));
    }

    @Override
    public TensorHandle pad(TensorHandle x, long[] before, long[] after, double value) {
        HeapArray a = array("pad", x);
        long[] dims = a.shape().toArray();
        for (int axis = 0; axis < dims.length; axis++) {
            dims[axis] += before[axis] + after[axis];
        }
        HeapArray y = allocate("pad", Shape.of(dims), a.dtype());
        y.fill(value);
        paste(y, before, a);
        return handle(y);
    }

    @Override
    public TensorHandle flip(TensorHandle x, int[] axes) {
        HeapArray a = array("flip", x);
        long[] strides = a.shape().strides();
        long last = 0;
        for (int axis : axes) {
            last += (a.shape().dim(axis) - 1) * strides[axis];
            strides[axis] = -strides[axis];
        }
        return handle(pick("flip", a, a.shape(), last, strides));
    }

    @Override
    public TensorHandle concat(TensorHandle[] xs, int axis) {
        HeapArray[] parts = Arrays.stream(xs).map(x -> array("concat", x)).toArray(HeapArray[]::new);
        long size = Arrays.stream(parts).mapToLong(part -> part.shape().dim(axis)).sum();
        HeapArray y = allocate("concat", parts[0].shape().with(axis, size), parts[0].dtype());
        long[] start = new long[y.shape().rank()];
        for (HeapArray part : parts) {
            paste(y, start, part);
            start[axis] += part.shape().dim(axis);
        }
        return handle(y);
    }

    @Override
    public TensorHandle contiguous(TensorHandle x) {
        HeapArray a = array("contiguous", x);
        return handle(a.copy(a.shape()));
    }

    // indexing

    @Override
    public TensorHandle gather(TensorHandle x, int axis, TensorHandle index) {
        HeapArray a = array("gather", x);
        HeapArray at = array("gather", index);
        HeapArray y = allocate("gather", at.shape(), a.dtype());
        int[] from = Positions.indexed("gather", a.shape(), axis, at, at.shape());
        for (int i = 0; i < y.length(); i++) {
            y.copy(i, a, from[i]);
        }
        return handle(y);
    }

    @Override
    public TensorHandle scatterAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        HeapArray a = array("scatterAdd", x);
        HeapArray b = array("scatterAdd", source);
        HeapArray at = array("scatterAdd", index);
        return handle(add(a, b, Positions.indexed("scatterAdd", a.shape(), axis, at, b.shape())));
    }

    @Override
    public TensorHandle indexSelect(TensorHandle x, int axis, TensorHandle index) {
        HeapArray a = array("indexSelect", x);
        HeapArray at = array("indexSelect", index);
        HeapArray y = allocate("indexSelect", a.shape().with(axis, at.length()), a.dtype());
        int[] from = Positions.indexed("indexSelect", a.shape(), axis, alongAxis(at, axis, y.shape()), y.shape());
        for (int i = 0; i < y.length(); i++) {
            y.copy(i, a, from[i]);
        }
        return handle(y);
    }

    @Override
    public TensorHandle indexAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source) {
        HeapArray a = array("indexAdd", x);
        HeapArray b = array("indexAdd", source);
        HeapArray at = alongAxis(array("indexAdd", index), axis, b.shape());
        return handle(add(a, b, Positions.indexed("indexAdd", a.shape(), axis, at, b.shape())));
    }

    @Override
    public TensorHandle topK(TensorHandle x, int k) {
        HeapArray a = array("topK", x);
        int n = (int) a.shape().dim(-1);
        HeapArray y = allocate("topK", a.shape().with(-1, k), DType.I64);
        for (int row = 0; row < (n == 0 ? 0 : a.length() / n); row++) {
            int start = row * n;
            // the sort is stable, so equal elements keep their ascending indices
            int[] best = IntStream.range(0, n).boxed()
                    .sorted((i, j) -> a.compare(start + j, start + i))
                    .limit(k).mapToInt(Integer::intValue).toArray();
            for (int rank = 0; rank < k; rank++) {
                y.setInteger(row * k + rank, best[rank]);
            }
        }
        return handle(y);
    }

    // contraction

    @Override
    public TensorHandle matmul(TensorHandle x, TensorHandle z, boolean transposeA, boolean transposeB) {
        HeapArray a = array("matmul", x);
        HeapArray b = array("matmul", z);
        int rows = (int) a.shape().dim(transposeA ? -1 : -2);
        int inner = (int) a.shape().dim(transposeA ? -2 : -1);
        int columns = (int) b.shape().dim(transposeB ? -2 : -1);
        HeapArray y = allocate("matmul", a.shape().with(-2, rows).with(-1, columns), a.dtype());
        for (int i = 0; i < y.length(); i++) {
            int column = i % columns;
            int row = i / columns % rows;
            int matrix = i / columns / rows;
            // elements (row, 0) of A and (0, column) of B, and the distance to their neighbours along the inner axis
            int fromA = matrix * rows * inner + (transposeA ? row : row * inner);
            int fromB = matrix * inner * columns + (transposeB ? column * inner : column);
            int stepA = transposeA ? rows : 1;
            int stepB = transposeB ? 1 : columns;
            if (y.isFloat()) {
                double sum = 0;
                for (int k = 0; k < inner; k++) {
                    sum += a.number(fromA + k * stepA) * b.number(fromB + k * stepB);
                }
                y.setNumber(i, sum);
            } else {
                long sum = 0;
                for (int k = 0; k < inner; k++) {
                    sum += a.integer(fromA + k * stepA) * b.integer(fromB + k * stepB);
                }
                y.setInteger(i, sum);
            }
        }
        return handle(y);
    }

    // what the operations share

    /** A tensor of the given shape whose element at coordinate c is element {@code offset + c . strides} of {@code a}. */
    private HeapArray pick(String op, HeapArray a, Shape shape, long offset, long[] strides) {
        HeapArray y = allocate(op, shape, a.dtype());
        int[] from = Positions.of(shape, offset, strides);
        for (int i = 0; i < y.length(); i++) {
            y.copy(i, a, from[i]);
        }
        return y;
    }

    /** Writes {@code source} into {@code target} from coordinate {@code start} on. */
    private static void paste(HeapArray target, long[] start, HeapArray source) {
        long[] strides = target.shape().strides();
        int[] to = Positions.of(source.shape(), Positions.of(start, strides), strides);
        for (int i = 0; i < source.length(); i++) {
            target.copy(to[i], source, i);
        }
    }

    /** A vector of indices repeated over {@code shape}, with the vector along {@code axis}. */
    private HeapArray alongAxis(HeapArray index, int axis, Shape shape) {
        long[] strides = new long[shape.rank()];
        strides[axis] = 1;
        return pick("index", index, shape, 0, strides);
    }

    /** A copy of {@code a} with element i of {@code b} added at {@code to[i]}; sums are rounded once, at the end. */
    private static HeapArray add(HeapArray a, HeapArray b, int[] to) {
        HeapArray y = a.copy(a.shape());
        if (!a.isFloat()) {
            for (int i = 0; i < to.length; i++) {
                y.setInteger(to[i], y.integer(to[i]) + b.integer(i));
            }
            return y;
        }
        double[] sums = new double[y.length()];
        Arrays.setAll(sums, a::number);
        for (int i = 0; i < to.length; i++) {
            sums[to[i]] += b.number(i);
        }
        store(y, sums);
        return y;
    }

    private static void store(HeapArray y, double[] values) {
        for (int i = 0; i < values.length; i++) {
            y.setNumber(i, values[i]);
        }
    }

    private static int stride(Shape shape, int axis) {
        return (int) shape.strides()[axis];
    }

    // life of handles

    private HeapArray allocate(String op, Shape shape, DType dtype) {
        String request = dtype + shape.toString();
        if (shape.size() > Integer.MAX_VALUE - 8) {
            throw new OutOfDeviceMemoryException(op, "at most 2^31 - 9 elements, the size of a Java array", request);
        }
        try {
            return new HeapArray(shape, dtype);
        } catch (OutOfMemoryError error) {
            String message = "[" + op + "] the Java heap has no room for " + request + "; live tensors: " + memory(0);
            throw new OutOfDeviceMemoryException(message, error);
        }
    }

    private TensorHandle handle(HeapArray array) {
        count(1, array.bytes());
        return new ReferenceTensor(this, array);
    }

    private synchronized void count(int handles, long bytes) {
        liveHandles += handles;
        liveBytes += bytes;
        peakBytes = Math.max(peakBytes, liveBytes);
    }

    private HeapArray array(String op, TensorHandle x) {
        return own(op, x).array(op);
    }

    private ReferenceTensor own(String op, TensorHandle x) {
        guard.checkOpen(op);
        if (x instanceof ReferenceTensor tensor && tensor.owner() == this) {
            return tensor;
        }
        throw BackendGuard.foreign(op, x);
    }
}
