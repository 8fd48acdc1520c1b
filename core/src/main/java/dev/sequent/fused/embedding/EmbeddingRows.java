package dev.sequent.fused.embedding;

import dev.sequent.fused.Indices;
import dev.sequent.fused.RowMath;
import dev.sequent.fused.Rows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Look-up of rows of a (V, D) table in host memory, F32, and its gradient.
 *
 * <p>The gradient adds up the rows that belong to equal ids. The table is cleared; the positions are grouped by id, stably; then every
 * task owns some groups, or a block of their columns, and adds up each in ascending order of position. So the sums are the same for any
 * number of threads, and no two threads write to one place. Thread-safe: no state.
 */
final class EmbeddingRows {
    /** Elements to clear or to add. */
    private static final int WORK_PER_TASK = 16 * 1024;
    private static final int MAX_TASKS = 256;
    /** Columns of a block: a frequent id does not keep one thread busy for long. */
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
    static long scratchInts(int rows) {
        return GroupedPositions.ints(rows);
    }

    /**
     * Writes to every row v of {@code dtable} (vocabulary, width) the sum of the rows r of {@code dy} with {@code ids[r] == v}.
     *
     * @param scratch at least {@link #scratchInts} ints of any content
     */
    void backward(Parallel parallel, MemorySegment dy, Indices ids, MemorySegment dtable, MemorySegment scratch, int rows, int width,
            int vocabulary) {
        Rows.forEach(parallel, vocabulary, width, (from, to) ->
            dtable.asSlice((long) from * width << 2, (long) (to - from) * width << 2).fill((byte) 0));
        if (rows == 0) {
            return;
        }
        GroupedPositions grouped = GroupedPositions.of(parallel, ids, rows, vocabulary, scratch);
        int tasks = Math.clamp((long) rows * width / WORK_PER_TASK, 1, MAX_TASKS);
        int blocks = Math.clamp(Math.ceilDiv(width, COLUMNS), 1, tasks);
        int columns = Math.ceilDiv(width, blocks);
        int pieces = Math.min(Math.ceilDiv(tasks, blocks), rows);
        parallel.forEach(pieces * blocks, task -> {
            int column = task % blocks * columns;
            int n = Math.min(columns, width - column);
            int end = piece(rows, task / blocks + 1, pieces);
            for (int i = grouped.groupFrom(piece(rows, task / blocks, pieces)), next; i < end && n > 0; i = next) {
                next = grouped.groupEnd(i);
                gradientRow(dy, grouped, dtable, i, next, width, column, n);
            }
        });
    }

    private static int piece(int rows, int number, int pieces) {
        return (int) ((long) rows * number / pieces);
    }

    /** Columns {@code column} to {@code column + n} of the sum of the group with the numbers {@code first <= i < end}. */
    private void gradientRow(MemorySegment dy, GroupedPositions grouped, MemorySegment dtable, int first, int end, int width, int column,
            int n) {
        long at = (long) grouped.id(first) * width + column;
        MemorySegment.copy(dy, ((long) grouped.position(first) * width + column) << 2, dtable, at << 2, (long) n << 2);
        for (int i = first + 1; i < end; i++) {
            math.add(dtable, at, dy, (long) grouped.position(i) * width + column, dtable, at, n);
        }
    }
}
