package dev.sequent.spi;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * The operations from which everything else is built: about forty methods, closed under differentiation.
 *
 * <p>Callers (the tensor package) have checked shapes, dtypes and devices before they call; a backend may assert, and need not
 * check again. Unless a method says otherwise its operands have equal dtypes, axes are in {@code [0, rank)}, and the result
 * has the dtype of the first operand. Operands are never changed, except the first one of {@link #write}. A result may share
 * memory with an operand; that is unobservable because handles are values, and {@link #write} is only applied to handles that the
 * caller allocated with {@link #full} or {@link #upload} and of which no derived handle is live.
 *
 * <p>Arithmetic on F16 and BF16 is done in at least F32 and rounded once per operation. Integers are exact, as
 * {@link BinaryOp#applyInteger} and its siblings say. The same operands give the same bits every time, whatever the number of
 * threads. A released handle, a device that does not exist and any call after {@link #close} are answered with a typed error.
 * Thread-safe.
 */
public interface Backend extends AutoCloseable {
    // identity

    /** Name under which the backend is opened, for example {@code cpu}. */
    String name();

    /** Number of devices; they are numbered from 0. */
    int deviceCount();

    /** What a device can do. */
    Capabilities capabilities(int device);

    /** Memory in use on a device. */
    MemoryStats memory(int device);

    /** Returns when all work given to a device has been done. */
    void synchronize(int device);

    /** An optional facility of this backend, such as {@link HostMemory}. */
    <T> Optional<T> facility(Class<T> type);

    /** Releases everything. Handles become invalid; any later call fails with a typed error. */
    @Override
    void close();

    // storage

    /** A tensor filled with {@code value}. */
    TensorHandle full(Shape shape, DType dtype, double value, int device);

    /**
     * Copies row-major little-endian elements to a device. {@code source}, of any byte order, has exactly the tensor's bytes between
     * position and limit.
     */
    TensorHandle upload(ByteBuffer source, Shape shape, DType dtype, int device);

    /** Copies a tensor's elements, row-major and little-endian, into {@code target} between its position and limit. */
    void download(TensorHandle x, ByteBuffer target);

    /** Ends the life of a handle. */
    void release(TensorHandle x);

    /** Another handle to the same value; both are released independently. */
    TensorHandle share(TensorHandle x);

    /**
     * Writes {@code source} into {@code target}, whose element {@code start} along every axis receives source's element 0. The only
     * mutation.
     */
    void write(TensorHandle target, long[] start, TensorHandle source);

    // generation

    /** 0, 1, 2, ... of length {@code n} in a numeric dtype. */
    TensorHandle iota(long n, DType dtype, int device);

    /**
     * Uniform numbers in [0, 1) by Philox 4x32-10: element i is the top 24 bits of word {@code (offset + i) mod 4} of block
     * {@code (offset + i) div 4} under key {@code seed}, divided by 2^24 and then rounded to the dtype (toward zero). The same
     * bits on every backend.
     */
    TensorHandle randomUniform(Shape shape, DType dtype, long seed, long offset, int device);

    // elementwise

    /** Applies a function to every element. */
    TensorHandle unary(UnaryOp op, TensorHandle x);

    /** Combines two tensors of equal shape. */
    TensorHandle binary(BinaryOp op, TensorHandle a, TensorHandle b);

    /** Combines a tensor with a scalar, {@code op(x, s)}, or {@code op(s, x)} when {@code reversed}. */
    TensorHandle binaryScalar(BinaryOp op, TensorHandle x, double s, boolean reversed);

    /** Compares two tensors of equal shape; the result is BOOL. */
    TensorHandle compare(CompareOp op, TensorHandle a, TensorHandle b);

    /** Elements of {@code a} where the BOOL {@code condition} holds, else of {@code b}; all three have equal shapes. */
    TensorHandle where(TensorHandle condition, TensorHandle a, TensorHandle b);

    /**
     * Converts to another dtype: floats round to nearest even (F64 may go to 16 bits by way of F32), floats to integers truncate
     * toward zero, to BOOL is {@code != 0}. What NaN or a number out of range becomes as an integer is left open.
     */
    TensorHandle cast(TensorHandle x, DType dtype);

    // reductions and scans

    /**
     * Reduces along {@code axes} (ascending), which have size 1 in the result; numeric dtypes. Sums and products accumulate in at
     * least F32; NaN decides maximum and minimum, too. An empty reduction gives the identity, for integers the dtype's extreme.
     */
    TensorHandle reduce(ReduceOp op, TensorHandle x, int[] axes);

    /**
     * I64 index of the first largest ({@code MAX}) or smallest ({@code MIN}) element along {@code axis}, which is not empty and has
     * size 1 in the result. NaN counts as the extreme.
     */
    TensorHandle argReduce(ReduceOp op, TensorHandle x, int axis);

    /** Inclusive cumulative reduction along {@code axis}, from the end when {@code reverse}. */
    TensorHandle scan(ReduceOp op, TensorHandle x, int axis, boolean reverse);

    // movement

    /** The same elements in row-major order under another shape of equal size. */
    TensorHandle reshape(TensorHandle x, Shape shape);

    /** Axis i of the result is axis {@code order[i]} of x. */
    TensorHandle permute(TensorHandle x, int[] order);

    /** Repeats axes of size 1, and new outer axes, to {@code shape}. */
    TensorHandle broadcastTo(TensorHandle x, Shape shape);

    /** The elements with {@code start[i] <= index < stop[i]} along every axis i. */
    TensorHandle slice(TensorHandle x, long[] start, long[] stop);

    /** Adds {@code before[i]} and {@code after[i]} elements of {@code value} along every axis i. */
    TensorHandle pad(TensorHandle x, long[] before, long[] after, double value);

    /** Reverses the order of elements along {@code axes}. */
    TensorHandle flip(TensorHandle x, int[] axes);

    /** Joins tensors that differ only in the size of {@code axis}. */
    TensorHandle concat(TensorHandle[] xs, int axis);

    /** The same value laid out without gaps or repetition. */
    TensorHandle contiguous(TensorHandle x);

    // indexing: index tensors are I64 or I32 and in range, except that a backend must not touch memory outside the tensor

    /** {@code y[..., i, ...] = x[..., index[..., i, ...], ...]} along {@code axis}; x and index have equal sizes on all other axes. */
    TensorHandle gather(TensorHandle x, int axis, TensorHandle index);

    /**
     * A copy of {@code x} to which {@code source[..., i, ...]} is added at {@code index[..., i, ...]} along {@code axis}; repeated indices
     * add up in ascending order.
     */
    TensorHandle scatterAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source);

    /** Whole slices of x along {@code axis}, chosen by a vector of indices. */
    TensorHandle indexSelect(TensorHandle x, int axis, TensorHandle index);

    /**
     * A copy of {@code x} to whose slices along {@code axis} the slices of {@code source} are added; repeated indices add up in ascending
     * order.
     */
    TensorHandle indexAdd(TensorHandle x, int axis, TensorHandle index, TensorHandle source);

    /** I64 indices of the k largest elements along the last axis, in descending order of value, NaN first, ties by ascending index. */
    TensorHandle topK(TensorHandle x, int k);

    // contraction

    /**
     * Matrix product of the two innermost axes, each optionally transposed; outer axes are equal. Accumulates in at least F32.
     * A backend may choose the order of summation.
     */
    TensorHandle matmul(TensorHandle a, TensorHandle b, boolean transposeA, boolean transposeB);
}
