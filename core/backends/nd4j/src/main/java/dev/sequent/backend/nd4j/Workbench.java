package dev.sequent.backend.nd4j;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;

/** What all groups of operations share: memory for results, and operands in row-major order. Thread-safe. */
final class Workbench {
    private final Memory memory;

    Workbench(Memory memory) {
        this.memory = memory;
    }

    /** A new tensor of any content, laid out without gaps. */
    Nd4jHandle allocate(String op, Shape shape, DType dtype) {
        return new Nd4jHandle(memory.allocate(op, shape, dtype), 0, shape, shape.strides());
    }

    /** Memory for an intermediate result. */
    Dense temporary(String op, long size, DType dtype) {
        return new Dense(memory.allocate(op, Shape.of(size), dtype), 0, size);
    }

    /** Returns {@code result} after {@code body} has filled it; it is released if that fails. */
    Nd4jHandle produce(Nd4jHandle result, Runnable body) {
        try {
            body.run();
            return result;
        } catch (RuntimeException | Error error) {
            result.release();
            throw error;
        }
    }

    /** The elements in row-major order. */
    Dense dense(String op, Nd4jHandle x) {
        return x.contiguous() ? new Dense(x.storage().retain(), x.offset(), x.shape().size()) : copy(op, x);
    }

    /** The elements in row-major order and nothing else in their storage, as an ND4J vector has to have them. */
    Dense whole(String op, Nd4jHandle x) {
        boolean isWhole = x.contiguous() && x.offset() == 0 && x.storage().size() == x.shape().size();
        return isWhole ? new Dense(x.storage().retain(), 0, x.shape().size()) : copy(op, x);
    }

    private Dense copy(String op, Nd4jHandle x) {
        Dense copy = temporary(op, x.shape().size(), x.dtype());
        if (copy.size() > 0) {
            Strides.Place target = new Strides.Place(copy.segment(), 0, x.shape().strides());
            Strides.copy(x.dtype().bytes(), x.shape(), Strides.Place.of(x), target);
        }
        return copy;
    }

    /** A handle to the elements in row-major order: the same memory where they are so already. */
    Nd4jHandle contiguous(String op, Nd4jHandle x) {
        return contiguous(op, x, x.shape());
    }

    /** The same under another shape of equal size. */
    Nd4jHandle contiguous(String op, Nd4jHandle x, Shape shape) {
        Dense dense = dense(op, x);
        return new Nd4jHandle(dense.storage(), dense.offset(), shape, shape.strides());
    }
}
