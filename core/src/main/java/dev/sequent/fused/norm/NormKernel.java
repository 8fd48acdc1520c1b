package dev.sequent.fused.norm;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of a fused normalisation of the last axis: y = (s - mean) rstd weight + bias with s = x + residual; see {@link Normalize}.
 * Shapes and dtypes have been checked. Called without recording, inside a scope.
 */
public interface NormKernel extends Kernel {
    /** Why this kernel cannot normalise {@code x}; empty when it can. */
    Optional<String> refusal(Tensor x);

    /** Why this kernel cannot normalise {@code x} where no derivative is wanted; empty when it can. */
    default Optional<String> forwardRefusal(Tensor x) {
        return refusal(x);
    }

    /**
     * What a forward pass yields.
     *
     * @param sum s, or null without residual
     * @param y the normalised tensor
     * @param mean mean of every row, or null for RMS normalisation
     * @param rstd reciprocal deviation of every row
     */
    record Result(Tensor sum, Tensor y, Tensor mean, Tensor rstd) {}

    /**
     * Normalises.
     *
     * @param residual added to x first, or null
     * @param bias or null
     * @param centred true for layer normalisation, false for RMS normalisation
     */
    Result forward(Tensor x, Tensor residual, Tensor weight, Tensor bias, boolean centred, double eps);

    /** Derivatives by s (that is by x and by the residual), weight and bias (null without). */
    record Gradients(Tensor ds, Tensor dweight, Tensor dbias) {}

    /**
     * Differentiates.
     *
     * @param dy derivative by y
     * @param dsum derivative by s that comes on another way, or null
     * @param s what was normalised
     * @param mean from the forward pass; null for RMS normalisation
     * @param rstd from the forward pass
     * @param bias whether there is a bias
     */
    Gradients backward(Tensor dy, Tensor dsum, Tensor s, Tensor weight, Tensor mean, Tensor rstd, boolean bias);
}
