package dev.sequent.fused.loss;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of a fused cross-entropy; see {@link CrossEntropy}. Targets at or beyond V are a {@link dev.sequent.type.ShapeException}.
 * Called without recording, inside a scope.
 */
public interface CrossEntropyKernel extends Kernel {
    /** Why this kernel cannot work on the logits; empty when it can. */
    Optional<String> refusal(Tensor logits);

    /** Loss of every position (...), and the logsumexp of every position (...). */
    record Losses(Tensor loss, Tensor logSumExp) {}

    /** Losses of logits (..., V) with targets (...). */
    Losses forward(Tensor logits, Tensor targets);

    /** Derivative by the logits, given the derivative by every position's loss. */
    Tensor backward(Tensor dloss, Tensor logits, Tensor targets, Tensor logSumExp);

    /** The mean loss, a scalar, and its derivative by the logits (null when not asked for). */
    record Mean(Tensor loss, Tensor gradient) {}

    /** The mean over all positions with a target, and its derivative if {@code withGradient}. */
    Mean mean(Tensor logits, Tensor targets, boolean withGradient);

    /** {@code gradient} times the scalar {@code dloss}; may be {@code gradient} itself where that is 1. */
    Tensor scale(Tensor gradient, Tensor dloss);
}
