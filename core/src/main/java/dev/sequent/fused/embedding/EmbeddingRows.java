package dev.sequent.fused.embedding;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sequent.fused.Indices;
import dev.sequent.fused.RowMath;
import dev.sequent.fused.Rows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Look-up of rows of a (V, D) table in host memory, F32, and its gradient.
 *
 * <p>The gradient adds up the rows that belong to equal ids. The positions are first sorted by id, stably; then every thread owns
 * some rows of the table and adds to each in ascending order of position. So the sums are the same for any number of threads, and
 * no two threads write to one row. Thread-safe: no state.
 */
final class EmbeddingRows {
    /** A row to clear costs about as much as a row to add. */
    private static final int WORK_PER_TASK = 16 * 1024;

    private static final int MAX_TASKS = 256;

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
        return (long) rows + vocabulary + 2;
    }

    /**
     * Writes to every row v of {@code dtable} (vocabulary, width) the sum of the rows r of {@code dy} with {@code ids[r] == v}.
     *
     * @param scratch at least {@link #scratchInts} ints of any content
     */
    void backward(Parallel parallel, MemorySegment dy, Indices ids, MemorySegment dtable, MemorySegment scratch, int rows, int width,
            int vocabulary) {
        MemorySegment starts = scratch.asSlice(0, ((long) vocabulary + 2) << 2);
        MemorySegment order = scratch.asSlice(starts.byteSize(), (long) rows << 2);
        sort(ids, starts, order, rows, vocabulary);
        long work = (long) rows + vocabulary;
        int tasks = Math.clamp(work * width / WORK_PER_TASK, 1, Math.min(MAX_TASKS, Math.max(vocabulary, 1)));
        parallel.forEach(tasks, task -> {
            int from = boundary(starts, vocabulary, work * task / tasks);
            int to = boundary(starts, vocabulary, work * (task + 1) / tasks);
            for (int v = from; v < to; v++) {
                gradientRow(dy, starts, order, dtable, v, width);
            }
        });
    }

    private void gradientRow(MemorySegment dy, MemorySegment starts, MemorySegment order, MemorySegment dtable, int v, int width) {
        int first = starts.getAtIndex(JAVA_INT, v);
        int end = starts.getAtIndex(JAVA_INT, v + 1);
        long bytes = (long) width << 2;
        long row = (long) v * width;
        if (first == end) {
            dtable.asSlice(v * bytes, bytes).fill((byte) 0);
            return;
        }
        MemorySegment.copy(dy, order.getAtIndex(JAVA_INT, first) * bytes, dtable, v * bytes, bytes);
        for (int i = first + 1; i < end; i++) {
            math.add(dtable, row, dy, (long) order.getAtIndex(JAVA_INT, i) * width, dtable, row, width);
        }
    }

    /** Counting sort: on return the positions with id v stand in order[starts[v] .. starts[v + 1]), ascending. */
    private static void sort(Indices ids, MemorySegment starts, MemorySegment order, int rows, int vocabulary) {
        starts.fill((byte) 0);
        // counts are kept two places on: summing up turns starts[v + 1] into the first place of v, placing into its end
        for (int r = 0; r < rows; r++) {
            long at = ids.at(r) + 2;
            starts.setAtIndex(JAVA_INT, at, starts.getAtIndex(JAVA_INT, at) + 1);
        }
        for (int v = 2; v <= vocabulary; v++) {
            starts.setAtIndex(JAVA_INT, v, starts.getAtIndex(JAVA_INT, v) + starts.getAtIndex(JAVA_INT, v - 1));
        }
        for (int r = 0; r < rows; r++) {
            long at = ids.at(r) + 1;
            int place = starts.getAtIndex(JAVA_INT, at);
            starts.setAtIndex(JAVA_INT, at, place + 1);
            order.setAtIndex(JAVA_INT, place, r);
        }
    }

    /** The first row v whose work before it, the rows to clear and the positions to add, reaches {@code work}. */
    private static int boundary(MemorySegment starts, int vocabulary, long work) {
        int low = 0;
        int high = vocabulary;
        while (low < high) {
            int mid = (low + high) >>> 1;
            if ((long) starts.getAtIndex(JAVA_INT, mid) + mid < work) {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        return low;
    }
}
