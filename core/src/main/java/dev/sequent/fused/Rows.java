package dev.sequent.fused;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/** Divides the rows of a matrix among the threads of a pool. Thread-safe: no state. */
public final class Rows {
    /** About as many elements as keep a core busy for longer than handing out a task costs. */
    private static final int ELEMENTS_PER_TASK = 16 * 1024;

    private static final int MAX_TASKS = 256;
    private static final int MAX_BLOCKS = 64;
    private static final int MIN_BLOCK_ROWS = 8;
    /** Floats of parts that one task of a sum of parts adds up, and the fewest neighbouring ones. */
    private static final int SUM_ELEMENTS = 32 * 1024;
    private static final int MIN_SUM_COLUMNS = 128;

    private Rows() {}

    /** Work on a range of rows. */
    @FunctionalInterface
    public interface Range {
        /** Handles the rows {@code from <= row < to}. */
        void run(int from, int to);
    }

    /** Runs {@code body} over all rows, in parallel when there is enough to do. Rows must be independent of each other. */
    public static void forEach(Parallel parallel, int rows, int width, Range body) {
        int size = Math.max(Math.ceilDiv(ELEMENTS_PER_TASK, Math.max(width, 1)), Math.ceilDiv(rows, MAX_TASKS));
        int tasks = Math.ceilDiv(rows, size);
        if (tasks == 1) {
            body.run(0, rows);
        } else if (tasks > 1) {
            parallel.forEach(tasks, task -> body.run(task * size, Math.min(rows, (task + 1) * size)));
        }
    }

    /** Number of blocks into which a sum over rows is divided: a function of the number of rows alone, so that sums are reproducible. */
    public static int blocks(int rows) {
        return Math.ceilDiv(rows, blockRows(rows));
    }

    /** Rows in every block of a sum over rows but the last one. */
    public static int blockRows(int rows) {
        return Math.max(MIN_BLOCK_ROWS, Math.ceilDiv(rows, MAX_BLOCKS));
    }

    /**
     * Writes to {@code target} (size) the sum of {@code count} parts of {@code size} floats, the first of which begins at element
     * {@code at} of {@code parts}; they are added in ascending order. In parallel, by columns, when there is enough to add.
     */
    public static void sumParts(Parallel parallel, RowMath math, MemorySegment parts, long at, int count, long size, MemorySegment target) {
        int columns = (int) Math.min(size, Math.max(MIN_SUM_COLUMNS, SUM_ELEMENTS / count));
        int tasks = size == 0 ? 0 : Math.toIntExact(Math.ceilDiv(size, columns));
        if (tasks == 1) {
            sumColumns(math, parts, at, count, size, target, 0, columns);
        } else if (tasks > 1) {
            parallel.forEach(tasks, task -> {
                long from = (long) task * columns;
                sumColumns(math, parts, at, count, size, target, from, (int) Math.min(columns, size - from));
            });
        }
    }

    private static void sumColumns(RowMath math, MemorySegment parts, long at, int count, long size, MemorySegment target, long from,
            int n) {
        MemorySegment.copy(parts, (at + from) << 2, target, from << 2, (long) n << 2);
        for (int part = 1; part < count; part++) {
            math.add(target, from, parts, at + part * size + from, target, from, n);
        }
    }
}
