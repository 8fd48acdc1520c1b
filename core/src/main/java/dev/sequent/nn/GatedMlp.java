package dev.sequent.nn;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.fused.glu.Swiglu;
import dev.sequent.tensor.Tensor;

/**
 * SwiGLU feed-forward layer (Shazeer 2020): down(SiLU(gate x) * up x). Checkpoint names {@code gate_proj}, {@code up_proj},
 * {@code down_proj}.
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
        Tensor[] inner = Linear.together(x, gate, up);
        return down.forward(Swiglu.apply(inner[0], inner[1]));
    }

    @Override
    public Work work(Workload w) {
        return work(w, w.tokens());
    }

    /** The work of applying the layer to {@code rows} tokens. */
    Work work(Workload w, double rows) {
        Work activation = Work.pointwise(w, rows * down.weight().value().dim(1), 5, 2, 1);
        return gate.work(w, rows).plus(up.work(w, rows)).plus(activation).plus(down.work(w, rows));
    }
}
