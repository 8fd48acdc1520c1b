package dev.sequent.ssm.scan;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Packs B and C of all chunks for the backward pass into memory of one call, for all of the tasks that read them: heads of a group share
 * them, and the heads of a group are several tasks. Thread-safe.
 */
final class DualPacking {
    private final Parallel pool;
    private final DualTiles tiles;
    private final ThreadLocal<DualMatrices> scratch = new ThreadLocal<>();

    DualPacking(Parallel pool, DualTiles tiles) {
        this.pool = pool;
        this.tiles = tiles;
    }

    /** F32 elements of the memory that {@link #run} fills. */
    long floats(DualShape s) {
        DualLayout layout = DualLayout.of(s);
        return (long) s.batch() * s.groups() * layout.chunks(s.tokens()) * DualMatrices.floats(layout);
    }

    private MemorySegment place(MemorySegment memory, DualShape s, DualLayout layout, int batch, int group, int chunk) {
        long index = ((long) batch * s.groups() + group) * layout.chunks(s.tokens()) + chunk;
        long bytes = DualMatrices.floats(layout) * Float.BYTES;
        return memory.asSlice(index * bytes, bytes);
    }

    /** Packs everything. */
    void run(DualInputs in, MemorySegment memory) {
        DualShape s = in.shape();
        DualLayout layout = DualLayout.of(s);
        int chunks = layout.chunks(s.tokens());
        pool.forEach(s.batch() * s.groups() * chunks, task -> {
            DualMatrices m = scratch.get();
            if (m == null || !m.fits(layout)) {
                m = new DualMatrices(layout);
                scratch.set(m);
            }
            int chunk = task % chunks;
            int batch = task / chunks / s.groups();
            int group = task / chunks % s.groups();
            int token = chunk * layout.chunk();
            m.pack(tiles, in, batch, group, token, Math.min(layout.chunk(), s.tokens() - token));
            m.store(place(memory, s, layout, batch, group, chunk));
        });
    }

    /** Fills {@code target} with a chunk: from {@code memory} that {@link #run} has filled, or from the operands where it is null. */
    void load(MemorySegment memory, DualInputs in, int batch, int group, int chunk, DualMatrices target) {
        DualShape s = in.shape();
        DualLayout layout = DualLayout.of(s);
        int token = chunk * layout.chunk();
        int count = Math.min(layout.chunk(), s.tokens() - token);
        if (memory == null) {
            target.pack(tiles, in, batch, group, token, count);
        } else {
            target.load(place(memory, s, layout, batch, group, chunk), in, batch, token, count);
        }
    }
}
