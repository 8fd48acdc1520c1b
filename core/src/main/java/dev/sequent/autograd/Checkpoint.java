package dev.sequent.autograd;

import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracing;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Trades time for memory: a block whose inner values are not kept but computed again in the backward pass (Chen et al. 2016,
 * "Training Deep Nets with Sublinear Memory Cost").
 */
public final class Checkpoint {
    private Checkpoint() {}

    /**
     * Runs {@code block} on {@code x}. When a derivative is recorded, only {@code x} is saved, and the block runs once more during the
     * backward pass with {@code rng} (or null) back at its position, which makes the repetition exact to the bit.
     *
     * @param block a function of {@code x} and of variables; tensors of other scopes that it captures must outlive the backward pass
     */
    public static Tensor run(UnaryOperator<Tensor> block, Tensor x, Rng rng) {
        Tape tape = Tracing.current() instanceof Tape t ? t : null;
        if (tape == null) {
            return block.apply(x);
        }
        long position = rng == null ? 0 : rng.position();
        Tensor y = Scope.returning(() -> Tracing.off(() -> block.apply(x)).detach());
        tape.recordCheckpoint(new Segment(block, rng, position), x, y);
        return y;
    }

    /** A block and how to repeat it. */
    record Segment(UnaryOperator<Tensor> block, Rng rng, long position) {
        /** Repeats the block under a tape of its own; hands variables' gradients to {@code outer} and returns the input's. */
        Tensor[] backward(Tape outer, Tensor input, Tensor dy) {
            long now = rng == null ? 0 : rng.position();
            if (rng != null) {
                rng.seek(position);
            }
            try (Tape inner = outer.recomputing(input)) {
                Tensor y = Tracing.with(inner, () -> block.apply(input));
                inner.backward(List.of(y), List.of(dy));
                outer.absorb(inner, input);
                return new Tensor[] {inner.gradient(input)};
            } finally {
                if (rng != null) {
                    rng.seek(now);
                }
            }
        }
    }
}
