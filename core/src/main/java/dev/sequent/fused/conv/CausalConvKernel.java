package dev.sequent.fused.conv;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of the causal convolution; see {@link CausalConv}. Shapes and dtypes have been checked. Called without recording, inside a
 * scope.
 */
public interface CausalConvKernel extends Kernel {
    /**
     * The operands.
     *
     * @param x (B, T, E)
     * @param weight (E, 1, K)
     * @param bias (E), or null
     * @param silu whether the result passes through SiLU
     * @param initialState the K - 1 inputs before the first, (B, K - 1, E), or null for zeros
     * @param flags of the tokens (B T), or null
     */
    record Problem(Tensor x, Tensor weight, Tensor bias, boolean silu, Tensor initialState, byte[] flags) {
        /** K: taps. */
        public int taps() {
            return (int) weight.dim(2);
        }
    }

    /** Why this kernel cannot compute the problem; empty when it can. */
    Optional<String> refusal(Problem problem);

    /** Output (B, T, E) and final state (B, K - 1, E). */
    Tensor[] forward(Problem problem);

    /**
     * Derivatives by x, weight, bias (null without one) and initial state (null without one).
     *
     * @param dy (B, T, E), or null for zeros
     * @param dFinalState (B, K - 1, E), or null for zeros
     */
    Tensor[] backward(Problem problem, Tensor dy, Tensor dFinalState);
}
