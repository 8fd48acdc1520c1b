package dev.sequent.nn;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.tensor.Tensor;

/** A layer that maps every position of (B, T, D) to (B, T, D) by itself. */
public abstract class FeedForward extends Layer {
    /** For subclasses. */
    protected FeedForward() {}

    /** (B, T, D) to (B, T, D). */
    public abstract Tensor forward(Tensor x);

    /** The work of applying the layer to every token. */
    public abstract Work work(Workload w);
}
