package dev.sequent.tensor;

import dev.sequent.type.DTypeException;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.util.Arrays;

/** Checks and arithmetic on axes and shapes for {@link Tensor}'s methods. */
final class Axes {
    private Axes() {}

    /** Ascending axes in [0, rank); all of them when none are given. */
    static int[] normalise(String op, Shape shape, int... axes) {
        if (axes.length == 0) {
            return identity(shape.rank());
        }
        int[] sorted = Arrays.stream(axes).map(shape::axis).sorted().distinct().toArray();
        if (sorted.length != axes.length) {
            throw new ShapeException(op, "different axes", Arrays.toString(axes));
        }
        return sorted;
    }

    static int[] identity(int rank) {
        int[] order = new int[rank];
        Arrays.setAll(order, i -> i);
        return order;
    }

    static int[] permutation(Shape shape, int... order) {
        int[] axes = Arrays.stream(order).map(shape::axis).toArray();
        if (axes.length != shape.rank() || Arrays.stream(axes).distinct().count() != axes.length) {
            throw new ShapeException("permute", "each axis of " + shape + " once", Arrays.toString(order));
        }
        return axes;
    }

    static Shape drop(Shape shape, int... sortedAxes) {
        Shape s = shape;
        for (int i = sortedAxes.length - 1; i >= 0; i--) {
            s = s.without(sortedAxes[i]);
        }
        return s;
    }

    /** Replaces a single -1 by the size that makes the element counts equal. */
    static Shape infer(Shape from, long... sizes) {
        long known = 1;
        int unknown = -1;
        for (int i = 0; i < sizes.length; i++) {
            if (sizes[i] == -1 && unknown < 0) {
                unknown = i;
            } else {
                known *= sizes[i];
            }
        }
        if (unknown < 0) {
            return Shape.of(sizes);
        }
        if (known <= 0 || from.size() % known != 0) {
            throw new ShapeException("reshape", "sizes that divide " + from.size() + " elements", Arrays.toString(sizes));
        }
        long[] full = sizes.clone();
        full[unknown] = from.size() / known;
        return Shape.of(full);
    }

    static void requireJoinable(int axis, Tensor... parts) {
        if (parts.length == 0) {
            throw new ShapeException("concat", "at least one tensor", "none");
        }
        Tensor first = parts[0];
        int a = first.shape().axis(axis);
        for (Tensor t : parts) {
            if (t.rank() != first.rank() || !t.shape().with(a, 0).equals(first.shape().with(a, 0))) {
                throw new ShapeException("concat", "shapes that differ only along axis " + axis, first.shape() + " and " + t.shape());
            }
            if (t.dtype() != first.dtype()) {
                throw new DTypeException("concat", "tensors of one dtype", first.dtype() + " and " + t.dtype());
            }
        }
    }

    static void requireIndexType(String op, Tensor index) {
        if (!index.dtype().isInteger()) {
            throw new DTypeException(op, "an index of dtype I64 or I32", index.dtype().toString());
        }
    }

    static void requireVectorIndex(String op, Tensor index) {
        requireIndexType(op, index);
        if (index.rank() != 1) {
            throw new ShapeException(op, "a vector of indices", index.shape().toString());
        }
    }

    static void requireGather(String op, Tensor x, int axis, Tensor index) {
        requireIndexType(op, index);
        int a = x.shape().axis(axis);
        if (index.rank() != x.rank() || !index.shape().with(a, 0).equals(x.shape().with(a, 0))) {
            throw new ShapeException(op, "an index that differs from " + x.shape() + " only along axis " + axis, index.shape().toString());
        }
    }

    static void requireMatmul(Tensor a, Tensor b, boolean transposeA, boolean transposeB) {
        if (a.rank() < 2 || b.rank() < 2 || a.dim(transposeA ? -2 : -1) != b.dim(transposeB ? -1 : -2)) {
            throw new ShapeException("matmul", "matrices with equal inner sizes",
                    a.shape() + (transposeA ? "^T" : "") + " and " + b.shape() + (transposeB ? "^T" : ""));
        }
    }

    /** All but the two innermost axes. */
    static Shape outer(Shape s) {
        return Shape.of(Arrays.copyOf(s.toArray(), s.rank() - 2));
    }

    static Shape join(Shape outer, long rows, long columns) {
        long[] d = Arrays.copyOf(outer.toArray(), outer.rank() + 2);
        d[d.length - 2] = rows;
        d[d.length - 1] = columns;
        return Shape.of(d);
    }

    /** That a box of the given size that starts at {@code start} lies inside of {@code whole}. */
    static void requireBox(String op, Shape whole, long[] start, Shape box) {
        if (box.rank() != whole.rank() || start.length != whole.rank()) {
            throw new ShapeException(op, "a source of rank " + whole.rank() + " with a start index per axis",
                    box + " at " + Arrays.toString(start));
        }
        for (int i = 0; i < start.length; i++) {
            if (start[i] < 0 || start[i] > whole.dim(i) - box.dim(i)) {
                throw new ShapeException(op, "a box inside " + whole, box + " at " + Arrays.toString(start));
            }
        }
    }
}
