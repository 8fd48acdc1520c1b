package dev.sequent.fused.optim;

import dev.sequent.fused.Simd;
import java.lang.foreign.MemorySegment;

/** Updates of a run of parameters, in place. Runs are a segment and the index of their first element. */
interface OptimMath {
    /** The vector kernels where the vector module is there, else plain loops. */
    static OptimMath best() {
        return Simd.choose(OptimMathVector::new, OptimMathScalar::new);
    }

    /**
     * What one AdamW update multiplies by.
     *
     * @param keep 1 - learning rate * decay
     * @param step learning rate / (1 - beta1^t)
     * @param root 1 / sqrt(1 - beta2^t)
     * @param scale factor of the gradient
     */
    record AdamW(float beta1, float beta2, float eps, float keep, float step, float root, float scale) {}

    /** What one step of gradient descent multiplies by. */
    record Sgd(float learningRate, float momentum, float decay, boolean nesterov, float scale) {}

    /** g = scale gradient; m += (1 - beta1)(g - m); v += (1 - beta2)(g^2 - v); p = keep p - step m / (root sqrt(v) + eps). */
    void adamw(AdamW c, MemorySegment p, MemorySegment g, MemorySegment m, MemorySegment v, long at, int n);

    /** g = scale gradient + decay p; b = momentum b + g; p -= learningRate (nesterov ? g + momentum b : b). */
    void sgd(Sgd c, MemorySegment p, MemorySegment g, MemorySegment b, long at, int n);

    /** Sum of g_i^2, in double. */
    double sumSquares(MemorySegment g, long at, int n);
}
