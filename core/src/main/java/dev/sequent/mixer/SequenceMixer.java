package dev.sequent.mixer;

import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.nn.Layer;
import dev.sequent.tensor.Tensor;

/**
 * Maps (B, T, D) to (B, T, D), mixing along T, causally. State-space layers, attention and convolutions are interchangeable through it.
 *
 * <p>The three ways to run a mixer agree: {@link #forward} over a sequence equals {@link #prefill} over its pieces and {@link #step} over
 * its tokens. States are not shared between threads; the mixer itself may be.
 *
 * @param <S> the mixer's kind of state
 */
public abstract class SequenceMixer<S extends MixerState> extends Layer {
    /** For subclasses. */
    protected SequenceMixer() {}

    /** D: width of inputs and outputs. */
    public abstract int width();

    /**
     * A whole sequence in the mixer's parallel form; differentiable.
     *
     * @param x (B, T, D)
     * @return (B, T, D)
     */
    public abstract Tensor forward(Tensor x, SequenceInfo info);

    /** A state for {@code spec} that has seen nothing; the caller closes it. */
    public abstract S newState(StateSpec spec);

    /**
     * One or more tokens onto a state that may already hold tokens.
     *
     * @param x (B, T, D), T >= 1
     * @param info padding of x; it has at most one document a row, because documents are a layout of training batches
     * @return (B, T, D)
     */
    public abstract Tensor prefill(Tensor x, SequenceInfo info, S state);

    /** {@link #prefill(Tensor, SequenceInfo, MixerState)} without padding. */
    public final Tensor prefill(Tensor x, S state) {
        return prefill(x, SequenceInfo.of(x), state);
    }

    /**
     * One token.
     *
     * @param x (B, 1, D)
     * @return (B, 1, D)
     */
    public abstract Tensor step(Tensor x, S state);

    /** Operations and bytes of a pass over {@code w}'s tokens. */
    public abstract Work work(Workload w);

    /** Memory of states and parameters. */
    public abstract StateCost cost(StateSpec spec);
}
