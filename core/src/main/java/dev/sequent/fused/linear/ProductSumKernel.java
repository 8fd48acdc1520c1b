package dev.sequent.fused.linear;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** Contract of products that are added to a matrix, in F32 or BF16; see {@link Projections}. Called without recording, inside a scope. */
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

    /**
     * Whether the device rounds the operands of the product x W^T, and of both products of its derivative, to BF16. Depends on shapes
     * and the device alone.
     *
     * @param x (M, K)
     * @param weight (N, K)
     */
    boolean rounds(Tensor x, Tensor weight);

    /**
     * sum + op(a) op(b) in F32 for matrices in BF16, on a device that {@link #rounds}.
     *
     * @param sum what an earlier call has returned and nobody else uses, and may be overwritten; null for zeros
     * @param transposeA whether a is stored as (K, M)
     * @param transposeB whether b is stored as (N, K)
     */
    Tensor addRounded(Tensor sum, Tensor a, boolean transposeA, Tensor b, boolean transposeB);
}
