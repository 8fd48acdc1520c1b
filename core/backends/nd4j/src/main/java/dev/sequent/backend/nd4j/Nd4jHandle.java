package dev.sequent.backend.nd4j;

import dev.sequent.spi.Layout;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A view of a {@link Storage}: a position of the first element and a stride per axis, both in elements. Strides are 0 along repeated
 * axes and negative along flipped ones. Thread-safe.
 */
final class Nd4jHandle implements TensorHandle {
    private final Storage storage;
    private final long offset;
    private final Shape shape;
    private final long[] strides;
    private final boolean contiguous;
    private final AtomicBoolean released = new AtomicBoolean();

    /** A handle that takes over one reference to {@code storage}. */
    Nd4jHandle(Storage storage, long offset, Shape shape, long[] strides) {
        this.storage = storage;
        this.offset = offset;
        this.shape = shape;
        this.strides = strides;
        this.contiguous = Layout.isContiguous(shape, strides);
        storage.memory().handles(1);
    }

    /** A further handle to a part of the same memory. */
    Nd4jHandle view(long offset, Shape shape, long[] strides) {
        return new Nd4jHandle(storage.retain(), offset, shape, strides);
    }

    @Override
    public Shape shape() {
        return shape;
    }

    @Override
    public DType dtype() {
        return storage.dtype();
    }

    Storage storage() {
        return storage;
    }

    /** Position of the first element. */
    long offset() {
        return offset;
    }

    /** Callers do not change them. */
    long[] strides() {
        return strides;
    }

    /** Whether the elements lie in row-major order without gaps. */
    boolean contiguous() {
        return contiguous;
    }

    /** Throws when the handle has been released; {@code op} names who asks. */
    void check(String op) {
        if (released.get()) {
            throw new ReleasedTensorException(op, "a live tensor", "a released one, " + this);
        }
    }

    /** Ends this handle's life; the second time is an error. */
    void release() {
        if (!released.compareAndSet(false, true)) {
            throw new ReleasedTensorException("release", "a live tensor", "a released one, " + this);
        }
        storage.memory().handles(-1);
        storage.release();
    }

    @Override
    public String toString() {
        return dtype() + shape.toString();
    }
}
