package dev.sequent.transformer.position;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** Contract of the fused rotation of heads; see {@link RotaryEmbedding}. Called without recording, inside a scope. */
public interface RotaryKernel extends Kernel {
    /** Why this kernel cannot work on {@code x}; empty when it can. */
    Optional<String> refusal(Tensor x);

    /**
     * Rotates the heads of x (B, T, H, P), of any strides, into a new tensor.
     *
     * @param table cosines and sines
     * @param positions position of every token (B T), all below {@link RotaryTable#positions}
     * @param inverse whether to rotate back, which is also the derivative
     */
    Tensor rotate(Tensor x, RotaryTable table, int[] positions, boolean inverse);
}
