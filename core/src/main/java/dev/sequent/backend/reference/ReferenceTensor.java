package dev.sequent.backend.reference;

import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import java.util.concurrent.atomic.AtomicReference;

/** A handle: an array until it is released, and nothing afterwards. Thread-safe. */
final class ReferenceTensor implements TensorHandle {
    private final ReferenceBackend owner;
    private final Shape shape;
    private final DType dtype;
    private final AtomicReference<HeapArray> array;

    ReferenceTensor(ReferenceBackend owner, HeapArray array) {
        this.owner = owner;
        this.shape = array.shape();
        this.dtype = array.dtype();
        this.array = new AtomicReference<>(array);
    }

    @Override
    public Shape shape() {
        return shape;
    }

    @Override
    public DType dtype() {
        return dtype;
    }

    ReferenceBackend owner() {
        return owner;
    }

    /** The elements, for operation {@code op}. */
    HeapArray array(String op) {
        return present(op, array.get());
    }

    /** Takes the elements away; succeeds once. */
    HeapArray take(String op) {
        return present(op, array.getAndSet(null));
    }

    private HeapArray present(String op, HeapArray found) {
        if (found == null) {
            throw new ReleasedTensorException(op, "a live tensor", "a released one, " + this);
        }
        return found;
    }

    @Override
    public String toString() {
        return dtype + shape.toString();
    }
}
