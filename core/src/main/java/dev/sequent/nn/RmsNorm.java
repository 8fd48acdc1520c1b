package dev.sequent.nn;

import dev.sequent.fused.norm.Normalize;
import dev.sequent.tensor.Tensor;

/** y = x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019). Checkpoint name {@code weight}. */
public final class RmsNorm extends Norm {
    private final Parameter weight;
    private final double eps;

    /** Unit weights. */
    public RmsNorm(Init init, long width, double eps) {
        this.weight = param("weight", init.constant(1, width), Parameter.Flag.NO_DECAY);
        this.eps = eps;
    }

    @Override
    public Tensor forward(Tensor x) {
        return Normalize.rms(x, weight.value(), eps);
    }

    @Override
    public Normalize.Added forward(Tensor x, Tensor residual) {
        return Normalize.addRms(x, residual, weight.value(), eps);
    }

    /** (width). */
    public Parameter weight() {
        return weight;
    }
}
