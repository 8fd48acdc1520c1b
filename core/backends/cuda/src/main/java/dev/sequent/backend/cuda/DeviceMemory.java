package dev.sequent.backend.cuda;

import dev.sequent.spi.MemoryStats;
import dev.sequent.type.OutOfDeviceMemoryException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Memory of one device in size classes. A freed block waits for the next request of its class; since everything on a device runs in one
 * order, it can be handed out again at once. While work is recorded for a graph, blocks come from and return to a set of the graph's own,
 * so that no one else writes where a replay will. Guarded by the device's lock.
 */
final class DeviceMemory {
    static final int ALIGNMENT = 256;
    private static final byte POISON = (byte) 0xFF; // all bits set is a NaN in every float format
    private static final long LARGEST = 1L << 56;

    private final Driver driver;
    private final long stream;
    private final CudaOptions options;
    private final long limit;
    private final Pool general = new Pool();
    private final Set<Block> live = new HashSet<>();
    private Pool captured;
    private long liveHandles;
    private long liveBytes;
    private long pooledBytes;
    private long peakBytes;

    /** The memory of the current context's device. */
    DeviceMemory(Driver driver, long stream, CudaOptions options, long deviceBytes) {
        this.driver = driver;
        this.stream = stream;
        this.options = options;
        this.limit = Math.min(options.memoryLimit(), deviceBytes);
    }

    /** A piece of memory. Its owner is the graph during whose capture it was first used, or null. */
    static final class Block {
        private final long address;
        private final long capacity;
        private long charged;
        private Pool owner;

        private Block(long address, long capacity) {
            this.address = address;
            this.capacity = capacity;
        }

        long address() {
            return address;
        }
    }

    /** Free blocks by size. */
    static final class Pool {
        private final TreeMap<Long, ArrayDeque<Block>> free = new TreeMap<>();
        private boolean closed;

        private Block take(long capacity) {
            Map.Entry<Long, ArrayDeque<Block>> entry = free.ceilingEntry(capacity);
            if (entry == null || entry.getKey() > capacity + capacity / 4) {
                return null;
            }
            Block block = entry.getValue().pop();
            if (entry.getValue().isEmpty()) {
                free.remove(entry.getKey());
            }
            return block;
        }

        private void put(Block block) {
            free.computeIfAbsent(block.capacity, c -> new ArrayDeque<>()).push(block);
        }

        private ArrayList<Block> drain() {
            ArrayList<Block> all = new ArrayList<>();
            free.values().forEach(all::addAll);
            free.clear();
            return all;
        }
    }

    /** Uninitialised memory of at least {@code bytes} bytes for operation {@code op}. */
    Block allocate(String op, long bytes) {
        if (bytes > LARGEST) {
            throw outOfMemory(op, bytes, "beyond any device", null);
        }
        long charge = roundUp(Math.max(1, bytes), ALIGNMENT);
        if (charge > limit - liveBytes) {
            throw outOfMemory(op, bytes, "limit " + limit, null);
        }
        // without reuse, the guards of a stricter driver lie right behind the request
        long capacity = options.reuse() ? capacity(charge) : Math.max(1, bytes);
        Block block = captured != null ? captured.take(capacity) : null;
        if (block == null) {
            block = general.take(capacity);
        }
        if (block == null) {
            block = fresh(op, bytes, capacity);
        } else {
            pooledBytes -= block.capacity;
        }
        block.charged = charge;
        block.owner = captured;
        live.add(block);
        liveBytes += charge;
        peakBytes = Math.max(peakBytes, liveBytes);
        if (options.poison()) {
            driver.fill(block.address, POISON, Math.max(1, bytes), stream);
        }
        return block;
    }

    private Block fresh(String op, long bytes, long capacity) {
        try {
            return new Block(driver.allocate(capacity), capacity);
        } catch (CudaException e) {
            if (e.code() != CudaException.OUT_OF_MEMORY) {
                throw e;
            }
        }
        trim();
        try {
            return new Block(driver.allocate(capacity), capacity);
        } catch (CudaException e) {
            if (e.code() != CudaException.OUT_OF_MEMORY) {
                throw e;
            }
            throw outOfMemory(op, bytes, driver.freeMemory() + " bytes free on the device", e);
        }
    }

    private OutOfDeviceMemoryException outOfMemory(String op, long bytes, String why, Throwable cause) {
        String message = "[" + op + "] expected a request that fits, given " + bytes + " bytes with " + liveBytes + " bytes in use by "
                + liveHandles + " tensors and " + pooledBytes + " bytes kept for reuse (" + why + ")";
        return cause == null ? new OutOfDeviceMemoryException(message) : new OutOfDeviceMemoryException(message, cause);
    }

    /** Takes a block back. */
    void free(Block block) {
        if (!live.remove(block)) {
            return;
        }
        liveBytes -= block.charged;
        if (captured != null) {
            // recorded work may refer to the block, whoever made it: it stays with the graph
            block.owner = captured;
        }
        recycle(block);
    }

    private void recycle(Block block) {
        Pool pool = block.owner == null || block.owner.closed ? general : block.owner;
        if (pool == general && !options.reuse()) {
            driver.free(block.address);
            return;
        }
        pool.put(block);
        pooledBytes += block.capacity;
    }

    /** Gives all free memory back to the driver. */
    void trim() {
        for (Block block : general.drain()) {
            pooledBytes -= block.capacity;
            driver.free(block.address);
        }
    }

    /** From now on memory belongs to a graph, until {@link #endCapture}. */
    Pool beginCapture() {
        captured = new Pool();
        return captured;
    }

    /** Whether a block belongs to the graph that is being recorded. */
    boolean isGraphs(Block block) {
        return captured != null && block.owner == captured;
    }

    void endCapture() {
        captured = null;
    }

    /** A graph is gone: its free blocks serve everybody, and those in use will when they are freed. */
    void release(Pool graph) {
        graph.closed = true;
        for (Block block : graph.drain()) {
            pooledBytes -= block.capacity;
            block.owner = null;
            recycle(block);
        }
    }

    /** Frees everything, blocks in use included. */
    void close() {
        trim();
        live.forEach(block -> driver.free(block.address));
        live.clear();
    }

    void handles(int change) {
        liveHandles += change;
    }

    MemoryStats stats() {
        return new MemoryStats(liveHandles, liveBytes, pooledBytes, peakBytes, limit);
    }

    /** Size of the class for a request: eight classes per doubling, so at most an eighth is wasted. */
    static long capacity(long bytes) {
        if (bytes <= 8L * ALIGNMENT) {
            return roundUp(bytes, ALIGNMENT);
        }
        int log = Long.SIZE - 1 - Long.numberOfLeadingZeros(bytes - 1);
        return roundUp(bytes, 1L << (log - 3));
    }

    private static long roundUp(long value, long multiple) {
        return (value + multiple - 1) / multiple * multiple;
    }
}
