package dev.sequent.backend.cpu;

import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.LongConsumer;

/**
 * What the operations of one backend share: memory, threads, the row kernels, and scratch memory for staging. Thread-safe.
 */
final class Machine {
    /** Elements per task of a parallel loop; below it a loop stays on its caller. */
    static final int GRAIN = 16_384;
    /** Elements of a staged row: small enough for all operands' scratch to stay in the first-level cache. */
    static final int ROW = 2_048;

    private static final int SMALL_FRACTION = 8;

    private final Allocator allocator;
    private final SpinPool pool;
    private final Kernels kernels;
    private final ConcurrentLinkedQueue<Scratch> scratches = new ConcurrentLinkedQueue<>();

    Machine(Allocator allocator, SpinPool pool, Kernels kernels) {
        this.allocator = allocator;
        this.pool = pool;
        this.kernels = kernels;
    }

    Allocator allocator() {
        return allocator;
    }

    SpinPool pool() {
        return pool;
    }

    Kernels kernels() {
        return kernels;
    }

    /** A new row-major tensor with uninitialised memory. */
    CpuHandle allocate(String op, Shape shape, DType dtype) {
        return allocate(op, shape, dtype, shape.strides());
    }

    /** A new tensor with uninitialised memory, dense under the given strides. */
    CpuHandle allocate(String op, Shape shape, DType dtype, long[] strides) {
        if (shape.size() > Long.MAX_VALUE / dtype.bytes()) {
            throw new OutOfDeviceMemoryException(op, "a request that fits", shape.size() + " elements of " + dtype);
        }
        Storage storage = new Storage(allocator, allocator.allocate(op, shape.size() * dtype.bytes()));
        return new CpuHandle(storage, 0, shape, dtype, strides);
    }

    /** Fills a new tensor and releases it again when that fails. */
    CpuHandle produce(CpuHandle result, Runnable fill) {
        boolean done = false;
        try {
            fill.run();
            done = true;
            return result;
        } finally {
            if (!done) {
                result.release();
            }
        }
    }

    /**
     * Runs {@code body} over {@code [0, n)} in pieces of {@code grain}, in parallel; pieces do not depend on the number of threads. A
     * fraction of a piece is run as it is: switching denormals off would take longer.
     */
    void range(long n, long grain, Range body) {
        if (n <= grain / SMALL_FRACTION) {
            if (n > 0) {
                body.run(0, n);
            }
            return;
        }
        int tasks = Math.toIntExact((n + grain - 1) / grain);
        pool.forEach(tasks, task -> {
            long from = task * grain;
            body.run(from, Math.min(n, from + grain));
        });
    }

    /** Runs {@code body} for every row, in parallel, where a row costs about {@code length} elements' work; answers {@code result}. */
    CpuHandle overRows(CpuHandle result, long rows, long length, LongConsumer body) {
        range(rows, Math.max(1, GRAIN / Math.max(1, length)), (from, to) -> {
            for (long row = from; row < to; row++) {
                body.accept(row);
            }
        });
        return result;
    }

    /** A piece of a parallel loop. */
    @FunctionalInterface
    interface Range {
        void run(long from, long to);
    }

    /** Scratch for the current task; give it back with {@link #give}. */
    Scratch scratch() {
        Scratch s = scratches.poll();
        return s == null ? new Scratch() : s;
    }

    /** Gives scratch back. */
    void give(Scratch scratch) {
        scratches.add(scratch);
    }

    /** Frees scratch memory; called once nothing runs any more. */
    void close() {
        for (Scratch s = scratches.poll(); s != null; s = scratches.poll()) {
            NativeMemory.free(s.piece);
        }
    }

    /** Rows of staged operands: up to four of them, raw and converted to F32. */
    static final class Scratch {
        private static final long RAW_BYTES = ROW * 8L;
        private static final long F32_BYTES = ROW * 4L;
        private static final int SLOTS = 4;

        private final NativeMemory.Piece piece;
        private final MemorySegment[] raw = new MemorySegment[SLOTS];
        private final MemorySegment[] f32 = new MemorySegment[SLOTS];

        private Scratch() {
            piece = NativeMemory.allocate(SLOTS * (RAW_BYTES + F32_BYTES));
            if (piece == null) {
                throw new OutOfDeviceMemoryException("scratch", "a request that fits", SLOTS * (RAW_BYTES + F32_BYTES) + " bytes");
            }
            for (int i = 0; i < SLOTS; i++) {
                raw[i] = piece.segment().asSlice(i * (RAW_BYTES + F32_BYTES), RAW_BYTES);
                f32[i] = piece.segment().asSlice(i * (RAW_BYTES + F32_BYTES) + RAW_BYTES, F32_BYTES);
            }
        }

        /** Room for a row of elements of any type. */
        MemorySegment raw(int slot) {
            return raw[slot];
        }

        /** Room for a row of F32. */
        MemorySegment f32(int slot) {
            return f32[slot];
        }
    }
}
