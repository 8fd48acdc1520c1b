package dev.sequent.backend.cpu;

import static dev.sequent.backend.cpu.GemmKernels.LANES;
import static dev.sequent.backend.cpu.GemmKernels.ROWS;
import static dev.sequent.backend.cpu.GemmKernels.TILE;
import static dev.sequent.backend.cpu.GemmKernels.WIDTH;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The matrix product in Java on the Vector API.
 *
 * <p>Operands are packed into panels (see {@link GemmKernels}), a block of k at a time, so that the inner loop reads nothing but
 * consecutive elements from the first two caches. Three plans share the tile loop, and a fourth goes without packing:
 * <ul>
 * <li>tall products (many rows): B is packed once for all threads, each task packs its own block of A;
 * <li>flat products (at most {@link #BLOCK_ROWS} rows): A is packed once for all threads, each task packs its own columns of B;
 * <li>deep products (small C, long k, such as the weight gradients of narrow layers): each task multiplies a piece of k into a
 *     partial C, and the partials are added in order of k;
 * <li>thin products (a few rows, as in generation): B is read once, where it lies (see {@link GemvKernels}).
 * </ul>
 *
 * <p>Every element of C is summed in an order that depends on the shape alone, so results do not depend on the number of threads.
 *
 * <p>Thread-safe: all scratch memory is thread-local. Nothing is allocated per call once a thread's scratch has grown. Loads only when
 * the vector module is present; {@link ScalarGemm} is its replacement.
 */
final class JavaGemm implements Gemm {
    /** Most elements of k in a panel: a panel of B then takes 96 KB with 512-bit vectors, 24 KB with 256-bit vectors. */
    private static final int BLOCK_K = LANES >= 16 ? 768 : 384;
    /** Rows of A that a task holds packed: 590 KB or 295 KB, to stay in a second-level cache of 1 MB or 512 KB. */
    private static final int BLOCK_ROWS = 192;
    /** Rows of A that are packed together: long enough pieces of its rows when they are stored as columns. */
    private static final int PACK_ROWS = 8 * ROWS;
    /** Columns of B that are packed at a time in a tall product. */
    private static final int BLOCK_COLUMNS = 2048;
    /** Columns of B that are packed together: long enough pieces of its rows when they are stored. */
    private static final int PACK_COLUMNS = 4 * WIDTH;
    /** Most elements of A that are packed at a time in a flat product. */
    private static final int FLAT_ELEMENTS = 1 << 20;
    /** Products with fewer multiplications stay on the calling thread. */
    private static final long PARALLEL_WORK = 1 << 20;
    /** Length of the pieces of a deep product. */
    private static final int DEEP_K = 1024;
    /** Largest C of a deep product. */
    private static final int DEEP_ELEMENTS = 1 << 16;
    /** Most elements of all partials of a deep product. */
    private static final int DEEP_PARTIALS = 1 << 21;

    /** Most rows of a thin product. */
    static final int THIN_ROWS = 8;
    /** Thin products with fewer multiplications stay on the calling thread: they wait for memory, so little work takes long. */
    private static final long THIN_WORK = 1 << 16;
    /** Columns of a task of a thin product: long enough pieces of stored rows, and a result that stays in the first cache. */
    private static final int THIN_COLUMNS = 256;
    private static final int MOST_THIN_COLUMNS = 1024;
    /** Rows of a stored (n, k) B from which on there are enough tasks of them. */
    private static final int THIN_ROWS_OF_B = 64;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private final Parallel parallel;
    private final ThreadLocal<Scratch> scratch = ThreadLocal.withInitial(Scratch::new);

    JavaGemm(Parallel parallel) {
        this.parallel = parallel;
    }

    @Override
    public void gemm(boolean ta, boolean tb, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb, float beta,
            MemorySegment c, long ldc) {
        if (m == 0 || n == 0) {
            return;
        }
        if (k == 0) {
            clear(m, n, beta, c, ldc);
            return;
        }
        Product product = scratch.get().product;
        product.set(ta, tb, m, n, k, a, lda, b, ldb, beta != 0f, c, ldc);
        try {
            product.run();
        } finally {
            product.release();
        }
    }

    private static void clear(int m, int n, float beta, MemorySegment c, long ldc) {
        if (beta == 0f) {
            for (int i = 0; i < m; i++) {
                c.asSlice(4L * i * ldc, 4L * n).fill((byte) 0);
            }
        }
    }

    /** Memory of one thread. */
    private final class Scratch {
        final Product product = new Product();
        final float[] tile = new float[TILE];
        final float[] lanes = new float[16 * LANES];
        float[] a = new float[0];
        float[] b = new float[0];
        float[] partial = new float[0];

        float[] a(int elements) {
            return a.length >= elements ? a : (a = new float[elements]);
        }

        float[] b(int elements) {
            return b.length >= elements ? b : (b = new float[elements]);
        }

        float[] partial(int elements) {
            return partial.length >= elements ? partial : (partial = new float[elements]);
        }
    }

    /** What the tasks of the running loop do. */
    private enum Phase { ALL, PACK_A, PACK_B, TALL, FLAT, DEEP, REDUCE, THIN }

    /** One product, and the loops that compute it. Belongs to the calling thread; tasks only read it. */
    private final class Product implements Parallel.Task {
        private boolean ta;
        private boolean tb;
        private int m;
        private int n;
        private int k;
        private MemorySegment a;
        private long lda;
        private MemorySegment b;
        private long ldb;
        private boolean add;
        private MemorySegment c;
        private long ldc;

        private boolean alone;
        private Phase phase;
        private int rowPanels;
        private int blockK;
        private int aStride;
        private float[] sharedA;
        private float[] sharedB;
        private float[] partial;
        /** Range of k that the running loop multiplies. */
        private int fromK;
        private int toK;
        /** Range of columns of the running loop of a tall product. */
        private int fromColumn;
        private int toColumn;
        private int taskRows;
        private int taskColumns;
        private int columnTasks;
        private GemvKernels.Tasks thinTasks;
        private int pieceK;

        void set(boolean ta, boolean tb, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb, boolean add,
                MemorySegment c, long ldc) {
            this.ta = ta;
            this.tb = tb;
            this.m = m;
            this.n = n;
            this.k = k;
            this.a = a;
            this.lda = 4 * lda;
            this.b = b;
            this.ldb = 4 * ldb;
            this.add = add;
            this.c = c;
            this.ldc = 4 * ldc;
        }

        /** Forgets everything that would keep memory reachable. */
        void release() {
            a = null;
            b = null;
            c = null;
            sharedA = null;
            sharedB = null;
            partial = null;
        }

        void run() {
            alone = parallel.threads() == 1 || (long) m * n * k < (m <= THIN_ROWS ? THIN_WORK : PARALLEL_WORK);
            if (alone) {
                // Even then as a task: the pool decides how a thread treats denormal numbers.
                phase = Phase.ALL;
                parallel.forEach(1, this);
            } else {
                plan();
            }
        }

        private void plan() {
            int pieces = deepPieces();
            if (m <= THIN_ROWS && (pieces == 1 || n >= (tb ? THIN_ROWS_OF_B : THIN_COLUMNS))) {
                thin();
                return;
            }
            rowPanels = ceilDiv(m, ROWS);
            if (pieces > 1) {
                deep(pieces);
                return;
            }
            blockK = evenly(k, BLOCK_K, LANES);
            aStride = ROWS * blockK + LANES;
            if (m > BLOCK_ROWS) {
                tall();
            } else {
                flat();
            }
        }

        private void loop(Phase loop, int tasks) {
            phase = loop;
            if (alone) {
                for (int task = 0; task < tasks; task++) {
                    run(task);
                }
            } else {
                parallel.forEach(tasks, this);
            }
        }

        @Override
        public void run(int task) {
            Scratch own = scratch.get();
            switch (phase) {
                case ALL -> plan();
                case PACK_A -> packSharedA(task);
                case PACK_B -> packSharedB(task);
                case TALL -> tallTask(own, task);
                case FLAT -> flatTask(own, task);
                case DEEP -> deepTask(own, task);
                case REDUCE -> reduceTask(task);
                case THIN -> thinTask(own, task);
            }
        }

        // Tall products.

        private void tall() {
            int threads = parallel.threads();
            int rowTasks = ceilDiv(m, BLOCK_ROWS);
            if (rowTasks < 16 * threads) {
                rowTasks = roundUp(rowTasks, threads);
            }
            taskRows = roundUp(ceilDiv(m, rowTasks), ROWS);
            rowTasks = ceilDiv(m, taskRows);
            sharedB = scratch.get().b(blockK * roundUp(Math.min(n, BLOCK_COLUMNS), WIDTH) + LANES);
            for (fromColumn = 0; fromColumn < n; fromColumn = toColumn) {
                toColumn = Math.min(n, fromColumn + BLOCK_COLUMNS);
                int columnPanels = ceilDiv(toColumn - fromColumn, WIDTH);
                int wanted = rowTasks < 2 * threads ? Math.min(ceilDiv(2 * threads, rowTasks), ceilDiv(columnPanels, 4)) : 1;
                taskColumns = ceilDiv(columnPanels, wanted) * WIDTH;
                columnTasks = ceilDiv(toColumn - fromColumn, taskColumns);
                for (fromK = 0; fromK < k; fromK = toK) {
                    toK = Math.min(k, fromK + blockK);
                    loop(Phase.PACK_B, ceilDiv(toColumn - fromColumn, PACK_COLUMNS));
                    loop(Phase.TALL, rowTasks * columnTasks);
                }
            }
        }

        private void packSharedB(int task) {
            int column = fromColumn + task * PACK_COLUMNS;
            packB(column, Math.min(PACK_COLUMNS, toColumn - column), fromK, toK, sharedB, task * PACK_COLUMNS * blockK);
        }

        private void tallTask(Scratch own, int task) {
            int row = task / columnTasks * taskRows;
            int rows = Math.min(taskRows, m - row);
            int panels = ceilDiv(rows, ROWS);
            float[] packedA = own.a(taskRows / ROWS * aStride);
            packA(row, rows, fromK, toK, packedA, 0);
            int column = fromColumn + task % columnTasks * taskColumns;
            int end = Math.min(toColumn, column + taskColumns);
            for (int j = column; j < end; j += WIDTH) {
                tiles(own.tile, row, panels, j, toK - fromK, packedA, 0, sharedB, (j - fromColumn) * blockK, fromK > 0 || add);
            }
        }

        // Flat products.

        private void flat() {
            int threads = parallel.threads();
            int columnPanels = ceilDiv(n, WIDTH);
            int blocks = Math.max(1, FLAT_ELEMENTS / (rowPanels * aStride));
            int least = k > blockK ? Math.min(4, ceilDiv(columnPanels, threads)) : 1;
            taskColumns = WIDTH * Math.max(least, columnPanels / (4 * threads));
            int tasks = ceilDiv(n, taskColumns);
            int superK = Math.min(blocks, ceilDiv(k, blockK)) * blockK;
            sharedA = scratch.get().a(superK / blockK * rowPanels * aStride);
            for (fromK = 0; fromK < k; fromK = toK) {
                toK = Math.min(k, fromK + superK);
                loop(Phase.PACK_A, ceilDiv(toK - fromK, blockK) * ceilDiv(m, PACK_ROWS));
                loop(Phase.FLAT, tasks);
            }
        }

        private void packSharedA(int task) {
            int parts = ceilDiv(m, PACK_ROWS);
            int block = task / parts;
            int row = task % parts * PACK_ROWS;
            int from = fromK + block * blockK;
            packA(row, Math.min(PACK_ROWS, m - row), from, Math.min(toK, from + blockK), sharedA,
                    (block * rowPanels + row / ROWS) * aStride);
        }

        private void flatTask(Scratch own, int task) {
            int column = task * taskColumns;
            int end = Math.min(n, column + taskColumns);
            float[] packedB = own.b(PACK_COLUMNS * blockK + LANES);
            for (int from = fromK; from < toK; from += blockK) {
                int to = Math.min(toK, from + blockK);
                int block = (from - fromK) / blockK * rowPanels * aStride;
                for (int j = column; j < end; j += WIDTH) {
                    int packed = (j - column) % PACK_COLUMNS;
                    if (packed == 0) {
                        packB(j, Math.min(PACK_COLUMNS, end - j), from, to, packedB, 0);
                    }
                    tiles(own.tile, 0, rowPanels, j, to - from, sharedA, block, packedB, packed * blockK, from > 0 || add);
                }
            }
        }

        // Deep products.

        /** Number of pieces of k, from the shape alone; 1 where the product is not deep. */
        private int deepPieces() {
            long elements = (long) m * n;
            return k < 2 * DEEP_K || elements > DEEP_ELEMENTS || m > 512 || n > 512 ? 1
                    : (int) Math.min(ceilDiv(k, DEEP_K), Math.max(1, DEEP_PARTIALS / elements));
        }

        private void deep(int pieces) {
            pieceK = roundUp(ceilDiv(k, pieces), LANES);
            int tasks = ceilDiv(k, pieceK);
            blockK = evenly(pieceK, BLOCK_K, LANES);
            aStride = ROWS * blockK + LANES;
            partial = scratch.get().partial(tasks * m * n);
            columnTasks = tasks;
            loop(Phase.DEEP, tasks);
            taskRows = ceilDiv(m, 4 * parallel.threads());
            loop(Phase.REDUCE, ceilDiv(m, taskRows));
        }

        private void deepTask(Scratch own, int task) {
            float[] packedA = own.a(rowPanels * aStride);
            float[] packedB = own.b(roundUp(n, WIDTH) * blockK + LANES);
            int first = task * pieceK;
            int last = Math.min(k, first + pieceK);
            for (int from = first; from < last; from += blockK) {
                int to = Math.min(last, from + blockK);
                packA(0, m, from, to, packedA, 0);
                packB(0, n, from, to, packedB, 0);
                for (int j = 0; j < n; j += WIDTH) {
                    int columns = Math.min(WIDTH, n - j);
                    for (int p = 0; p < rowPanels; p++) {
                        int row = p * ROWS;
                        int rows = Math.min(ROWS, m - row);
                        GemmKernels.multiply(GemmKernels.rowsFor(rows), columns > LANES ? 2 : 1, to - from, packedA, p * aStride,
                                packedB, j * blockK, own.tile);
                        GemmPacking.store(own.tile, rows, columns, partial, (task * m + row) * n + j, n, from > first);
                    }
                }
            }
        }

        private void reduceTask(int task) {
            int end = Math.min(m, (task + 1) * taskRows);
            for (int i = task * taskRows; i < end; i++) {
                GemmPacking.sum(partial, i * n, m * n, columnTasks, n, c, i * ldc, add);
            }
        }

        // Thin products.

        private void thin() {
            aStride = roundUp(k, LANES);
            sharedA = scratch.get().a(roundUp(m, 4) * aStride);
            copyRowsOfA();
            if (tb) {
                thinTasks = GemvKernels.Tasks.of(n, 4L * k, parallel.threads());
            } else {
                taskColumns = Math.max(THIN_COLUMNS, roundUp(ceilDiv(n, 4 * parallel.threads()), LANES));
                if (m > 1) {
                    taskColumns = Math.min(taskColumns, MOST_THIN_COLUMNS);
                }
            }
            loop(Phase.THIN, tb ? thinTasks.count() : ceilDiv(n, taskColumns));
        }

        private void copyRowsOfA() {
            for (int i = 0; i < m; i++) {
                int to = i * aStride;
                if (!ta) {
                    MemorySegment.copy(a, FLOAT, i * lda, sharedA, to, k);
                } else {
                    for (int p = 0; p < k; p++) {
                        sharedA[to + p] = a.get(FLOAT, p * lda + 4L * i);
                    }
                }
                Arrays.fill(sharedA, to + k, to + aStride, 0f);
            }
            Arrays.fill(sharedA, m * aStride, roundUp(m, 4) * aStride, 0f);
        }

        private void thinTask(Scratch own, int task) {
            int column = tb ? thinTasks.from(task) : task * taskColumns;
            int columns = tb ? thinTasks.from(task + 1) - column : Math.min(taskColumns, n - column);
            int stride = roundUp(columns, LANES);
            int rows = m == 1 ? 1 : roundUp(m, 4);
            float[] out = own.b(rows * stride);
            if (tb) {
                if (m == 1) {
                    GemvKernels.dotOne(sharedA, b, column * ldb, ldb, columns, k, out, own.lanes);
                } else {
                    GemvKernels.dotMany(sharedA, m, aStride, b, column * ldb, ldb, columns, k, out, stride, own.lanes);
                }
            } else {
                Arrays.fill(out, 0, rows * stride, 0f);
                if (m == 1) {
                    GemvKernels.axpyOne(sharedA, b, 4L * column, ldb, columns, k, out);
                } else {
                    GemvKernels.axpyMany(sharedA, m, aStride, b, 4L * column, ldb, columns, k, out, stride);
                }
            }
            for (int i = 0; i < m; i++) {
                GemvKernels.store(out, i * stride, columns, c, i * ldc + 4L * column, add);
            }
        }

        // Shared by all plans.

        /** The tiles of {@code panels} row panels and one column panel. */
        private void tiles(float[] tile, int firstRow, int panels, int column, int kc, float[] packedA, int ao, float[] packedB, int bo,
                boolean accumulate) {
            int columns = Math.min(WIDTH, n - column);
            int vectors = columns > LANES ? 2 : 1;
            for (int p = 0; p < panels; p++) {
                int row = firstRow + p * ROWS;
                int rows = Math.min(ROWS, m - row);
                GemmKernels.multiply(GemmKernels.rowsFor(rows), vectors, kc, packedA, ao + p * aStride, packedB, bo, tile);
                GemmPacking.store(tile, rows, columns, c, row * ldc + 4L * column, ldc, accumulate);
            }
        }

        /** Packs a block of A into panels that are {@link #aStride} apart. */
        private void packA(int row, int rows, int from, int to, float[] dst, int at) {
            if (ta) {
                GemmPacking.packColumns(a, from * lda + 4L * row, lda, rows, to - from, dst, at, aStride);
                return;
            }
            for (int i = 0; i < rows; i += ROWS) {
                int count = Math.min(ROWS, rows - i);
                int width = GemmKernels.rowsFor(count);
                GemmPacking.packRows(a, (row + i) * lda + 4L * from, lda, count, to - from, dst, at + i / ROWS * aStride, width);
            }
        }

        /** Packs a block of B into panels that are {@code WIDTH * blockK} apart. */
        private void packB(int column, int columns, int from, int to, float[] dst, int at) {
            if (!tb) {
                GemmPacking.packB(b, from * ldb + 4L * column, ldb, columns, to - from, dst, at, WIDTH * blockK);
                return;
            }
            for (int j = 0; j < columns; j += WIDTH) {
                int count = Math.min(WIDTH, columns - j);
                GemmPacking.packTransposedB(b, (column + j) * ldb + 4L * from, ldb, count, to - from, dst, at + j * blockK);
            }
        }
    }

    /** Length of equal blocks of at most {@code most} that cover {@code total}, a multiple of {@code unit}. */
    private static int evenly(int total, int most, int unit) {
        return roundUp(ceilDiv(total, ceilDiv(total, most)), unit);
    }

    private static int ceilDiv(int a, int b) {
        return Math.ceilDiv(a, b);
    }

    private static int roundUp(int value, int unit) {
        return ceilDiv(value, unit) * unit;
    }
}
