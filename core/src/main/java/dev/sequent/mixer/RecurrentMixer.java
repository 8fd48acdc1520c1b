package dev.sequent.mixer;

import dev.sequent.autograd.Autograd;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ShapeException;
import java.util.List;

/**
 * A mixer whose state is a fixed set of tensors. Subclasses provide a parallel form that takes an initial state and returns the final
 * one, both differentiable, so that training can carry states across windows (truncated back-propagation through time).
 */
public abstract class RecurrentMixer extends SequenceMixer<RecurrentState> {
    /** For subclasses. */
    protected RecurrentMixer() {}

    /**
     * An output together with the state after it.
     *
     * @param y (B, T, D)
     * @param state tensors in the order of {@link #stateLayout}
     */
    public record Carried(Tensor y, List<Tensor> state) {
        /** Copies the list. */
        public Carried {
            state = List.copyOf(state);
        }
    }

    /** Names, shapes and dtypes of the state tensors for {@code spec}; the first axis of each is B. A fresh state is all zeros. */
    public abstract List<RecurrentState.Slot> stateLayout(StateSpec spec);

    /**
     * The parallel form from a given state; differentiable with respect to {@code x} and {@code state}.
     *
     * @param x (B, T, D)
     * @param state tensors in the order of {@link #stateLayout}, or null for zeros; their dtypes may be others than that of x
     */
    public abstract Carried scan(Tensor x, SequenceInfo info, List<Tensor> state);

    /**
     * The recurrent form: one token from a given state.
     *
     * @param x (B, 1, D)
     * @param state tensors in the order of {@link #stateLayout}
     */
    protected abstract Carried advance(Tensor x, List<Tensor> state);

    /**
     * {@link #advance} that writes the next state over the present one instead of returning it. Called without recording, in a scope of its
     * own.
     *
     * @param state tensors in the order of {@link #stateLayout} that nothing else refers to
     * @return (B, 1, D), or null, with the state as it was, where this mixer cannot do so on this device
     */
    protected Tensor overwrite(Tensor x, List<Tensor> state) {
        return null;
    }

    @Override
    public final Tensor forward(Tensor x, SequenceInfo info) {
        info.expect("mixer input", x, width());
        return scan(x, info, null).y();
    }

    @Override
    public final RecurrentState newState(StateSpec spec) {
        return new RecurrentState(stateLayout(spec), spec);
    }

    @Override
    public final Tensor prefill(Tensor x, SequenceInfo info, RecurrentState state) {
        info.expect("prefill", x, width());
        requireRows(x, state);
        return update(state, x.dim(1), () -> scan(x, info, state.tensors()));
    }

    @Override
    public final Tensor step(Tensor x, RecurrentState state) {
        x.expect("step", state.batch(), 1, width());
        if (!Autograd.isRecording() && !x.device().capturing()) {
            Tensor y = Scope.returning(() -> overwrite(x, state.exclusive()));
            if (y != null) {
                state.overwritten(1);
                return y;
            }
        }
        return update(state, 1, () -> advance(x, state.tensors()));
    }

    private static void requireRows(Tensor x, RecurrentState state) {
        if (x.dim(0) != state.batch() || x.dim(1) < 1) {
            throw new ShapeException("prefill", state.batch() + " rows of at least one token", x.shape().toString());
        }
    }

    private static Tensor update(RecurrentState state, long tokens, java.util.function.Supplier<Carried> run) {
        try (Scope scope = Scope.open()) {
            Carried carried = run.get();
            state.replace(carried.state(), tokens);
            return scope.keep(carried.y());
        }
    }
}
