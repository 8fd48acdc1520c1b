package dev.sequent.fused;

import java.lang.foreign.MemorySegment;

/**
 * Sums and maps over one row of floats in native memory: the steps of which row-wise kernels consist. Rows are given as a segment
 * and the index of the row's first element. Thread-safe: no state.
 *
 * <p>A row stays in the first-level cache between two steps, so that a kernel in several steps costs little more than one
 * pass over memory. Where an output is named, it may be the same row as an input.
 */
public interface RowMath {
    /** The vector kernels if they are wanted and the vector module is there, else plain loops. */
    static RowMath of(boolean vector) {
        return Simd.choose(vector, () -> new RowMathVector(), () -> new RowMathScalar());
    }

    /** Sum of a_i. */
    float sum(MemorySegment a, long ai, int n);

    /** Sum of (a_i - shift)^2. */
    float sumSquares(MemorySegment a, long ai, float shift, int n);

    /** Sum of a_i b_i. */
    float dot(MemorySegment a, long ai, MemorySegment b, long bi, int n);

    /** The largest a_i; NaNs are passed over, and an empty row gives negative infinity. */
    float max(MemorySegment a, long ai, int n);

    /** y_i = a_i + b_i. */
    void add(MemorySegment a, long ai, MemorySegment b, long bi, MemorySegment y, long yi, int n);

    /** y_i = a_i factor. */
    void scale(MemorySegment a, long ai, float factor, MemorySegment y, long yi, int n);

    /** Sum of exp(a_i - shift), where {@code shift} is at least the largest a_i. */
    double sumExp(MemorySegment a, long ai, float shift, int n);

    /** y_i = exp(a_i - shift), where {@code shift} is at least the largest a_i but for rounding; returns their sum. */
    double exp(MemorySegment a, long ai, float shift, MemorySegment y, long yi, int n);

    /** y_i = a_i (b_i - shift). */
    void mulShifted(MemorySegment a, long ai, MemorySegment b, long bi, float shift, MemorySegment y, long yi, int n);
}
