package dev.sequent.backend.cuda;

import dev.sequent.spi.Layout;
import dev.sequent.spi.Layout.Space;
import dev.sequent.type.BackendException;
import dev.sequent.type.Shape;
import java.util.Arrays;

/** Strides as kernels want them: their form as arguments, and the choices of axes behind it. */
final class Strides {
    /** MAX_RANK of strided.cuh. */
    private static final int MAX_RANK = 12;

    private Strides() {}

    /** Whether the elements lie without gaps or repetition, in whatever order of axes. */
    static boolean isDense(Shape shape, long[] strides) {
        int[] order = order(strides);
        long[] dims = Layout.permute(shape.toArray(), order);
        return shape.size() > 0 && Layout.isContiguous(Shape.of(dims), Layout.permute(strides, order));
    }

    /** Axes from the outermost to the innermost in memory. */
    static int[] order(long[] strides) {
        int[] order = new int[strides.length];
        for (int axis = 0; axis < order.length; axis++) {
            int at = axis;
            for (; at > 0 && strides[order[at - 1]] < strides[axis]; at--) {
                order[at] = order[at - 1];
            }
            order[at] = axis;
        }
        return order;
    }

    /** {@code values} at the axes for which {@code chosen} is {@code which}. */
    static long[] select(long[] values, boolean[] chosen, boolean which) {
        long[] result = new long[values.length];
        int n = 0;
        for (int i = 0; i < values.length; i++) {
            if (chosen[i] == which) {
                result[n++] = values[i];
            }
        }
        return Arrays.copyOf(result, n);
    }

    /** Whether every operand is one run of neighbouring elements. */
    static boolean isFlat(Space space) {
        for (long[] s : space.strides()) {
            if (space.rank() > 1 || s[0] != 1 && space.inner() != 1) {
                return false;
            }
        }
        return true;
    }

    /** The struct Space of strided.cuh. */
    static long[] argument(String op, Space space) {
        int rank = space.rank();
        if (rank > MAX_RANK) {
            throw new BackendException(op, "operands whose layout has at most " + MAX_RANK + " separate axes on a GPU", rank + " axes");
        }
        long[][] strides = space.strides();
        long[] words = new long[1 + MAX_RANK * (1 + strides.length)];
        words[0] = rank;
        System.arraycopy(space.dims(), 0, words, 1, rank);
        for (int k = 0; k < strides.length; k++) {
            System.arraycopy(strides[k], 0, words, 1 + MAX_RANK * (1 + k), rank);
        }
        return words;
    }
}
