package dev.sequent.nn;

import dev.sequent.fused.glu.Swiglu;
import dev.sequent.tensor.Tensor;

/**
 * SwiGLU feed-forward layer (Shazeer 2020): down(SiLU(gate x) * up x). Checkpoint names {@code gate_proj}, {@code up_proj}, {@code down_proj}.
 */
public final class GatedMlp extends FeedForward {
    private final Linear gate;
    private final Linear up;
    private final Linear down;

    /**
     * Normal initial values.
     *
     * @param hidden F, the inner width
     * @param std standard deviation of the weights
     * @param outStd standard deviation of the output projection's weights, smaller in deep models
     */
    public GatedMlp(Init init, long width, long hidden, boolean bias, double std, double outStd) {
        this.gate = child("gate_proj", Linear.normal(init, std, width, hidden, bias));
        this.up = child("up_proj", Linear.normal(init, std, width, hidden, bias));
        this.down = child("down_proj", Linear.normal(init, outStd, hidden, width, bias));
    }

    @Override
    public Tensor forward(Tensor x) {
        return down.forward(Swiglu.apply(gate.forward(x), up.forward(x)));
    }
}
