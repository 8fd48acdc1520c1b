package dev.sequent.fused.optim;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Optimizer steps and the gradient norm over lists of F32 tensors in host memory, each one parallel loop. Tensors are updated in place.
 * Thread-safe: no state; one tensor must not be updated by two calls at once.
 */
final class TensorSteps {
    private final OptimMath math;

    TensorSteps(OptimMath math) {
        this.math = math;
    }

    static TensorSteps of(boolean vector) {
        return new TensorSteps(OptimMath.of(vector));
    }

    /** AdamW (Loshchilov and Hutter 2019); {@code coefficients[i]} are those of tensor i. */
    void adamw(Parallel parallel, TensorChunks chunks, AdamWStep[] coefficients, MemorySegment[] parameters, MemorySegment[] gradients,
            MemorySegment[] first, MemorySegment[] second) {
        chunks.forEach(parallel, (chunk, i, at, n) ->
            math.adamw(coefficients[i], parameters[i], gradients[i], first[i], second[i], at, n));
    }

    /** Gradient descent with momentum; {@code coefficients[i]} are those of tensor i. */
    void sgd(Parallel parallel, TensorChunks chunks, SgdStep[] coefficients, MemorySegment[] parameters, MemorySegment[] gradients,
            MemorySegment[] velocities) {
        chunks.forEach(parallel, (chunk, i, at, n) ->
            math.sgd(coefficients[i], parameters[i], gradients[i], velocities[i], at, n));
    }

    /** Sum of all elements' squares; chunk sums are added in ascending order, in double. */
    double sumSquares(Parallel parallel, TensorChunks chunks, MemorySegment[] tensors) {
        double[] partial = new double[chunks.chunks()];
        chunks.forEach(parallel, (chunk, i, at, n) -> partial[chunk] = math.sumSquares(tensors[i], at, n));
        double sum = 0;
        for (double p : partial) {
            sum += p;
        }
        return sum;
    }
}
