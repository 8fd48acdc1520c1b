package dev.sequent.transformer.attention;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of fused attention; see {@link Attention}. Queries are (B, T, H, P), keys and values (B, S, G, P), of any strides. Called
 * without recording, inside a scope.
 */
public interface AttentionKernel extends Kernel {
    /** Why this kernel cannot work on these operands; empty when it can. */
    Optional<String> refusal(Tensor q, Tensor k, Tensor v);

    /**
     * Computes attention.
     *
     * @param differentiable whether {@link #backward} will follow; otherwise the result needs no logarithmic sums
     */
    Result forward(Tensor q, Tensor k, Tensor v, AttentionMask mask, double scale, boolean differentiable);

    /**
     * Derivatives with respect to q, k and v, given the operands, the result and the derivative {@code dout} with respect to
     * {@code result.out()}.
     */
    Tensor[] backward(Tensor q, Tensor k, Tensor v, Result result, Tensor dout, AttentionMask mask, double scale);

    /**
     * What forward leaves.
     *
     * @param out (B, T, H, P)
     * @param lse natural logarithm of every query's sum of exponentials (B, H, T), or null
     */
    record Result(Tensor out, Tensor lse) {}
}
