package dev.sequent.fused.activation;

import dev.sequent.fused.Simd;
import dev.sequent.op.UnaryOp;
import java.lang.foreign.MemorySegment;

/** Derivatives of activations over a row of floats. */
interface ActivationMath {
    /** The vector kernels if they are wanted and the vector module is there, else plain loops. */
    static ActivationMath of(boolean vector) {
        return Simd.choose(vector, () -> new ActivationMathVector(), () -> new ActivationMathScalar());
    }

    /** Whether the derivative of {@code f} is here. */
    static boolean has(UnaryOp f) {
        return switch (f) {
            case TANH, SIGMOID, RELU, SOFTPLUS, SILU, GELU, GELU_TANH -> true;
            default -> false;
        };
    }

    /**
     * Writes dy f' of {@code n} elements, from element {@code at} of each segment on.
     *
     * @param value the result of TANH, SIGMOID and RELU, the argument x of the others
     * @param dx the result; for GELU it holds erf(x / sqrt 2) before
     */
    void derivative(UnaryOp f, MemorySegment dy, MemorySegment value, MemorySegment dx, long at, int n);
}
