package dev.sequent.fused.optim;

import dev.sequent.fused.Simd;
import java.lang.foreign.MemorySegment;

/** Updates of a run of parameters, in place. Runs are a segment and the index of their first element. */
interface OptimMath {
    /** The vector kernels if they are wanted and the vector module is there, else plain loops. */
    static OptimMath of(boolean vector) {
        return Simd.choose(vector, () -> new OptimMathVector(), () -> new OptimMathScalar());
    }

    /** One AdamW update of n elements: {@link AdamWStep}. */
    void adamw(AdamWStep c, MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, long at, int n);

    /** One step of gradient descent of n elements: {@link SgdStep}. */
    void sgd(SgdStep c, MemorySegment p, MemorySegment g, MemorySegment b, long at, int n);

    /** Sum of g_i^2, in double. */
    double sumSquares(MemorySegment g, long at, int n);
}
