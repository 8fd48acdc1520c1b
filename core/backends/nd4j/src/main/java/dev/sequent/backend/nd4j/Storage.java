package dev.sequent.backend.nd4j;

import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The memory of one ND4J array, which several handles (views of one another) share; it goes back to {@link Memory} with the last of
 * them. An empty tensor has a storage without memory. Thread-safe.
 */
final class Storage {
    private final Memory memory;
    private final Memory.Block block;
    private final DType dtype;
    private final long size;
    private final AtomicInteger references = new AtomicInteger(1);

    /** A storage with one reference; {@code block} is null when {@code size} is 0. */
    Storage(Memory memory, Memory.Block block, DType dtype, long size) {
        this.memory = memory;
        this.block = block;
        this.dtype = dtype;
        this.size = size;
    }

    Memory memory() {
        return memory;
    }

    DType dtype() {
        return dtype;
    }

    /** Number of elements. */
    long size() {
        return size;
    }

    /** All elements, as Java sees them. */
    MemorySegment segment() {
        return block == null ? MemorySegment.NULL : block.segment().asSlice(0, size * dtype.bytes());
    }

    /** All elements as an ND4J vector; there is none for an empty storage. */
    INDArray vector() {
        INDArray whole = block.array();
        // a view that starts at the buffer's first element is a Java object only: ND4J makes native objects for offsets
        return whole.length() == size ? whole : Nd4j.create(whole.data(), new long[] {size}, new long[] {1}, 0, 'c');
    }

    /** Adds a reference. */
    Storage retain() {
        references.incrementAndGet();
        return this;
    }

    /** Gives a reference back. */
    void release() {
        if (references.decrementAndGet() == 0 && block != null) {
            memory.free(block);
        }
    }
}
