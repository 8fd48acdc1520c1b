package dev.sequent.type;

import java.util.Arrays;

/**
 * Sizes of a tensor's axes, outermost first. A scalar has rank 0 and one element. Immutable.
 *
 * <p>Axes may be named from the end: axis {@code -1} is the innermost one.
 */
public final class Shape {
    private static final Shape SCALAR = new Shape(new long[0]);

    private final long[] dims;
    private final long size;

    private Shape(long[] dims) {
        long n = 1;
        for (long d : dims) {
            if (d < 0) {
                throw new ShapeException("shape", "sizes of at least 0", Arrays.toString(dims));
            }
            try {
                n = Math.multiplyExact(n, d);
            } catch (ArithmeticException overflow) {
                throw new ShapeException("shape", "fewer than 2^63 elements", Arrays.toString(dims));
            }
        }
        this.dims = dims;
        this.size = n;
    }

    /** A shape with the given sizes, outermost axis first. */
    public static Shape of(long... dims) {
        return dims.length == 0 ? SCALAR : new Shape(dims.clone());
    }

    /** Number of axes. */
    public int rank() {
        return dims.length;
    }

    /** Number of elements; 1 for a scalar. */
    public long size() {
        return size;
    }

    /** Size of {@code axis}, which may be negative to count from the end. */
    public long dim(int axis) {
        return dims[axis(axis)];
    }

    /** A copy of the sizes. */
    public long[] toArray() {
        return dims.clone();
    }

    /** Turns a possibly negative axis into one in {@code [0, rank)}. */
    public int axis(int axis) {
        int a = axis < 0 ? axis + dims.length : axis;
        if (a < 0 || a >= dims.length) {
            throw new ShapeException("shape", "an axis in [" + -dims.length + ", " + dims.length + ")", "axis " + axis + " of " + this);
        }
        return a;
    }

    /** This shape with the size of one axis replaced. */
    public Shape with(int axis, long size) {
        long[] d = dims.clone();
        d[axis(axis)] = size;
        return new Shape(d);
    }

    /** This shape without {@code axis}. */
    public Shape without(int axis) {
        int a = axis(axis);
        long[] d = new long[dims.length - 1];
        System.arraycopy(dims, 0, d, 0, a);
        System.arraycopy(dims, a + 1, d, a, d.length - a);
        return new Shape(d);
    }

    /** This shape with an axis of size {@code size} inserted before {@code axis} (0..rank, negative counts from rank+1). */
    public Shape insert(int axis, long size) {
        int a = axis < 0 ? axis + dims.length + 1 : axis;
        if (a < 0 || a > dims.length) {
            throw new ShapeException("shape", "a position in [" + (-dims.length - 1) + ", " + dims.length + "]",
                    "position " + axis + " of " + this);
        }
        long[] d = new long[dims.length + 1];
        System.arraycopy(dims, 0, d, 0, a);
        d[a] = size;
        System.arraycopy(dims, a, d, a + 1, dims.length - a);
        return new Shape(d);
    }

    /** Row-major strides in elements. */
    public long[] strides() {
        long[] s = new long[dims.length];
        long n = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            s[i] = n;
            n *= Math.max(1, dims[i]);
        }
        return s;
    }

    /** The common shape of {@code a} and {@code b} under numpy's broadcasting rules, or an error that names {@code op}. */
    public static Shape broadcast(String op, Shape a, Shape b) {
        int r = Math.max(a.rank(), b.rank());
        long[] d = new long[r];
        for (int i = 0; i < r; i++) {
            long x = i < r - a.rank() ? 1 : a.dims[i - (r - a.rank())];
            long y = i < r - b.rank() ? 1 : b.dims[i - (r - b.rank())];
            if (x != y && x != 1 && y != 1) {
                throw new ShapeException(op, "shapes that broadcast", a + " and " + b);
            }
            d[i] = x == 1 ? y : x;
        }
        return new Shape(d);
    }

    /** True when a tensor of this shape can be repeated to {@code to} along axes of size 1 and new outer axes. */
    public boolean broadcastsTo(Shape to) {
        int shift = to.rank() - rank();
        if (shift < 0) {
            return false;
        }
        for (int i = 0; i < rank(); i++) {
            if (dims[i] != 1 && dims[i] != to.dims[i + shift]) {
                return false;
            }
        }
        return true;
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof Shape s && Arrays.equals(dims, s.dims);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(dims);
    }

    /** For example {@code (4, 1024, 256)}. */
    @Override
    public String toString() {
        StringBuilder b = new StringBuilder("(");
        for (int i = 0; i < dims.length; i++) {
            b.append(i == 0 ? "" : ", ").append(dims[i]);
        }
        return b.append(')').toString();
    }
}
