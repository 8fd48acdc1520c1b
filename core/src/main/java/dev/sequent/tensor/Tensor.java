package dev.sequent.tensor;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.Op;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.DeviceMismatchException;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * An n-dimensional array of numbers on a {@link Device}. A value: no method changes it, except {@link #write}.
 *
 * <p>Names, negative axes and broadcasting follow numpy and PyTorch. Two operands must have the same dtype; nothing is promoted
 * implicitly, only scalar literals take the tensor's dtype. Every method checks shapes, dtypes and devices and throws
 * {@link ShapeException}, {@link DTypeException} or {@link dev.sequent.type.DeviceMismatchException}, whose message names the
 * operation; a tensor used after its release throws {@link ReleasedTensorException}.
 *
 * <p>A new tensor belongs to the innermost {@link Scope} of the current thread. Without a scope it belongs to the caller, who
 * closes it; what a method needs on the way to its result is released there and then. A method with nothing to do (a sum over no axis, a
 * cast to the tensor's own dtype) answers with the tensor itself. Reading a tensor from several threads is safe; closing it while
 * another thread uses it is not.
 */
public final class Tensor extends TensorFunctions implements AutoCloseable {
    private final Device device;
    private final Shape shape;
    private final DType dtype;
    /** Stands for the value in derivative records; shared by all tensors that are this same value. */
    private final Object identity;
    private volatile TensorHandle handle;
    private Scope scope;
    private int slot;
    private LeakReport leak;

    private Tensor(Device device, TensorHandle handle, Object identity) {
        this.device = device;
        this.handle = handle;
        this.shape = handle.shape();
        this.dtype = handle.dtype();
        this.identity = identity == null ? new Object() : identity;
    }

    // making tensors

    /** A tensor for a handle that a backend has just returned; it joins the innermost scope and will release the handle. */
    public static Tensor wrap(Device device, TensorHandle handle) {
        return join(new Tensor(device, handle, null));
    }

    private static Tensor join(Tensor t) {
        Scope scope = ThreadContext.current().scope;
        if (scope == null) {
            t.leaveScopes();
        } else {
            scope.add(t);
        }
        return t;
    }

    /** A tensor filled with {@code value}. */
    public static Tensor full(Device device, DType dtype, double value, long... shape) {
        DTypeChecks.requireSupport(device, dtype, "full");
        return wrap(device, device.backend().full(Shape.of(shape), dtype, value, device.index()));
    }

    /** A tensor of zeros. */
    public static Tensor zeros(Device device, DType dtype, long... shape) {
        return full(device, dtype, 0, shape);
    }

    /** A tensor of ones. */
    public static Tensor ones(Device device, DType dtype, long... shape) {
        return full(device, dtype, 1, shape);
    }

    /** The F32 numbers 0, 1, ..., n - 1. */
    public static Tensor arange(Device device, long n) {
        return arange(device, DType.F32, n);
    }

    /** The numbers 0, 1, ..., n - 1. */
    public static Tensor arange(Device device, DType dtype, long n) {
        DTypeChecks.requireSupport(device, dtype, "arange");
        if (dtype == DType.BOOL) {
            throw new DTypeException("arange", "a numeric dtype", dtype.toString());
        }
        return wrap(device, device.backend().iota(n, dtype, device.index()));
    }

    /** An F32 tensor with the given row-major elements; without sizes, a vector. */
    public static Tensor of(Device device, float[] data, long... shape) {
        return HostData.upload(device, data, shape);
    }

    /** An F64 tensor with the given row-major elements; without sizes, a vector. */
    public static Tensor of(Device device, double[] data, long... shape) {
        return HostData.upload(device, data, shape);
    }

    /** An I32 tensor with the given row-major elements; without sizes, a vector. */
    public static Tensor of(Device device, int[] data, long... shape) {
        return HostData.upload(device, data, shape);
    }

    /** An I64 tensor with the given row-major elements; without sizes, a vector. */
    public static Tensor of(Device device, long[] data, long... shape) {
        return HostData.upload(device, data, shape);
    }

    /** A BOOL tensor with the given row-major elements; without sizes, a vector. */
    public static Tensor of(Device device, boolean[] data, long... shape) {
        return HostData.upload(device, data, shape);
    }

    // what a tensor is

    /** Where it lives. */
    public Device device() {
        return device;
    }

    /** Sizes of its axes. */
    public Shape shape() {
        return shape;
    }

    /** Element type. */
    public DType dtype() {
        return dtype;
    }

    /** Size of an axis, which may be negative. */
    public long dim(int axis) {
        return shape.dim(axis);
    }

    /** Number of axes. */
    public int rank() {
        return shape.rank();
    }

    /** Number of elements. */
    public long size() {
        return shape.size();
    }

    /** Asserts a shape, and documents it: {@code x.expect("x", B, T, D)}; -1 accepts any size. */
    public Tensor expect(String name, long... sizes) {
        boolean fits = sizes.length == rank();
        for (int i = 0; fits && i < sizes.length; i++) {
            fits = sizes[i] == -1 || sizes[i] == shape.dim(i);
        }
        if (!fits) {
            throw new ShapeException(name, "shape " + Arrays.toString(sizes).replace('[', '(').replace(']', ')').replace("-1", "any"),
                    shape.toString());
        }
        return this;
    }

    // ownership

    /** The backend's handle, for kernels. Throws once the tensor has been released. */
    public TensorHandle handle() {
        TensorHandle h = handle;
        if (h == null) {
            throw new ReleasedTensorException("tensor", "a live tensor",
                    "one of shape " + shape + " that has been released; keep it in an outer scope or own() it");
        }
        return h;
    }

    TensorHandle handle(Op op) {
        TensorHandle h = handle;
        if (h == null) {
            throw new ReleasedTensorException(op.label(), "live tensors",
                    "one of shape " + shape + " that has been released; keep it in an outer scope or own() it");
        }
        return h;
    }

    /** True after {@link #close}. */
    public boolean isReleased() {
        return handle == null;
    }

    /** Identifies the value in derivative records; equal for a tensor and its {@link #alias}. */
    public Object identity() {
        return identity;
    }

    /** Another tensor with this same value and identity, with a life of its own. */
    public Tensor alias() {
        return join(new Tensor(device, device.backend().share(handle()), identity));
    }

    /** The same value under a new identity: derivatives do not flow through. */
    public Tensor detach() {
        return join(new Tensor(device, device.backend().share(handle()), null));
    }

    /** Takes this tensor out of its scope; the caller now closes it. */
    public Tensor own() {
        handle();
        if (scope != null) {
            scope.remove(this);
            leaveScopes();
        }
        return this;
    }

    /** Releases the memory. Closing twice is harmless. */
    @Override
    public void close() {
        TensorHandle h = handle;
        if (h != null) {
            handle = null;
            if (scope != null) {
                scope.remove(this);
                scope = null;
            }
            settleLeak();
            device.backend().release(h);
        }
    }

    Scope scope() {
        return scope;
    }

    int slot() {
        return slot;
    }

    void enter(Scope scope, int slot) {
        this.scope = scope;
        this.slot = slot;
        settleLeak();
    }

    void leaveScopes() {
        this.scope = null;
        this.leak = LeakReport.watch(this);
    }

    private void settleLeak() {
        if (leak != null) {
            leak.settle();
            leak = null;
        }
    }

    /**
     * Overwrites the box of this tensor that starts at {@code start} with {@code source}: the only mutation, for caches and optimizers. Not
     * recorded for derivatives.
     *
     * <p>Only for tensors that were made by {@link #full}, {@link #of} and their like: whether a tensor that was derived from this one
     * changes with it, or this one with the tensor that it was derived from, is up to the backend. {@code source} shares nothing with it.
     */
    public void write(Tensor source, long... start) {
        Axes.requireBox("write", shape, start, source.shape);
        DTypeChecks.requireSame("write", this, source);
        if (!source.device.equals(device)) {
            throw new DeviceMismatchException("write", "tensors of one device", device + " and " + source.device);
        }
        device.backend().write(handle(), start, source.handle());
    }

    // elementwise functions

    /** Applies an elementwise function. */
    @Override
    public Tensor unary(UnaryOp f) {
        boolean fits = f == UnaryOp.NOT ? dtype == DType.BOOL
                : dtype.isFloat() || dtype.isInteger() && (f == UnaryOp.NEG || f == UnaryOp.ABS || f == UnaryOp.SIGN
                || f == UnaryOp.SQUARE);
        DTypeChecks.require(fits, f.name().toLowerCase(java.util.Locale.ROOT), f == UnaryOp.NOT ? "dtype BOOL" : "a float dtype", this);
        return Dispatch.apply(new Op.Unary(f), this);
    }

    /** Combines with another tensor elementwise, under broadcasting. */
    @Override
    public Tensor binary(BinaryOp f, Tensor other) {
        String op = f.name().toLowerCase(java.util.Locale.ROOT);
        boolean logical = f == BinaryOp.AND || f == BinaryOp.OR;
        DTypeChecks.require(logical == (dtype == DType.BOOL), op, logical ? "dtype BOOL" : "a numeric dtype", this);
        DTypeChecks.requireSame(op, this, other);
        if (shape.equals(other.shape)) {
            return Dispatch.apply(new Op.Binary(f), this, other);
        }
        Shape common = Shape.broadcast(op, shape, other.shape);
        return composed(() -> Dispatch.apply(new Op.Binary(f), broadcastTo(common), other.broadcastTo(common)));
    }

    /** Combines with a number elementwise: f(x, s), or f(s, x) when reversed. Integers combine with whole numbers only. */
    @Override
    public Tensor binary(BinaryOp f, double s, boolean reversed) {
        String op = f.name().toLowerCase(java.util.Locale.ROOT);
        DTypeChecks.require(dtype != DType.BOOL, op, "a numeric dtype", this);
        DTypeChecks.require(f != BinaryOp.AND && f != BinaryOp.OR, op, "two operands of dtype BOOL", this);
        DTypeChecks.requireExpressible(op, this, s);
        return Dispatch.apply(new Op.Scalar(f, s, reversed), this);
    }

    /** Compares elementwise, under broadcasting; the result is BOOL. */
    public Tensor compare(CompareOp f, Tensor y) {
        String op = f.name().toLowerCase(java.util.Locale.ROOT);
        DTypeChecks.requireSame(op, this, y);
        Shape common = Shape.broadcast(op, shape, y.shape);
        return composed(() -> Dispatch.apply(new Op.Compare(f), broadcastTo(common), y.broadcastTo(common)));
    }

    /** Compares with a number elementwise; the result is BOOL. Integers compare with whole numbers only. */
    public Tensor compare(CompareOp f, double s) {
        DTypeChecks.requireExpressible(f.name().toLowerCase(java.util.Locale.ROOT), this, s);
        return composed(() -> compare(f, full(device, dtype, s)));
    }

    /** Elements of {@code a} where this BOOL tensor holds, else of {@code b}, under broadcasting. */
    public Tensor where(Tensor a, Tensor b) {
        DTypeChecks.require(dtype == DType.BOOL, "where", "a condition of dtype BOOL", this);
        DTypeChecks.requireSame("where", a, b);
        Shape common = Shape.broadcast("where", shape, Shape.broadcast("where", a.shape, b.shape));
        return composed(() -> Dispatch.apply(new Op.Where(), broadcastTo(common), a.broadcastTo(common), b.broadcastTo(common)));
    }

    /** Conversion to another dtype; this tensor itself when it has it already. */
    public Tensor cast(DType to) {
        DTypeChecks.requireSupport(device, to, "cast");
        return to == dtype ? this : Dispatch.apply(new Op.Cast(to), this);
    }

    // reductions

    /** Reduces along axes (all when none are given), which keep size 1 or vanish. */
    @Override
    public Tensor reduce(ReduceOp f, boolean keepDims, int... axes) {
        DTypeChecks.require(dtype != DType.BOOL, f.name().toLowerCase(java.util.Locale.ROOT), "a numeric dtype", this);
        int[] sorted = Axes.normalise(f.name().toLowerCase(java.util.Locale.ROOT), shape, axes);
        if (sorted.length == 0) {
            return this;
        }
        Op op = new Op.Reduce(f, sorted);
        return keepDims ? Dispatch.apply(op, this) : composed(() -> Dispatch.apply(op, this).reshape(Axes.drop(shape, sorted)));
    }

    /** Mean along axes (all when none are given), which vanish. */
    public Tensor mean(int... axes) {
        DTypeChecks.require(dtype.isFloat(), "mean", "a float dtype", this);
        long n = 1;
        for (int a : Axes.normalise("mean", shape, axes)) {
            n *= dim(a);
        }
        double count = n;
        return composed(() -> sum(axes).div(count));
    }

    /** I64 index of the first largest element along an axis, which vanishes. */
    public Tensor argmax(int axis) {
        int a = shape.axis(axis);
        if (dim(a) == 0) {
            throw new ShapeException("argmax", "a non-empty axis", "axis " + axis + " of " + shape);
        }
        return composed(() -> Dispatch.apply(new Op.ArgReduce(ReduceOp.MAX, a), this).reshape(shape.without(a)));
    }

    /** Cumulative reduction along an axis, from its end when {@code reverse}. */
    @Override
    public Tensor cumulative(ReduceOp f, int axis, boolean reverse) {
        DTypeChecks.require(dtype != DType.BOOL, "cumulative", "a numeric dtype", this);
        return Dispatch.apply(new Op.Cumulative(f, shape.axis(axis), reverse), this);
    }

    // movement

    /** The same elements under another shape; one size may be -1 and is inferred. */
    public Tensor reshape(long... sizes) {
        return reshape(Axes.infer(shape, sizes));
    }

    /** The same elements under another shape. */
    public Tensor reshape(Shape to) {
        if (to.size() != size()) {
            throw new ShapeException("reshape", "a shape of " + size() + " elements", to.toString());
        }
        return to.equals(shape) ? this : Dispatch.apply(new Op.Reshape(to), this);
    }

    /** Axis i of the result is axis {@code order[i]} of this tensor. */
    public Tensor permute(int... order) {
        return Dispatch.apply(new Op.Permute(Axes.permutation(shape, order)), this);
    }

    /** Exchanges two axes. */
    public Tensor transpose(int a, int b) {
        int[] order = Axes.identity(rank());
        order[shape.axis(a)] = shape.axis(b);
        order[shape.axis(b)] = shape.axis(a);
        return permute(order);
    }

    /** Repetition along axes of size 1 and new outer axes. */
    public Tensor broadcastTo(Shape to) {
        if (to.equals(shape)) {
            return this;
        }
        if (!shape.broadcastsTo(to)) {
            throw new ShapeException("broadcast", "a shape that broadcasts to " + to, shape.toString());
        }
        return Dispatch.apply(new Op.BroadcastTo(to), this);
    }

    /** The indices {@code [start, stop)} of one axis. */
    public Tensor slice(int axis, long start, long stop) {
        int a = shape.axis(axis);
        if (start < 0 || stop < start || stop > dim(a)) {
            throw new ShapeException("slice", "0 <= start <= stop <= " + dim(a),
                    "[" + start + ", " + stop + ") of axis " + axis + " of " + shape);
        }
        if (start == 0 && stop == dim(a)) {
            return this;
        }
        long[] from = new long[rank()];
        long[] to = shape.toArray();
        from[a] = start;
        to[a] = stop;
        return Dispatch.apply(new Op.Slice(from, to), this);
    }

    /** One index of an axis, which vanishes. */
    public Tensor select(int axis, long index) {
        return composed(() -> slice(axis, index, index + 1).reshape(shape.without(axis)));
    }

    /** Consecutive pieces of the given sizes along an axis. */
    public Tensor[] split(int axis, long... sizes) {
        if (Arrays.stream(sizes).sum() != dim(axis)) {
            throw new ShapeException("split", "sizes that add up to " + dim(axis), Arrays.toString(sizes));
        }
        Tensor[] parts = new Tensor[sizes.length];
        long at = 0;
        for (int i = 0; i < sizes.length; i++) {
            parts[i] = slice(axis, at, at += sizes[i]);
        }
        return parts;
    }

    /** Without an axis of size 1. */
    public Tensor squeeze(int axis) {
        if (dim(axis) != 1) {
            throw new ShapeException("squeeze", "size 1", "axis " + axis + " of " + shape);
        }
        return reshape(shape.without(axis));
    }

    /** With a new axis of size 1. */
    public Tensor unsqueeze(int axis) {
        return reshape(shape.insert(axis, 1));
    }

    /** A constant border along one axis. */
    public Tensor pad(int axis, long before, long after, double value) {
        if (before < 0 || after < 0) {
            throw new ShapeException("pad", "sizes of at least 0", before + " and " + after);
        }
        long[] b = new long[rank()];
        long[] a = new long[rank()];
        b[shape.axis(axis)] = before;
        a[shape.axis(axis)] = after;
        return Dispatch.apply(new Op.Pad(b, a, value), this);
    }

    /** Reversed order along axes. */
    public Tensor flip(int... axes) {
        return Dispatch.apply(new Op.Flip(Axes.normalise("flip", shape, axes)), this);
    }

    /** Joins tensors along an axis. */
    public static Tensor concat(int axis, Tensor... parts) {
        Axes.requireJoinable(axis, parts);
        return parts.length == 1 ? parts[0] : Dispatch.apply(new Op.Concat(parts[0].shape.axis(axis)), parts);
    }

    /** Joins tensors of equal shape along a new axis. */
    public static Tensor stack(int axis, Tensor... parts) {
        return composed(() -> concat(axis, Arrays.stream(parts).map(t -> t.unsqueeze(axis)).toArray(Tensor[]::new)));
    }

    /** The same value, laid out densely. */
    public Tensor contiguous() {
        return Dispatch.apply(new Op.Contiguous(), this);
    }

    // indexing

    /** {@code y[..., i, ...] = x[..., index[..., i, ...], ...]} along an axis; all other sizes are equal. */
    public Tensor gather(int axis, Tensor index) {
        Axes.requireGather("gather", this, axis, index);
        return Dispatch.apply(new Op.Gather(shape.axis(axis)), this, index);
    }

    /** This tensor plus {@code source[..., i, ...]} at {@code index[..., i, ...]} along an axis. */
    public Tensor scatterAdd(int axis, Tensor index, Tensor source) {
        Axes.requireGather("scatterAdd", this, axis, index);
        source.expect("scatterAdd source", index.shape.toArray());
        DTypeChecks.requireSame("scatterAdd", this, source);
        return Dispatch.apply(new Op.ScatterAdd(shape.axis(axis)), this, index, source);
    }

    /** Whole slices along an axis, chosen by a vector of indices. */
    public Tensor indexSelect(int axis, Tensor index) {
        Axes.requireVectorIndex("indexSelect", index);
        return Dispatch.apply(new Op.IndexSelect(shape.axis(axis)), this, index);
    }

    /** This tensor with slices of {@code source} added to its slices along an axis. */
    public Tensor indexAdd(int axis, Tensor index, Tensor source) {
        Axes.requireVectorIndex("indexAdd", index);
        source.expect("indexAdd source", shape.with(axis, index.size()).toArray());
        DTypeChecks.requireSame("indexAdd", this, source);
        return Dispatch.apply(new Op.IndexAdd(shape.axis(axis)), this, index, source);
    }

    /** I64 indices of the k largest elements of the last axis, largest first. */
    public Tensor topK(int k) {
        if (rank() == 0 || k < 1 || k > dim(-1)) {
            throw new ShapeException("topK", "1 <= k <= size of the last axis", "k = " + k + " for " + shape);
        }
        return Dispatch.apply(new Op.TopK(k), this);
    }

    // contraction

    /** Matrix product over the two innermost axes; outer axes broadcast. */
    public Tensor matmul(Tensor other) {
        return matmul(other, false, false);
    }

    /** Matrix product over the two innermost axes, each optionally transposed; outer axes broadcast. */
    public Tensor matmul(Tensor other, boolean transposeThis, boolean transposeOther) {
        DTypeChecks.require(dtype != DType.BOOL, "matmul", "a numeric dtype", this);
        DTypeChecks.requireSame("matmul", this, other);
        Axes.requireMatmul(this, other, transposeThis, transposeOther);
        Shape outer = Shape.broadcast("matmul", Axes.outer(shape), Axes.outer(other.shape));
        Op op = new Op.MatMul(transposeThis, transposeOther);
        if (rank() == 2 && other.rank() == 2) {
            return Dispatch.apply(op, this, other);
        }
        Shape left = Axes.join(outer, dim(-2), dim(-1));
        Shape right = Axes.join(outer, other.dim(-2), other.dim(-1));
        return composed(() -> Dispatch.apply(op, broadcastTo(left), other.broadcastTo(right)));
    }

    // reading

    /** All elements, row-major, as floats. */
    public float[] toFloats() {
        return HostData.floats(this);
    }

    /** All elements, row-major, as doubles. */
    public double[] toDoubles() {
        return HostData.doubles(this);
    }

    /** All elements of an integer or BOOL tensor, row-major. */
    public long[] toLongs() {
        return HostData.longs(this);
    }

    /** The only element. */
    public double item() {
        if (size() != 1) {
            throw new ShapeException("item", "one element", shape.toString());
        }
        return toDoubles()[0];
    }

    /** Shape, dtype and device, for example {@code F32(2, 3)@cpu:0}. */
    @Override
    public String toString() {
        return dtype + "" + shape + "@" + device + (handle == null ? " released" : "");
    }

    /** Runs several primitives; where no scope takes what they leave on the way, one is opened for it. */
    static Tensor composed(Supplier<Tensor> primitives) {
        return ThreadContext.current().scope == null ? Scope.returning(primitives) : primitives.get();
    }
}
