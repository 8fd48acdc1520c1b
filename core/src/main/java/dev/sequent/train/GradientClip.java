package dev.sequent.train;

import dev.sequent.fused.optim.OptimizerSteps;
import dev.sequent.tensor.Tensor;
import java.util.Collection;
import java.util.List;

/**
 * Clipping of gradients by their global norm (Pascanu et al. 2013). No gradient is changed here: {@link #scale} is a factor that
 * {@link Optimizer#step} applies as it reads them.
 */
public final class GradientClip {
    private GradientClip() {}

    /** Square root of the sum of the squares of all elements of all tensors; not finite when an element is not. */
    public static double globalNorm(Collection<Tensor> gradients) {
        return OptimizerSteps.norm(List.copyOf(gradients));
    }

    /** min(1, max / (norm + 1e-6)), as PyTorch's clip_grad_norm_; 1 where {@code max} is 0, which stands for no clipping. */
    public static double scale(double norm, double max) {
        return max == 0 ? 1 : Math.min(1, max / (norm + 1e-6));
    }
}
