package dev.sequent.nn;

import dev.sequent.tensor.Tensor;

/** A layer that normalises the last axis. */
public abstract class Norm extends Layer {
    /** For subclasses. */
    protected Norm() {}

    /** Normalises the last axis of {@code x}. */
    public abstract Tensor forward(Tensor x);
}
