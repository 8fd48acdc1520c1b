package dev.sequent.autograd;

import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracing;

/**
 * An operation with a derivative of its own: the one open node of the tape, meant for fused kernels.
 *
 * <p>Operands and results may be null where an operation has optional ones. Both methods run without being recorded, in a scope of
 * their own; what they return moves to the caller's scope.
 */
public interface CustomOp {
    /** Name for messages. */
    String name();

    /**
     * Computes the results.
     *
     * @param save tells whether a derivative will be asked for, and keeps what {@link #backward} needs
     */
    Tensor[] forward(Tensor[] inputs, Saver save);

    /**
     * Computes the derivatives with respect to the operands.
     *
     * @param saved what forward saved, in the same order
     * @param needed whether the derivative of each operand is wanted; others may be returned as null
     * @param gradients derivatives with respect to the results; null stands for zeros
     * @return one tensor of the operand's shape per operand, or null for zeros
     */
    Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients);

    /** Keeps values between forward and backward. */
    interface Saver {
        /** False when nothing is being differentiated and saving would be a waste. */
        boolean recording();

        /** Keeps tensors (operands, results or others; null is allowed) for the backward pass. Callable once. */
        void save(Tensor... tensors);
    }

    /** Executes {@code op}; its derivative is recorded when an operand depends on a variable. */
    static Tensor[] apply(CustomOp op, Tensor... inputs) {
        Tape tape = Tracing.current() instanceof Tape t ? t : null;
        boolean recording = tape != null && tape.tracksAny(inputs);
        Tensor[][] saved = {new Tensor[0]};
        Saver saver = new Saver() {
            @Override
            public boolean recording() {
                return recording;
            }

            @Override
            public void save(Tensor... tensors) {
                saved[0] = tensors.clone();
            }
        };
        try (Scope scope = Scope.open()) {
            Tensor[] outputs = Tracing.off(() -> op.forward(inputs, saver));
            if (recording) {
                tape.recordCustom(op, inputs, outputs, saved[0]);
            }
            return scope.keep(outputs);
        }
    }
}
