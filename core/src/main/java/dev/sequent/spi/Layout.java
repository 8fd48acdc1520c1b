package dev.sequent.spi;

import dev.sequent.type.Shape;
import java.util.Arrays;

/**
 * Arithmetic on strides, which count elements: what backends that keep views of one memory need to read, reshape and copy them. Stateless.
 */
public final class Layout {
    private Layout() {}

    /** Whether {@code strides} are those of a row-major tensor without gaps; axes of size 1 do not count. */
    public static boolean isContiguous(Shape shape, long[] strides) {
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

    /** Strides under which the same memory reads as {@code to}, a shape of equal size above 0, or null when no strides do. */
    public static long[] reshape(Shape from, long[] strides, Shape to) {
        Space source = collapse(from.toArray(), strides);
        long[] result = new long[to.rank()];
        Arrays.fill(result, 1);
        int t = to.rank() - 1;
        for (int f = source.rank() - 1; f >= 0; f--) {
            // A collapsed axis is dense in itself and cannot be joined to its neighbours: new axes must tile it exactly.
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

    /**
     * Drops axes of size 1 and joins neighbours along which every operand moves evenly. The result has at least one axis.
     *
     * @param dims sizes
     * @param strides strides per operand and axis
     */
    public static Space collapse(long[] dims, long[]... strides) {
        int rank = dims.length;
        long[] d = new long[Math.max(1, rank)];
        long[][] s = new long[strides.length][d.length];
        int n = 0;
        for (int i = 0; i < rank; i++) {
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

    /**
     * A loop over operands that move together.
     *
     * @param dims sizes
     * @param strides strides per operand and axis
     */
    public record Space(long[] dims, long[][] strides) {
        /** One axis along which every operand is dense. */
        public static Space flat(long size, int operands) {
            long[][] strides = new long[operands][];
            for (int k = 0; k < operands; k++) {
                strides[k] = new long[] {1};
            }
            return new Space(new long[] {size}, strides);
        }

        /** Number of axes. */
        public int rank() {
            return dims.length;
        }

        /** Number of iterations. */
        public long size() {
            long n = 1;
            for (long d : dims) {
                n *= d;
            }
            return n;
        }

        /** Product of all sizes but the last one's. */
        public long rows() {
            long n = 1;
            for (int i = 0; i < dims.length - 1; i++) {
                n *= dims[i];
            }
            return n;
        }

        /** Size of the last axis. */
        public long inner() {
            return dims[dims.length - 1];
        }

        /** Whether operand {@code k} is laid out like a row-major tensor of these sizes. */
        public boolean dense(int k) {
            long expected = 1;
            for (int i = dims.length - 1; i >= 0; i--) {
                if (dims[i] != 1 && strides[k][i] != expected) {
                    return false;
                }
                expected *= dims[i];
            }
            return true;
        }
    }

    /** Row-major strides for {@code dims}. */
    public static long[] dense(long[] dims) {
        long[] s = new long[dims.length];
        long n = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            s[i] = n;
            n *= Math.max(1, dims[i]);
        }
        return s;
    }

    /** Strides for {@code dims} when the axes lie in memory in the given order, outermost first. */
    public static long[] dense(long[] dims, int[] order) {
        long[] inOrder = dense(permute(dims, order));
        long[] strides = new long[order.length];
        for (int i = 0; i < order.length; i++) {
            strides[order[i]] = inOrder[i];
        }
        return strides;
    }

    /**
     * Axes from the outermost to the innermost in the memory of the operands: an elementwise result takes this order, so that
     * permuted views are read and written in one sweep.
     */
    public static int[] order(long[] dims, long[][] strides) {
        int[] order = new int[dims.length];
        int n = 0;
        for (int axis = 0; axis < dims.length; axis++) {
            if (dims[axis] == 1) {
                order[n++] = axis;
            }
        }
        int first = n;
        for (int axis = 0; axis < dims.length; axis++) {
            if (dims[axis] == 1) {
                continue;
            }
            int at = n++;
            for (; at > first && outer(strides, axis, order[at - 1]); at--) {
                order[at] = order[at - 1];
            }
            order[at] = axis;
        }
        return order;
    }

    private static boolean outer(long[][] strides, int a, int b) {
        for (long[] s : strides) {
            if (s[a] != 0 && s[b] != 0 && s[a] != s[b]) {
                return s[a] > s[b];
            }
        }
        return false;
    }

    /** {@code values} in another order. */
    public static long[] permute(long[] values, int[] order) {
        long[] result = new long[order.length];
        for (int i = 0; i < order.length; i++) {
            result[i] = values[order[i]];
        }
        return result;
    }

    /** Strides under which a tensor reads as {@code to}, a shape that it broadcasts to: 0 along repeated and added axes. */
    public static long[] broadcast(Shape from, long[] strides, Shape to) {
        long[] result = new long[to.rank()];
        int added = result.length - from.rank();
        for (int i = added; i < result.length; i++) {
            result[i] = from.dim(i - added) == to.dim(i) ? strides[i - added] : 0;
        }
        return result;
    }
}
