package dev.sequent.nn;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.tensor.Tensor;

/** A layer that normalises the last axis. */
public abstract class Norm extends Layer {
    /** For subclasses. */
    protected Norm() {}

    /** Normalises the last axis of {@code x}. */
    public abstract Tensor forward(Tensor x);

    /** Normalises the last axis of x + residual, in one pass over memory; returns the sum too. */
    public abstract Normalize.Added forward(Tensor x, Tensor residual);

    /**
     * The work of normalising {@code width} numbers of every token.
     *
     * @param residual whether a residual is added first, and the sum returned
     */
    public static Work work(Workload w, double width, boolean residual) {
        return residual ? Work.pointwise(w, w.tokens() * width, 6, 2, 2) : Work.pointwise(w, w.tokens() * width, 5, 1, 1);
    }
}
