package dev.sequent.backend.djl;

import dev.sequent.type.Shape;

/** Where PyTorch lays elements, as far as it can be foretold: DJL shows neither strides nor whether two arrays share memory. */
final class Strides {
    private Strides() {}

    /** Whether elements lie in row-major order without gaps; the strides of axes of size 1 do not matter. */
    static boolean isDense(Shape shape, long[] strides) {
        long expected = 1;
        for (int axis = shape.rank() - 1; axis >= 0; axis--) {
            if (shape.dim(axis) != 1 && strides[axis] != expected) {
                return shape.size() == 0;
            }
            expected *= shape.dim(axis);
        }
        return true;
    }

    /**
     * Strides of the view that PyTorch's {@code reshape} makes, or null when it copies. Axes of the old shape are joined to chunks of
     * evenly spaced elements; every chunk has to consist of whole axes of the new shape.
     */
    static long[] reshape(Shape from, long[] strides, Shape to) {
        if (from.size() <= 1 || isDense(from, strides)) {
            return to.strides();
        }
        long[] result = new long[to.rank()];
        int next = to.rank() - 1;
        long step = strides[from.rank() - 1];
        long chunk = 1;
        for (int axis = from.rank() - 1; axis >= 0; axis--) {
            chunk *= from.dim(axis);
            boolean ends = axis == 0 || from.dim(axis - 1) != 1 && strides[axis - 1] != chunk * step;
            if (ends) {
                long filled = 1;
                while (next >= 0 && (filled < chunk || to.dim(next) == 1)) {
                    result[next] = filled * step;
                    filled *= to.dim(next);
                    next--;
                }
                if (filled != chunk) {
                    return null;
                }
                chunk = 1;
                step = axis > 0 ? strides[axis - 1] : step;
            }
        }
        return next == -1 ? result : null;
    }
}
