package dev.sequent.backend.cpu;

import dev.sequent.spi.MemoryStats;
import dev.sequent.type.BackendException;
import dev.sequent.type.OutOfDeviceMemoryException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Native memory in size classes: a freed block waits in a pool for the next request of its class, so a training step that
 * repeats costs neither system calls nor page faults. Memory is not zeroed. Thread-safe.
 */
final class Allocator {
    private static final byte POISON = (byte) 0xFF; // all bits set is a NaN in every float format
    private static final long LARGEST = 1L << 56;

    private final long limit;
    private final long poolLimit;
    private final boolean poison;
    private final AtomicLong liveHandles = new AtomicLong();
    private final TreeMap<Long, ArrayDeque<Block>> pool = new TreeMap<>();
    private final Set<Block> live = new HashSet<>();
    private boolean closed;
    private long liveBytes;
    private long liveCapacity;
    private long pooledBytes;
    private long peakBytes;

    /**
     * An empty allocator.
     *
     * @param limit most bytes that may be live at a time
     * @param poolLimit most bytes that may lie unused
     * @param poison whether new and reused memory is filled with NaN, so that tests see reads of uninitialised memory
     */
    Allocator(long limit, long poolLimit, boolean poison) {
        this.limit = limit;
        this.poolLimit = poolLimit;
        this.poison = poison;
    }

    /** A block of native memory with an identity. */
    static final class Block {
        private final NativeMemory.Piece piece;
        private final long capacity;
        private long charged;

        private Block(NativeMemory.Piece piece, long capacity) {
            this.piece = piece;
            this.capacity = capacity;
        }

        /** The memory, 64-byte aligned and at least as large as was asked for. */
        MemorySegment segment() {
            return piece.segment();
        }
    }

    /** Uninitialised memory of at least {@code bytes} bytes for operation {@code op}. */
    Block allocate(String op, long bytes) {
        Block block = take(op, bytes);
        if (poison) {
            block.segment().fill(POISON);
        }
        return block;
    }

    private synchronized Block take(String op, long bytes) {
        if (closed) {
            throw new BackendException(op, "an open backend", "a closed one");
        }
        if (bytes > LARGEST) {
            throw outOfMemory(op, bytes, "beyond any address space");
        }
        long charge = roundUp(bytes, NativeMemory.ALIGNMENT);
        if (charge > limit - liveBytes) {
            throw outOfMemory(op, bytes, "limit " + limit);
        }
        long capacity = capacity(charge);
        Block block = reuse(capacity);
        if (block == null) {
            block = fresh(op, bytes, capacity);
        }
        block.charged = charge;
        live.add(block);
        liveBytes += charge;
        liveCapacity += block.capacity;
        peakBytes = Math.max(peakBytes, liveBytes);
        return block;
    }

    private Block reuse(long capacity) {
        Map.Entry<Long, ArrayDeque<Block>> entry = pool.ceilingEntry(capacity);
        if (entry == null || entry.getKey() > capacity + capacity / 4) {
            return null;
        }
        Block block = entry.getValue().pop();
        if (entry.getValue().isEmpty()) {
            pool.remove(entry.getKey());
        }
        pooledBytes -= block.capacity;
        return block;
    }

    private Block fresh(String op, long bytes, long capacity) {
        if (pooledBytes > 0 && capacity > limit - liveCapacity - pooledBytes) {
            trim();
        }
        NativeMemory.Piece piece = NativeMemory.allocate(capacity);
        if (piece == null && pooledBytes > 0) {
            trim();
            piece = NativeMemory.allocate(capacity);
        }
        if (piece == null) {
            throw outOfMemory(op, bytes, "no more from the operating system");
        }
        return new Block(piece, capacity);
    }

    private OutOfDeviceMemoryException outOfMemory(String op, long bytes, String why) {
        return new OutOfDeviceMemoryException(op, "a request that fits",
                bytes + " bytes with " + liveBytes + " bytes in use by " + liveHandles.get() + " tensors (" + why + ")");
    }

    /** Takes a block back. A block of a closed allocator has been freed already. */
    synchronized void free(Block block) {
        if (!live.remove(block)) {
            return;
        }
        liveBytes -= block.charged;
        liveCapacity -= block.capacity;
        if (pooledBytes + block.capacity > poolLimit) {
            NativeMemory.free(block.piece);
            return;
        }
        pooledBytes += block.capacity;
        pool.computeIfAbsent(block.capacity, c -> new ArrayDeque<>()).push(block);
    }

    /** Returns all unused memory to the operating system. */
    synchronized void trim() {
        for (ArrayDeque<Block> blocks : pool.values()) {
            for (Block block : blocks) {
                NativeMemory.free(block.piece);
            }
        }
        pool.clear();
        pooledBytes = 0;
    }

    /** Frees everything, blocks in use included; the caller has made sure that nobody touches them. */
    synchronized void close() {
        closed = true;
        trim();
        for (Block block : live) {
            NativeMemory.free(block.piece);
        }
        live.clear();
        liveBytes = 0;
        liveCapacity = 0;
    }

    /** Counts handles for {@link #stats}. */
    void handles(int change) {
        liveHandles.addAndGet(change);
    }

    /** Memory in use. */
    synchronized MemoryStats stats() {
        return new MemoryStats(liveHandles.get(), liveBytes, pooledBytes, peakBytes, limit);
    }

    /** Size of the class for a request: eight classes per doubling, so at most an eighth is wasted. */
    static long capacity(long bytes) {
        if (bytes <= 8 * NativeMemory.ALIGNMENT) {
            return Math.max(NativeMemory.ALIGNMENT, roundUp(bytes, NativeMemory.ALIGNMENT));
        }
        int log = 63 - Long.numberOfLeadingZeros(bytes - 1);
        return roundUp(bytes, 1L << (log - 3));
    }

    private static long roundUp(long value, long multiple) {
        return (value + multiple - 1) / multiple * multiple;
    }
}
