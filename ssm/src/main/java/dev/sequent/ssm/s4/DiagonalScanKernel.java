package dev.sequent.ssm.s4;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** Contract of {@link DiagonalScan}. Shapes and dtypes have been checked. Called without recording, inside a scope. */
public interface DiagonalScanKernel extends Kernel {
    /** Why this kernel cannot compute the problem; empty when it can. */
    Optional<String> refusal(DiagonalScan.Operands operands);

    /**
     * Output (B, T, E), real and imaginary part of the final state (B, E, P), and, when {@code save}, what {@link #backward} needs besides
     * the operands (else null).
     *
     * @param flags of the tokens (B T), or null
     */
    Tensor[] forward(DiagonalScan.Operands operands, byte[] flags, boolean save);

    /**
     * One token, whose state, dense, is overwritten by the one after it: the output (B, 1, E).
     */
    Tensor step(DiagonalScan.Operands operands);

    /**
     * Derivatives by the operands in the order of {@link DiagonalScan.Operands#tensors}; null for absent operands.
     *
     * @param saved the fourth result of {@link #forward}
     * @param dy (B, T, E), or null for zeros
     * @param dRe derivative by the final state's real part, or null for zeros
     * @param dIm derivative by its imaginary part, or null for zeros
     */
    Tensor[] backward(DiagonalScan.Operands operands, byte[] flags, Tensor saved, Tensor dy, Tensor dRe, Tensor dIm);
}
