package dev.sequent.backend.djl;

import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import java.util.concurrent.atomic.AtomicReference;

/** A handle: a cell until it is released, and nothing afterwards. Thread-safe. */
final class DjlHandle implements TensorHandle {
    private final DjlDevice device;
    private final Shape shape;
    private final DType dtype;
    private final AtomicReference<Cell> cell;

    /** A handle that takes over one hold of {@code cell}. */
    DjlHandle(DjlDevice device, Shape shape, DType dtype, Cell cell) {
        this.device = device;
        this.shape = shape;
        this.dtype = dtype;
        this.cell = new AtomicReference<>(cell);
    }

    @Override
    public Shape shape() {
        return shape;
    }

    @Override
    public DType dtype() {
        return dtype;
    }

    DjlDevice device() {
        return device;
    }

    /** The cell, held once more for operation {@code op}. */
    Cell hold(String op) {
        Cell found = cell.get();
        if (found == null || !found.hold()) {
            throw released(op);
        }
        return found;
    }

    /** Lets go of the cell; succeeds once. */
    void release(String op) {
        Cell found = cell.getAndSet(null);
        if (found == null) {
            throw released(op);
        }
        device.account().handle(-1);
        found.release();
    }

    private ReleasedTensorException released(String op) {
        return new ReleasedTensorException(op, "a live tensor", "a released one, " + this);
    }

    @Override
    public String toString() {
        return dtype + shape.toString();
    }
}
