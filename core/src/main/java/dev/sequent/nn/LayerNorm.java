package dev.sequent.nn;

import dev.sequent.fused.norm.Normalize;
import dev.sequent.tensor.Tensor;

/** y = (x - mean) / sqrt(var + eps) * weight + bias over the last axis (Ba et al. 2016). Checkpoint names {@code weight}, {@code bias}. */
public final class LayerNorm extends Norm {
    private final Parameter weight;
    private final Parameter bias;
    private final double eps;

    /** Unit weights and zero bias. */
    public LayerNorm(Init init, long width, double eps) {
        this.weight = param("weight", init.constant(1, width), Parameter.Flag.NO_DECAY);
        this.bias = param("bias", init.constant(0, width), Parameter.Flag.NO_DECAY);
        this.eps = eps;
    }

    @Override
    public Tensor forward(Tensor x) {
        return Normalize.layer(x, weight.value(), bias.value(), eps);
    }

    @Override
    public Normalize.Added forward(Tensor x, Tensor residual) {
        return Normalize.addLayer(x, residual, weight.value(), bias.value(), eps);
    }
}
