package dev.sequent.fused.glu;

import dev.sequent.fused.Rows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * The gated linear unit SwiGLU (Shazeer 2020), y = silu(gate) up, over the rows of host matrices in F32.
 *
 * <p>Each matrix has its own row stride, so that gate and up may be the two halves of one (rows, 2F) matrix, in either order.
 * Matrices without gaps may be cut into rows anywhere. Thread-safe: no state.
 */
final class SwigluRows {
    private final SwigluMath math;

    SwigluRows(SwigluMath math) {
        this.math = math;
    }

    static SwigluRows of(boolean vector) {
        return new SwigluRows(SwigluMath.of(vector));
    }

    /**
     * A matrix in host memory.
     *
     * @param segment its memory
     * @param start index of its first element
     * @param stride elements from one row to the next
     */
    record Matrix(MemorySegment segment, long start, long stride) {
        long row(int r) {
            return start + r * stride;
        }
    }

    /**
     * Writes silu(gate) up to {@code y}, which may be {@code gate} or {@code up}.
     *
     * @param size number of elements of y, in rows of {@code width}; the last row may be shorter
     */
    void forward(Parallel parallel, Matrix gate, Matrix up, Matrix y, long size, int width) {
        Rows.forEach(parallel, rows(size, width), width, (from, to) -> {
            for (int r = from; r < to; r++) {
                int n = (int) Math.min(width, size - (long) r * width);
                math.forward(gate.segment, gate.row(r), up.segment, up.row(r), y.segment, y.row(r), n);
            }
        });
    }

    /** Writes the gradients of gate and up; {@code dgate} and {@code dup} may be {@code gate}, {@code up} or {@code dy}. */
    void backward(Parallel parallel, Matrix dy, Matrix gate, Matrix up, Matrix dgate, Matrix dup, long size, int width) {
        Rows.forEach(parallel, rows(size, width), width, (from, to) -> {
            for (int r = from; r < to; r++) {
                int n = (int) Math.min(width, size - (long) r * width);
                math.backward(dy.segment, dy.row(r), gate.segment, gate.row(r), up.segment, up.row(r), dgate.segment, dgate.row(r),
                    dup.segment, dup.row(r), n);
            }
        });
    }

    private static int rows(long size, int width) {
        return width == 0 ? 0 : Math.toIntExact(Math.ceilDiv(size, width));
    }
}
