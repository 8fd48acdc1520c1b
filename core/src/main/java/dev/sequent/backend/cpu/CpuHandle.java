package dev.sequent.backend.cpu;

import dev.sequent.spi.Layout;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A view of a {@link Storage}: a position of the first element and a stride per axis. Strides count elements, are never
 * negative, and are 0 along repeated axes. Thread-safe.
 */
final class CpuHandle implements TensorHandle {
    private final Storage storage;
    private final long offset;
    private final Shape shape;
    private final DType dtype;
    private final long[] strides;
    private final boolean contiguous;
    private final AtomicBoolean released = new AtomicBoolean();

    /** A handle that takes over one reference to {@code storage}; {@code offset} is in bytes. */
    CpuHandle(Storage storage, long offset, Shape shape, DType dtype, long[] strides) {
        this.storage = storage;
        this.offset = offset;
        this.shape = shape;
        this.dtype = dtype;
        this.strides = strides;
        this.contiguous = Layout.isContiguous(shape, strides);
        storage.allocator().handles(1);
    }

    /** A further handle to a part of the same memory. */
    CpuHandle view(long offset, Shape shape, long[] strides) {
        return new CpuHandle(storage.retain(), offset, shape, dtype, strides);
    }

    /** A further handle to the same value. */
    CpuHandle share() {
        return view(offset, shape, strides);
    }

    /** This handle, which must be contiguous, traded in for one of another shape of equal size. */
    CpuHandle reshaped(Shape shape) {
        CpuHandle result = view(offset, shape, shape.strides());
        release();
        return result;
    }

    @Override
    public Shape shape() {
        return shape;
    }

    @Override
    public DType dtype() {
        return dtype;
    }

    /** The whole memory that the view lies in. */
    MemorySegment memory() {
        return storage.segment();
    }

    /** The allocator that the memory belongs to. */
    Allocator allocator() {
        return storage.allocator();
    }

    /** Position of the first element in {@link #memory}, in bytes. */
    long offset() {
        return offset;
    }

    /** Strides in elements; callers do not change them. */
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
            throw new ReleasedTensorException(op, "a live tensor", "a released one of shape " + shape);
        }
    }

    /** Ends this handle's life; the second time is an error. */
    void release() {
        if (!released.compareAndSet(false, true)) {
            throw new ReleasedTensorException("release", "a live tensor", "a released one of shape " + shape);
        }
        storage.allocator().handles(-1);
        storage.release();
    }
}
