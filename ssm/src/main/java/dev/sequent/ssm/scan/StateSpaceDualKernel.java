package dev.sequent.ssm.scan;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of the state-space dual; see {@link StateSpaceDual}. Shapes and dtypes have been checked. Called without recording, inside a
 * scope.
 */
public interface StateSpaceDualKernel extends Kernel {
    /** Why this kernel cannot compute the problem; empty when it can. */
    Optional<String> refusal(StateSpaceDual.Operands operands);

    /**
     * Output (B, T, H, P), final state (B, H, P, N), and, when {@code save}, what {@link #backward} needs besides the operands (else null).
     *
     * @param flags of the tokens (B T), or null
     */
    Tensor[] forward(StateSpaceDual.Operands operands, byte[] flags, boolean save);

    /**
     * Derivatives by the operands in the order of {@link StateSpaceDual.Operands#tensors}; null for absent operands.
     *
     * @param saved the third result of {@link #forward}
     * @param dy (B, T, H, P), or null for zeros
     * @param dFinalState (B, H, P, N), or null for zeros
     */
    Tensor[] backward(StateSpaceDual.Operands operands, byte[] flags, Tensor saved, Tensor dy, Tensor dFinalState);
}
