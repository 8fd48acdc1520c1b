package dev.sequent.backend.cpu;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;

/** A block of memory that several handles (views of one another) share; it is freed with the last of them. Thread-safe. */
final class Storage {
    private final Allocator allocator;
    private final Allocator.Block block;
    private final AtomicInteger references = new AtomicInteger(1);

    /** A storage with one reference. */
    Storage(Allocator allocator, Allocator.Block block) {
        this.allocator = allocator;
        this.block = block;
    }

    /** The memory. */
    MemorySegment segment() {
        return block.segment();
    }

    /** The allocator that the memory belongs to. */
    Allocator allocator() {
        return allocator;
    }

    /** Adds a reference. */
    Storage retain() {
        references.incrementAndGet();
        return this;
    }

    /** Gives a reference back. */
    void release() {
        if (references.decrementAndGet() == 0) {
            allocator.free(block);
        }
    }
}
