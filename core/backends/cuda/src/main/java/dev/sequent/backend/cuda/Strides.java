package dev.sequent.backend.cuda;

import dev.sequent.type.BackendException;
import dev.sequent.type.Shape;
import java.util.Arrays;

/** Arithmetic on strides, and their form as arguments of kernels. */
final class Strides {
    /** MAX_RANK of strided.cuh. */
    private static final int MAX_RANK = 12;

    private Strides() {}

    /** Whether {@code strides} are those of a row-major tensor without gaps; axes of size 1 do not count. */
    static boolean isContiguous(Shape shape, long[] strides) {
        if (shape.size() == 0) {
            return true;
        }
        long expected = 1;
        for (int i = strides.length - 1; i >= 0; i--) {
            long n = shape.dim(i);
            if (n != 1 && strides[i] != expected) {
                return false;
            }
            expected *= n;
        }
        return true;
    }

    /** Whether the elements lie without gaps or repetition, in whatever order of axes. */
    static boolean isDense(Shape shape, long[] strides) {
        int[] order = order(strides);
        long[] dims = permute(shape.toArray(), order);
        return shape.size() > 0 && isContiguous(Shape.of(dims), permute(strides, order));
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

    /** Strides under which the same memory reads as {@code to}, a shape of equal size above 0, or null when no strides do. */
    static long[] reshape(Shape from, long[] strides, Shape to) {
        Space source = Space.of(from.toArray(), strides);
        long[] result = new long[to.rank()];
        Arrays.fill(result, 1);
        int t = to.rank() - 1;
        for (int f = source.rank() - 1; f >= 0; f--) {
            // a collapsed axis is dense in itself and cannot be joined to its neighbours: new axes must tile it exactly
            long stride = source.strides[0][f];
            long left = source.dims[f];
            while (left > 1 || t >= 0 && to.dim(t) == 1) {
                if (t < 0 || left % to.dim(t) != 0) {
                    return null;
                }
                result[t] = stride;
                stride *= to.dim(t);
                left /= to.dim(t);
                t--;
            }
        }
        return result;
    }

    /** {@code values} in another order. */
    static long[] permute(long[] values, int[] order) {
        long[] result = new long[order.length];
        for (int i = 0; i < order.length; i++) {
            result[i] = values[order[i]];
        }
        return result;
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

    /**
     * Sizes and, per operand, strides, with axes of size 1 dropped and neighbours joined along which every operand moves evenly. At least
     * one axis.
     */
    record Space(long[] dims, long[][] strides) {
        static Space of(long[] dims, long[]... strides) {
            long[] d = new long[Math.max(1, dims.length)];
            long[][] s = new long[strides.length][d.length];
            int n = 0;
            for (int i = 0; i < dims.length; i++) {
                if (dims[i] == 1) {
                    continue;
                }
                if (n > 0 && joins(strides, s, i, n - 1, dims[i])) {
                    d[n - 1] *= dims[i];
                    n--;
                } else {
                    d[n] = dims[i];
                }
                for (int k = 0; k < strides.length; k++) {
                    s[k][n] = strides[k][i];
                }
                n++;
            }
            if (n == 0) {
                d[0] = 1;
                for (long[] x : s) {
                    x[0] = 1;
                }
                n = 1;
            }
            long[][] cut = new long[s.length][];
            for (int k = 0; k < s.length; k++) {
                cut[k] = Arrays.copyOf(s[k], n);
            }
            return new Space(Arrays.copyOf(d, n), cut);
        }

        private static boolean joins(long[][] strides, long[][] joined, int axis, int last, long dim) {
            for (int k = 0; k < strides.length; k++) {
                if (joined[k][last] != strides[k][axis] * dim) {
                    return false;
                }
            }
            return true;
        }

        int rank() {
            return dims.length;
        }

        /** Whether every operand is one run of neighbouring elements. */
        boolean isFlat() {
            for (long[] s : strides) {
                if (dims.length > 1 || s[0] != 1 && dims[0] != 1) {
                    return false;
                }
            }
            return true;
        }

        /** The struct Space of strided.cuh. */
        long[] argument(String op) {
            if (dims.length > MAX_RANK) {
                throw new BackendException(op, "operands whose layout has at most " + MAX_RANK + " separate axes on a GPU",
                        dims.length + " axes");
            }
            long[] words = new long[1 + MAX_RANK * (1 + strides.length)];
            words[0] = dims.length;
            System.arraycopy(dims, 0, words, 1, dims.length);
            for (int k = 0; k < strides.length; k++) {
                System.arraycopy(strides[k], 0, words, 1 + MAX_RANK * (1 + k), dims.length);
            }
            return words;
        }
    }
}
