package dev.sequent.backend.djl;

import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.stream.IntStream;

/** Views where PyTorch's strides can express them, and copies where not. Stateless. */
final class Movement {
    private Movement() {}

    static TensorHandle reshape(Call c, TensorHandle x, Shape shape) {
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
    }

    static TensorHandle permute(Call c, TensorHandle x, int[] order) {
        Cell cell = c.cell(x);
        Shape shape = Shape.of(Arrays.stream(order).mapToLong(x.shape()::dim).toArray());
        long[] from = cell.strides();
        long[] strides = from == null ? null : Arrays.stream(order).mapToLong(axis -> from[axis]).toArray();
        PtNDArray y = JniUtils.permute(cell.array(), Arrays.stream(order).asLongStream().toArray());
        return c.view(cell, y, shape, x.dtype(), strides);
    }

    static TensorHandle broadcastTo(Call c, TensorHandle x, Shape shape) {
        Cell cell = c.cell(x);
        if (shape.equals(x.shape())) {
            return c.share(x, cell);
        }
        long[] from = cell.strides();
        int added = shape.rank() - x.shape().rank();
        long[] strides = from == null ? null : IntStream.range(0, shape.rank())
                .mapToLong(i -> i < added || x.shape().dim(i - added) != shape.dim(i) ? 0 : from[i - added]).toArray();
        return c.view(cell, JniUtils.broadcast(cell.array(), Types.shape(shape)), shape, x.dtype(), strides);
    }

    static TensorHandle slice(Call c, TensorHandle x, long[] start, long[] stop) {
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
    }

    static TensorHandle pad(Call c, TensorHandle x, long[] before, long[] after, double value) {
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
    }

    static TensorHandle flip(Call c, TensorHandle x, int[] axes) {
        Cell cell = c.cell(x);
        if (axes.length == 0) {
            return c.share(x, cell);
        }
        c.reserve(x.shape(), x.dtype());
        return c.elementwise(JniUtils.flip(cell.array(), Arrays.stream(axes).asLongStream().toArray()), x.shape(), x.dtype());
    }

    static TensorHandle concat(Call c, TensorHandle[] xs, int axis) {
        PtNDArray[] parts = Arrays.stream(xs).map(c::array).toArray(PtNDArray[]::new);
        Shape shape = xs[0].shape().with(axis, Arrays.stream(xs).mapToLong(x -> x.shape().dim(axis)).sum());
        c.reserve(shape, xs[0].dtype());
        return c.elementwise(JniUtils.cat(parts, axis), shape, xs[0].dtype());
    }

    static TensorHandle contiguous(Call c, TensorHandle x) {
        Cell cell = c.cell(x);
        if (cell.isDense()) {
            return c.share(x, cell);
        }
        c.reserve(x.shape(), x.dtype());
        return c.dense(c.copy(cell.array(), x.shape(), x.dtype()), x.shape(), x.dtype());
    }
}
