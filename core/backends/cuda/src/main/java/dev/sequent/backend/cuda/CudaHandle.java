package dev.sequent.backend.cuda;

import dev.sequent.spi.Layout;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;

/**
 * A view of a {@link Storage}: the address of the first element and a stride per axis. Strides count elements, are never negative, and
 * are 0 along repeated axes. Guarded by the device's lock.
 */
final class CudaHandle implements TensorHandle {
    private final Storage storage;
    private final long address;
    private final Shape shape;
    private final DType dtype;
    private final long[] strides;
    private final boolean contiguous;
    private boolean released;

    /** A handle that takes over one reference to {@code storage}; {@code address} lies in it. */
    CudaHandle(Storage storage, long address, Shape shape, DType dtype, long[] strides) {
        this.storage = storage;
        this.address = address;
        this.shape = shape;
        this.dtype = dtype;
        this.strides = strides;
        this.contiguous = Layout.isContiguous(shape, strides);
        storage.device().memory().handles(1);
    }

    /** A further handle to a part of the same memory, which begins {@code elements} after this one's. */
    CudaHandle view(long elements, Shape shape, long[] strides) {
        return new CudaHandle(storage.retain(), address + elements * dtype.bytes(), shape, dtype, strides);
    }

    /** A further handle to the same value. */
    CudaHandle share() {
        return view(0, shape, strides);
    }

    /** This handle, which must be contiguous, traded in for one of another shape of equal size. */
    CudaHandle reshaped(Shape shape) {
        CudaHandle result = view(0, shape, shape.strides());
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

    CudaDevice device() {
        return storage.device();
    }

    Storage storage() {
        return storage;
    }

    /** Device address of the first element. */
    long address() {
        return address;
    }

    /** Strides in elements; callers do not change them. */
    long[] strides() {
        return strides;
    }

    /** Whether the elements lie in row-major order without gaps. */
    boolean contiguous() {
        return contiguous;
    }

    long size() {
        return shape.size();
    }

    /** Bytes of the elements, without repetition or gaps. */
    long bytes() {
        return shape.size() * dtype.bytes();
    }

    /** Throws when the handle has been released; {@code op} names who asks. */
    void check(String op) {
        if (released) {
            throw new ReleasedTensorException(op, "a live tensor", "a released one of shape " + shape);
        }
    }

    /** Ends this handle's life; the second time is an error. */
    void release() {
        check("release");
        released = true;
        storage.device().memory().handles(-1);
        storage.release();
    }
}
