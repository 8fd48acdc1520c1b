package dev.sequent.fused.softmax;

import dev.sequent.fused.RowMath;
import dev.sequent.fused.Rows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Softmax of the rows of a matrix in host memory, F32: y_i = e^(x_i - max) / sum. An element at negative infinity gets exactly 0; a row
 * that has nothing else gets NaN. Thread-safe: no state.
 */
final class SoftmaxRows {
    private final RowMath math;

    SoftmaxRows(RowMath math) {
        this.math = math;
    }

    static SoftmaxRows of(boolean vector) {
        return new SoftmaxRows(RowMath.of(vector));
    }

    /** Writes softmax(x) to {@code y}, which may be {@code x}. */
    void forward(Parallel parallel, MemorySegment x, MemorySegment y, int rows, int width) {
        Rows.forEach(parallel, rows, width, (from, to) -> {
            for (int r = from; r < to; r++) {
                long at = (long) r * width;
                double sum = math.exp(x, at, math.max(x, at, width), y, at, width);
                math.scale(y, at, (float) (1 / sum), y, at, width);
            }
        });
    }

    /** Writes dx = y (dy - sum(dy y)), given the output y; {@code dx} may be {@code dy}. */
    void backward(Parallel parallel, MemorySegment dy, MemorySegment y, MemorySegment dx, int rows, int width) {
        Rows.forEach(parallel, rows, width, (from, to) -> {
            for (int r = from; r < to; r++) {
                long at = (long) r * width;
                math.mulShifted(y, at, dy, at, math.dot(dy, at, y, at, width), dx, at, width);
            }
        });
    }
}
