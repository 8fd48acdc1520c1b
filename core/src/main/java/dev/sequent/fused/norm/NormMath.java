package dev.sequent.fused.norm;

import dev.sequent.fused.Simd;
import java.lang.foreign.MemorySegment;

/**
 * The steps of a normalisation over one row that {@link dev.sequent.fused.RowMath} lacks. Rows are a segment and the index of their first
 * element.
 */
interface NormMath {
    /** The vector kernels if they are wanted and the vector module is there, else plain loops. */
    static NormMath of(boolean vector) {
        return Simd.choose(vector, () -> new NormMathVector(), () -> new NormMathScalar());
    }

    /** y_i = (x_i - shift) factor w_i. */
    void apply(MemorySegment x, long xi, float shift, float factor, MemorySegment w, MemorySegment y, long yi, int n);

    /** y_i = (x_i - shift) factor w_i + b_i. */
    void apply(MemorySegment x, long xi, float shift, float factor, MemorySegment w, MemorySegment b, MemorySegment y, long yi, int n);

    /** Sum of g_i w_i (x_i - shift). */
    float weightedDot(MemorySegment g, long gi, MemorySegment w, MemorySegment x, long xi, float shift, int n);

    /**
     * With z_i = (x_i - shift) factor: dx_i = factor (g_i w_i - offset - slope z_i), and dw_i grows by g_i z_i. {@code dx} may be the row
     * {@code g}.
     */
    void gradient(MemorySegment g, long gi, MemorySegment w, MemorySegment x, long xi, float shift, float factor, float offset, float slope,
        MemorySegment dx, long dxi, MemorySegment dw, long dwi, int n);
}
