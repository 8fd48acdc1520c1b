package dev.sequent.nn;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.op.UnaryOp;
import dev.sequent.tensor.Tensor;

/** The feed-forward layer of GPT-2: c_proj(GELU(c_fc x)). Checkpoint names {@code c_fc}, {@code c_proj}. */
public final class Mlp extends FeedForward {
    private final Linear in;
    private final Linear out;
    private final UnaryOp activation;

    /** Normal initial weights with standard deviation {@code std}, and {@code outStd} for the output projection. */
    public Mlp(Init init, long width, long hidden, boolean bias, UnaryOp activation, double std, double outStd) {
        this.in = child("c_fc", Linear.normal(init, std, width, hidden, bias));
        this.out = child("c_proj", Linear.normal(init, outStd, hidden, width, bias));
        this.activation = activation;
    }

    @Override
    public Tensor forward(Tensor x) {
        return out.forward(in.forward(x).unary(activation));
    }

    @Override
    public Work work(Workload w) {
        return in.work(w).plus(Work.pointwise(w, w.tokens() * out.weight().value().dim(1), 8, 1, 1)).plus(out.work(w));
    }
}
