package dev.sequent.backend.nd4j;

import dev.sequent.spi.MemoryStats;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * ND4J arrays as blocks of memory: allocated outside of ND4J's workspaces, closed by us and not by the garbage collector, counted, and
 * limited. A freed block waits in a pool for the next request of its dtype and size class, so that a training step that repeats
 * allocates nothing. Memory is not zeroed. Thread-safe.
 */
final class Memory {
    private static final long LARGEST = 1L << 56;
    private static final long SMALLEST_CLASS = 16;

    private final long limit;
    private final AtomicLong liveHandles = new AtomicLong();
    private final Map<Kind, ArrayDeque<Block>> pool = new HashMap<>();
    private final Set<Block> live = new HashSet<>();
    private boolean closed;
    private long liveBytes;
    private long pooledBytes;
    private long peakBytes;

    /** An empty memory of which at most {@code limit} bytes may be live at a time. */
    Memory(long limit) {
        this.limit = limit;
    }

    /** What makes blocks interchangeable. */
    private record Kind(DType dtype, long capacity) {
        long bytes() {
            return capacity * dtype.bytes();
        }
    }

    /** One ND4J array with the address of its elements. */
    static final class Block {
        private final Kind kind;
        private final INDArray array;
        private final MemorySegment segment;

        @SuppressWarnings("restricted") // the address is that of a buffer of this length, which lives as long as the block
        private Block(Kind kind) {
            this.kind = kind;
            this.array = Nd4j.createUninitializedDetached(typeOf(kind.dtype), kind.capacity);
            this.segment = MemorySegment.ofAddress(array.data().pointer().address()).reinterpret(kind.bytes());
        }

        INDArray array() {
            return array;
        }

        MemorySegment segment() {
            return segment;
        }
    }

    /** ND4J's name of an element type. */
    static DataType typeOf(DType dtype) {
        return switch (dtype) {
            case F64 -> DataType.DOUBLE;
            case F32 -> DataType.FLOAT;
            case F16 -> DataType.FLOAT16;
            case BF16 -> DataType.BFLOAT16;
            case I64 -> DataType.INT64;
            case I32 -> DataType.INT32;
            case BOOL -> DataType.BOOL;
        };
    }

    /** Uninitialised memory for a tensor of operation {@code op}. */
    Storage allocate(String op, Shape shape, DType dtype) {
        long size = shape.size();
        if (size > LARGEST) {
            throw outOfMemory(op, dtype + shape.toString(), "beyond any address space", null);
        }
        return new Storage(this, size == 0 ? null : take(op, shape, dtype), dtype, size);
    }

    private synchronized Block take(String op, Shape shape, DType dtype) {
        if (closed) {
            throw new BackendException(op, "an open backend", "a closed one");
        }
        Kind kind = new Kind(dtype, capacity(shape.size()));
        String request = shape.size() * dtype.bytes() + " bytes for " + dtype + shape;
        if (kind.bytes() > limit - liveBytes) {
            throw outOfMemory(op, request, "limit " + limit, null);
        }
        ArrayDeque<Block> waiting = pool.get(kind);
        Block block;
        if (waiting != null && !waiting.isEmpty()) {
            block = waiting.pop();
            pooledBytes -= kind.bytes();
        } else {
            if (kind.bytes() > limit - liveBytes - pooledBytes) {
                trim();
            }
            block = fresh(op, kind, request);
        }
        live.add(block);
        liveBytes += kind.bytes();
        peakBytes = Math.max(peakBytes, liveBytes);
        return block;
    }

    private Block fresh(String op, Kind kind, String request) {
        try {
            return new Block(kind);
        } catch (RuntimeException | OutOfMemoryError first) {
            trim();
            try {
                return new Block(kind);
            } catch (RuntimeException | OutOfMemoryError second) {
                throw outOfMemory(op, request, "no more from the operating system", second);
            }
        }
    }

    private OutOfDeviceMemoryException outOfMemory(String op, String request, String why, Throwable cause) {
        return new OutOfDeviceMemoryException("[" + op + "] expected a request that fits, given " + request + " with " + liveBytes
                + " bytes in use by " + liveHandles.get() + " tensors (" + why + ")", cause);
    }

    /** Takes a block back. A block of a closed memory has been closed already. */
    synchronized void free(Block block) {
        if (!live.remove(block)) {
            return;
        }
        long bytes = block.kind.bytes();
        liveBytes -= bytes;
        if (pooledBytes + bytes > limit / 2) {
            block.array.close();
            return;
        }
        pooledBytes += bytes;
        pool.computeIfAbsent(block.kind, k -> new ArrayDeque<>()).push(block);
    }

    /** Closes all unused arrays. */
    private void trim() {
        for (ArrayDeque<Block> blocks : pool.values()) {
            blocks.forEach(block -> block.array.close());
        }
        pool.clear();
        pooledBytes = 0;
    }

    /** Closes all arrays, those in use included; the caller has made sure that nobody touches them. */
    synchronized void close() {
        closed = true;
        trim();
        live.forEach(block -> block.array.close());
        live.clear();
        liveBytes = 0;
    }

    /** Counts handles for {@link #stats}. */
    void handles(int change) {
        liveHandles.addAndGet(change);
    }

    /** Memory in use. */
    synchronized MemoryStats stats() {
        return new MemoryStats(liveHandles.get(), liveBytes, pooledBytes, peakBytes, limit);
    }

    /** Elements of the size class of a request: eight classes per doubling, so at most an eighth is wasted. */
    static long capacity(long elements) {
        if (elements <= SMALLEST_CLASS) {
            return elements;
        }
        long step = Math.max(SMALLEST_CLASS, Long.highestOneBit(elements - 1) >> 3);
        return (elements + step - 1) / step * step;
    }
}
