package dev.sequent.nn;

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
}
