package dev.sequent.backend.reference;

import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;

/**
 * Where the elements of a strided tensor lie.
 *
 * <p>Almost every operation that moves elements says: element {@code (c0, c1, ...)} of one tensor is the one at
 * {@code offset + c0 stride0 + c1 stride1 + ...} in another. A transposition swaps strides, a broadcast or a reduction sets one
 * to 0, a slice has an offset, a flip has a negative stride. So one method serves all of them.
 */
final class Positions {
    private Positions() {}

    /** {@code offset + sum_i c_i strides_i} for every coordinate c of {@code shape}, in row-major order. */
    static int[] of(Shape shape, long offset, long[] strides) {
        int[] positions = new int[Math.toIntExact(shape.size())];
        long[] coordinate = new long[shape.rank()];
        long position = offset;
        for (int i = 0; i < positions.length; i++) {
            positions[i] = (int) position;
            // count like an odometer: the innermost axis turns, and a full turn carries into the next axis outwards
            for (int axis = shape.rank() - 1; axis >= 0; axis--) {
                position += strides[axis];
                coordinate[axis]++;
                if (coordinate[axis] < shape.dim(axis)) {
                    break;
                }
                position -= coordinate[axis] * strides[axis];
                coordinate[axis] = 0;
            }
        }
        return positions;
    }

    /** Position of one coordinate in a row-major tensor. */
    static long of(long[] coordinate, long[] strides) {
        long position = 0;
        for (int axis = 0; axis < strides.length; axis++) {
            position += coordinate[axis] * strides[axis];
        }
        return position;
    }

    /**
     * For every coordinate c of {@code shape}, the position in a tensor of shape {@code indexed} of the element at c, but with
     * {@code index[c]} in place of c's component along {@code axis}.
     */
    static int[] indexed(String op, Shape indexed, int axis, HeapArray index, Shape shape) {
        long[] strides = indexed.strides();
        strides[axis] = 0;
        int[] positions = of(shape, 0, strides);
        int stride = (int) indexed.strides()[axis];
        for (int i = 0; i < positions.length; i++) {
            long n = index.integer(i);
            if (n < 0 || n >= indexed.dim(axis)) {
                throw new ShapeException(op, "indices in [0, " + indexed.dim(axis) + ")", Long.toString(n));
            }
            positions[i] += (int) n * stride;
        }
        return positions;
    }
}
