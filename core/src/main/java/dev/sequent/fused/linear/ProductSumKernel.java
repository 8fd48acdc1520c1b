package dev.sequent.fused.linear;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** Contract of a product that is added to a matrix; see {@link Projections}. Called without recording, inside a scope. */
public interface ProductSumKernel extends Kernel {
    /** Why this kernel cannot work on {@code x}; empty when it can. */
    Optional<String> refusal(Tensor x);

    /**
     * sum + a b, of (M, N), (M, K) and (K, N).
     *
     * @param sum a dense matrix that nobody else uses: it may be overwritten
     * @return the result, in the memory of {@code sum} or not
     */
    Tensor add(Tensor sum, Tensor a, Tensor b);
}
