package dev.sequent.fused.glu;

import dev.sequent.fused.Simd;
import java.lang.foreign.MemorySegment;

/** SwiGLU of one row. Rows are a segment and the index of their first element. */
interface SwigluMath {
    /** The vector kernels if they are wanted and the vector module is there, else plain loops. */
    static SwigluMath of(boolean vector) {
        return Simd.choose(vector, () -> new SwigluMathVector(), () -> new SwigluMathScalar());
    }

    /** y_i = silu(g_i) u_i; y may be the row of g or u. */
    void forward(MemorySegment g, long gi, MemorySegment u, long ui, MemorySegment y, long yi, int n);

    /** dg_i = dy_i u_i silu'(g_i) and du_i = dy_i silu(g_i); the outputs may be the rows of the inputs. */
    void backward(MemorySegment dy, long dyi, MemorySegment g, long gi, MemorySegment u, long ui, MemorySegment dg, long dgi,
        MemorySegment du, long dui, int n);
}
