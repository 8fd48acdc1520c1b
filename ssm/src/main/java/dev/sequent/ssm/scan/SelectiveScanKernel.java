package dev.sequent.ssm.scan;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of the selective scan; see {@link SelectiveScan}. Shapes and dtypes have been checked. Called without recording, inside a scope.
 */
public interface SelectiveScanKernel extends Kernel {
    /** Why this kernel cannot compute the problem; empty when it can. */
    Optional<String> refusal(SelectiveScan.Operands operands);

    /**
     * Output (B, T, E), final state (B, E, N), and, when {@code save}, what {@link #backward} needs besides the operands (else null).
     *
     * @param flags of the tokens (B T), or null
     */
    Tensor[] forward(SelectiveScan.Operands operands, byte[] flags, boolean save);

    /**
     * Derivatives by the operands in the order of {@link SelectiveScan.Operands#tensors}; null for absent operands.
     *
     * @param saved the third result of {@link #forward}
     * @param dy (B, T, E), or null for zeros
     * @param dFinalState (B, E, N), or null for zeros
     */
    Tensor[] backward(SelectiveScan.Operands operands, byte[] flags, Tensor saved, Tensor dy, Tensor dFinalState);
}
