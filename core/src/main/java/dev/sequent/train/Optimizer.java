package dev.sequent.train;

import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Tensor;
import java.util.Map;

/**
 * Moves parameters along their gradients. Owns its moments; used by one thread.
 *
 * <p>Parameters flagged {@link Parameter.Flag#NO_DECAY} get no weight decay, {@link Parameter.Flag#FROZEN} ones are left alone. The values
 * of parameters change in place, so tensors that alias them change too.
 */
public interface Optimizer extends AutoCloseable {
    /**
     * One update of all parameters.
     *
     * @param gradients one tensor of the parameter's shape per parameter
     * @param learningRate this step's learning rate
     * @param gradientScale factor on all gradients, for clipping
     * @throws dev.sequent.type.BackendException while work is recorded for a graph: a step depends on its number
     */
    void step(Map<Parameter, Tensor> gradients, double learningRate, double gradientScale);

    /** Updates done so far. */
    long steps();

    /**
     * The optimizer's tensors under names that begin with a moment's name, as in {@code exp_avg.layers.0.norm.weight}; they stay owned by
     * the optimizer.
     */
    Map<String, Tensor> state();

    /**
     * Continues from a stored state: copies of tensors that {@link #state} once returned.
     *
     * @throws dev.sequent.type.CheckpointException when names or shapes do not fit
     */
    void restore(Map<String, Tensor> state, long steps);

    @Override
    void close();
}
