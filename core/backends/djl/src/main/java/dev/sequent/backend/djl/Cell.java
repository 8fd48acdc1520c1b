package dev.sequent.backend.djl;

import ai.djl.pytorch.engine.PtNDArray;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One DJL array with the number of those who hold it: handles to the same value, and operations that are reading it. The last one to let go
 * closes the array, so that no thread can free what another is reading. Thread-safe.
 */
final class Cell {
    private final PtNDArray array;
    private final Storage storage;
    private final long[] strides;
    private final boolean dense;
    private final AtomicInteger holders = new AtomicInteger(1);

    /**
     * A cell with one holder.
     *
     * @param strides distances of neighbours in elements, or null when they are unknown, because DJL does not tell
     */
    Cell(PtNDArray array, Storage storage, Shape shape, long[] strides) {
        this.array = array;
        this.storage = storage;
        this.strides = strides;
        this.dense = strides != null && (shape.size() <= 1 || Strides.isDense(shape, strides));
    }

    PtNDArray array() {
        return array;
    }

    Storage storage() {
        return storage;
    }

    /** Distances of neighbours in elements, or null. */
    long[] strides() {
        return strides == null ? null : Arrays.copyOf(strides, strides.length);
    }

    /** Whether the elements are known to lie in row-major order without gaps. */
    boolean isDense() {
        return dense;
    }

    /** Holds the cell, unless everybody has let go of it already. */
    boolean hold() {
        int seen = holders.get();
        while (seen > 0) {
            if (holders.compareAndSet(seen, seen + 1)) {
                return true;
            }
            seen = holders.get();
        }
        return false;
    }

    void release() {
        if (holders.decrementAndGet() == 0) {
            array.close();
            storage.release();
        }
    }
}
