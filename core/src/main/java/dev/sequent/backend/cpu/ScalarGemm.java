package dev.sequent.backend.cpu;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The matrix product in plain Java, for runtimes without the vector module.
 *
 * <p>Rows of C are summed in heap arrays, where C2 turns the inner loop into vector code; where B is stored as (n, k), a block of it is
 * transposed first. Every element of C is summed in ascending k, so results do not depend on the number of threads.
 *
 * <p>Thread-safe: all scratch memory is thread-local.
 */
final class ScalarGemm implements Gemm {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    /** Rows of C and columns of C in a task, and the block of k that is held packed. */
    private static final int ROWS = 32;
    private static final int COLUMNS = 256;
    private static final int BLOCK_K = 128;
    /** Products with fewer multiplications stay on the calling thread. */
    private static final long PARALLEL_WORK = 1 << 17;

    private final Parallel parallel;
    private final ThreadLocal<Scratch> scratch = ThreadLocal.withInitial(Scratch::new);

    ScalarGemm(Parallel parallel) {
        this.parallel = parallel;
    }

    /** Memory of one thread. */
    private static final class Scratch {
        final float[] b = new float[BLOCK_K * COLUMNS];
        final float[] c = new float[ROWS * COLUMNS];
    }

    /** The operands of a product; distances of rows in bytes. */
    private record Product(boolean ta, boolean tb, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
            boolean add, MemorySegment c, long ldc) {}

    @Override
    public void gemm(boolean ta, boolean tb, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb, float beta,
            MemorySegment c, long ldc) {
        Product p = new Product(ta, tb, m, n, k, a, 4 * lda, b, 4 * ldb, beta != 0f, c, 4 * ldc);
        int columnTasks = Math.ceilDiv(n, COLUMNS);
        int tasks = Math.ceilDiv(m, ROWS) * columnTasks;
        if (tasks > 1 && (long) m * n * k >= PARALLEL_WORK) {
            parallel.forEach(tasks, task -> block(p, task / columnTasks * ROWS, task % columnTasks * COLUMNS));
        } else {
            for (int task = 0; task < tasks; task++) {
                block(p, task / columnTasks * ROWS, task % columnTasks * COLUMNS);
            }
        }
    }

    private void block(Product p, int row, int column) {
        Scratch own = scratch.get();
        int rows = Math.min(ROWS, p.m - row);
        int columns = Math.min(COLUMNS, p.n - column);
        Arrays.fill(own.c, 0f);
        for (int from = 0; from < p.k; from += BLOCK_K) {
            int kc = Math.min(BLOCK_K, p.k - from);
            packB(p, column, columns, from, kc, own.b);
            for (int i = 0; i < rows; i++) {
                for (int k = 0; k < kc; k++) {
                    long at = p.ta ? (from + k) * p.lda + 4L * (row + i) : (row + i) * p.lda + 4L * (from + k);
                    addScaled(p.a.get(FLOAT, at), own.b, k * columns, own.c, i * COLUMNS, columns);
                }
            }
        }
        for (int i = 0; i < rows; i++) {
            long to = (row + i) * p.ldc + 4L * column;
            for (int j = 0; j < columns; j++) {
                float sum = own.c[i * COLUMNS + j];
                p.c.set(FLOAT, to + 4L * j, p.add ? p.c.get(FLOAT, to + 4L * j) + sum : sum);
            }
        }
    }

    private static void packB(Product p, int column, int columns, int from, int kc, float[] dst) {
        if (!p.tb) {
            for (int k = 0; k < kc; k++) {
                MemorySegment.copy(p.b, FLOAT, (from + k) * p.ldb + 4L * column, dst, k * columns, columns);
            }
            return;
        }
        for (int j = 0; j < columns; j++) {
            long row = (column + j) * p.ldb + 4L * from;
            for (int k = 0; k < kc; k++) {
                dst[k * columns + j] = p.b.get(FLOAT, row + 4L * k);
            }
        }
    }

    private static void addScaled(float factor, float[] x, int xo, float[] y, int yo, int n) {
        for (int j = 0; j < n; j++) {
            y[yo + j] += factor * x[xo + j];
        }
    }
}
