package dev.sequent.fused.embedding;

import dev.sequent.fused.Indices;
import dev.sequent.fused.RowMath;
import dev.sequent.fused.Rows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Look-up of rows of a (V, D) table in host memory, F32, and its gradient.
 *
 * <p>The gradient adds up the rows that belong to equal ids. The positions are first sorted by id, stably: chunks of positions are dealt
 * out to ranges of ids, and then every range is sorted for itself. Then every task owns some rows of the table, or a block of their
 * columns, and adds to each in ascending order of position. So the sums are the same for any number of threads, and no two threads write
 * to one place. Thread-safe: no state.
 */
final class EmbeddingRows {
    /** A row to clear costs about as much as a row to add. */
    private static final int WORK_PER_TASK = 16 * 1024;
    private static final int MAX_TASKS = 256;
    /** Columns of a block where there are fewer ids than positions, so that a frequent id does not keep one thread busy for long. */
    private static final int COLUMNS = 256;

    private final RowMath math;

    EmbeddingRows(RowMath math) {
        this.math = math;
    }

    static EmbeddingRows of(boolean vector) {
        return new EmbeddingRows(RowMath.of(vector));
    }

    /** Writes row {@code ids[r]} of the table to row r of {@code y}. Ids must be in range: see {@link Indices#check}. */
    void forward(Parallel parallel, MemorySegment table, Indices ids, MemorySegment y, int rows, int width) {
        long bytes = (long) width << 2;
        Rows.forEach(parallel, rows, width, (from, to) -> {
            for (int r = from; r < to; r++) {
                MemorySegment.copy(table, ids.at(r) * bytes, y, r * bytes, bytes);
            }
        });
    }

    /** Ints of scratch memory that {@link #backward} needs. */
    static long scratchInts(int rows, int vocabulary) {
        return SortedPositions.ints(rows, vocabulary);
    }

    /**
     * Writes to every row v of {@code dtable} (vocabulary, width) the sum of the rows r of {@code dy} with {@code ids[r] == v}.
     *
     * @param scratch at least {@link #scratchInts} ints of any content
     */
    void backward(Parallel parallel, MemorySegment dy, Indices ids, MemorySegment dtable, MemorySegment scratch, int rows, int width,
            int vocabulary) {
        SortedPositions sorted = SortedPositions.sort(parallel, ids, rows, vocabulary, scratch);
        long work = (long) rows + vocabulary;
        long tasks = Math.clamp(work * width / WORK_PER_TASK, 1, MAX_TASKS);
        int blocks = rows > vocabulary ? (int) Math.clamp(Math.ceilDiv(width, COLUMNS), 1, tasks) : 1;
        int columns = Math.ceilDiv(width, blocks);
        int ranges = Math.clamp(Math.ceilDiv(tasks, blocks), 1, Math.max(vocabulary, 1));
        parallel.forEach(ranges * blocks, task -> {
            int range = task / blocks;
            int column = task % blocks * columns;
            int from = boundary(sorted, work * range / ranges);
            int to = boundary(sorted, work * (range + 1) / ranges);
            for (int v = from; v < to; v++) {
                gradientRow(dy, sorted, dtable, v, width, column, Math.min(columns, width - column));
            }
        });
    }

    /** Columns {@code column} to {@code column + n} of row v. */
    private void gradientRow(MemorySegment dy, SortedPositions sorted, MemorySegment dtable, int v, int width, int column, int n) {
        int first = sorted.start(v);
        int end = sorted.start(v + 1);
        long at = (long) v * width + column;
        if (first == end) {
            dtable.asSlice(at << 2, (long) n << 2).fill((byte) 0);
            return;
        }
        MemorySegment.copy(dy, ((long) sorted.position(first) * width + column) << 2, dtable, at << 2, (long) n << 2);
        for (int i = first + 1; i < end; i++) {
            math.add(dtable, at, dy, (long) sorted.position(i) * width + column, dtable, at, n);
        }
    }

    /** The first row v whose work before it, the rows to clear and the positions to add, reaches {@code work}. */
    private static int boundary(SortedPositions sorted, long work) {
        int low = 0;
        int high = sorted.vocabulary();
        while (low < high) {
            int mid = (low + high) >>> 1;
            if ((long) sorted.start(mid) + mid < work) {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        return low;
    }
}
