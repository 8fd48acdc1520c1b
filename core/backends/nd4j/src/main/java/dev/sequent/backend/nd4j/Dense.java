package dev.sequent.backend.nd4j;

import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The elements of an operand in row-major order, either where they are or in a copy; keeps them alive until it is closed. Used by one
 * thread.
 */
final class Dense implements AutoCloseable {
    private final Storage storage;
    private final long offset;
    private final long size;

    /** Takes over one reference to {@code storage}. */
    Dense(Storage storage, long offset, long size) {
        this.storage = storage;
        this.offset = offset;
        this.size = size;
    }

    DType dtype() {
        return storage.dtype();
    }

    long size() {
        return size;
    }

    /** The elements as Java sees them. */
    MemorySegment segment() {
        int bytes = dtype().bytes();
        return size == 0 ? MemorySegment.NULL : storage.segment().asSlice(offset * bytes, size * bytes);
    }

    /** The elements as an ND4J vector; they must be all of their storage. */
    INDArray vector() {
        return storage.vector();
    }

    /** Position of the first element in its storage. */
    long offset() {
        return offset;
    }

    Storage storage() {
        return storage;
    }

    @Override
    public void close() {
        storage.release();
    }
}
