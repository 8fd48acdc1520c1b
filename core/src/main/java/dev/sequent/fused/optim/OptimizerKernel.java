package dev.sequent.fused.optim;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/**
 * Contract of fused optimizer steps over many tensors, in place; see {@link OptimizerSteps}. Lists have equal lengths. Called inside a
 * scope.
 */
public interface OptimizerKernel extends Kernel {
    /** Why this kernel cannot read, or change, the tensor; empty when it can. */
    Optional<String> refusal(Tensor x, boolean changed);

    /** One AdamW update; changes parameters and both moments. */
    void adamw(List<AdamWStep> steps, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> first, List<Tensor> second);

    /** One step of gradient descent; changes parameters and velocities. */
    void sgd(List<SgdStep> steps, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> velocities);

    /** Sum of the squares of all elements, accumulated in double. */
    double sumSquares(List<Tensor> tensors);
}
