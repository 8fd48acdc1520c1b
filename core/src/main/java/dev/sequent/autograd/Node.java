package dev.sequent.autograd;

import dev.sequent.op.Op;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;

/**
 * One recorded step. It names operands and results by identity, so that only what the derivative needs stays in memory; what it
 * does need is saved as tensors of its own, released by {@link #close}.
 */
sealed interface Node extends AutoCloseable {
    /** Identities of the operands; null for absent ones. */
    Object[] inputs();

    /** Which operands depend on a variable. */
    boolean[] needed();

    /** Identities of the results; null for absent ones. */
    Object[] outputs();

    @Override
    void close();

    /**
     * A primitive.
     *
     * @param shapes shapes of the operands
     * @param dtype element type of the first operand
     * @param saved operands that the derivative reads, null elsewhere
     * @param result the result where the derivative reads it, or null
     */
    record Primitive(Op op, Object[] inputs, boolean[] needed, Object[] outputs, Shape[] shapes, DType dtype, Tensor[] saved, Tensor result)
            implements Node {
        Tensor x(int i) {
            return saved[i];
        }

        @Override
        public void close() {
            release(saved);
            release(result);
        }
    }

    /** A fused operation. */
    record Custom(CustomOp op, Object[] inputs, boolean[] needed, Object[] outputs, Tensor[] saved) implements Node {
        @Override
        public void close() {
            release(saved);
        }
    }

    /** A block that is run again when its derivative is needed. */
    record Recomputed(Checkpoint.Segment segment, Object[] inputs, boolean[] needed, Object[] outputs, Tensor input) implements Node {
        @Override
        public void close() {
            release(input);
        }
    }

    static Node primitive(Op op, Tensor[] inputs, boolean[] needed, Tensor output) {
        Shape[] shapes = new Shape[inputs.length];
        Tensor[] saved = new Tensor[inputs.length];
        for (int i = 0; i < inputs.length; i++) {
            shapes[i] = inputs[i].shape();
            saved[i] = Derivatives.readsInput(op, i, needed) ? keep(inputs[i]) : null;
        }
        return new Primitive(op, identities(inputs), needed, identities(output), shapes, inputs[0].dtype(), saved,
                Derivatives.readsOutput(op) ? keep(output) : null);
    }

    static Node custom(CustomOp op, Tensor[] inputs, boolean[] needed, Tensor[] outputs, Tensor[] saved) {
        Tensor[] kept = new Tensor[saved.length];
        for (int i = 0; i < saved.length; i++) {
            kept[i] = saved[i] == null ? null : keep(saved[i]);
        }
        return new Custom(op, identities(inputs), needed, identities(outputs), kept);
    }

    static Node checkpoint(Checkpoint.Segment segment, Tensor input, Tensor output) {
        return new Recomputed(segment, identities(input), new boolean[] {true}, identities(output), keep(input));
    }

    private static Tensor keep(Tensor t) {
        return t.alias().own();
    }

    private static Object[] identities(Tensor... tensors) {
        Object[] ids = new Object[tensors.length];
        for (int i = 0; i < tensors.length; i++) {
            ids[i] = tensors[i] == null ? null : tensors[i].identity();
        }
        return ids;
    }

    static void release(Tensor... tensors) {
        for (Tensor t : tensors) {
            if (t != null) {
                t.close();
            }
        }
    }
}
