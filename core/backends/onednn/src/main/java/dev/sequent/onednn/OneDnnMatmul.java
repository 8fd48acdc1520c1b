package dev.sequent.onednn;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.sequent.onednn.MatmulPrimitive.Form;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.spi.Parallel;
import dev.sequent.type.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * Products through oneDNN in tasks of the backend's pool.
 *
 * <p>A product is cut into as many blocks of C as there are threads, and oneDNN computes each in the thread that takes it. Its own pool
 * of threads stays empty: two pools that wait for work on the same processors slow each other down two- to threefold, and only the
 * backend's threads flush denormal numbers. Only long sums of few elements, as derivatives by weights are, are cut along k, in two halves
 * that depend on the shape alone: each block then brings half as much of A and B into the kernel's layout. So a result does not depend on
 * the number of threads by more than oneDNN's choice of kernel for a block.
 *
 * <p>Thread-safe. Compiled products are kept, the least recently used of more than {@value #PRIMITIVES} are destroyed.
 */
final class OneDnnMatmul implements MatmulProvider.Matmul {
    private static final int PRIMITIVES = 512;
    /** Smallest number of multiplications of a block: cutting further costs more than it gains. */
    private static final long BLOCK_WORK = 1 << 20;
    /** Rows and columns of blocks are multiples of this, the elements of a cache line of BF16. */
    private static final int BLOCK_UNIT = 32;
    /** Elements of k that the tiles for BF16 take at a time. */
    private static final int BF16_UNIT = 32;
    /** Multiplications that take as long as bringing one element of A or B into the kernel's layout. */
    private static final long LAYOUT_COST = 32;
    /** F32 products with at most so many rows, at most so many columns, or with less work than this, are left to the built-in kernels. */
    private static final int FEW_ROWS = 8;
    private static final int FEW_COLUMNS = 3;
    private static final double LEAST_WORK = 1 << 18;
    private static final int SCRATCH_ALIGNMENT = 4096;
    /** F32 products of A^T with sums at least so long, and at most so many rows and columns, are cut in halves along k. */
    private static final int LONG_SUM = 2048;
    private static final int SHORT_SIDE = 256;
    /** Elements that a thread adds up in one go. */
    private static final int ADDED = 1 << 13;

    private final Dnnl dnnl;
    private final Parallel pool;
    private final MemorySegment engine;
    private final boolean bf16;
    private final SequencedMap<Form, MatmulPrimitive> primitives = new LinkedHashMap<>(64, 0.75f, true);
    private final List<Worker> workers = new ArrayList<>();
    private final ThreadLocal<Worker> worker = ThreadLocal.withInitial(this::newWorker);
    private boolean closed;

    OneDnnMatmul(Dnnl dnnl, Parallel pool) {
        this.dnnl = dnnl;
        this.pool = pool;
        this.engine = dnnl.engine();
        this.bf16 = dnnl.hasBf16();
    }

    /** What a thread needs to run products. */
    private static final class Worker {
        private final MemorySegment stream;
        private MemorySegment scratch = MemorySegment.NULL;
        private MemorySegment rows = MemorySegment.NULL;
        private MemorySegment half = MemorySegment.NULL;

        private Worker(MemorySegment stream) {
            this.stream = stream;
        }

        private MemorySegment scratch(long bytes) {
            if (scratch.byteSize() < bytes) {
                scratch = Arena.ofAuto().allocate(bytes, SCRATCH_ALIGNMENT);
            }
            return scratch;
        }

        private MemorySegment half(long bytes) {
            if (half.byteSize() < bytes) {
                half = Arena.ofAuto().allocate(bytes, SCRATCH_ALIGNMENT);
            }
            return half;
        }

        /** A copy of rows of A with zeros behind each. */
        private MemorySegment paddedRows(Product p, int row, int count, long ld) {
            long bytes = count * ld * p.bytes;
            if (rows.byteSize() < bytes) {
                rows = Arena.ofAuto().allocate(bytes, SCRATCH_ALIGNMENT);
            }
            long used = (long) p.k * p.bytes;
            for (int i = 0; i < count; i++) {
                long to = i * ld * p.bytes;
                MemorySegment.copy(p.a, (row + i) * p.lda * p.bytes, rows, to, used);
                rows.asSlice(to + used, ld * p.bytes - used).fill((byte) 0);
            }
            return rows;
        }
    }

    private Worker newWorker() {
        dnnl.useOneThread();
        Worker created = new Worker(dnnl.stream(engine));
        synchronized (workers) {
            workers.add(created);
        }
        return created;
    }

    /**
     * F32 products with more than a few rows and columns: for the others the built-in kernels, which read a matrix without packing it,
     * were measured to be as fast or faster. BF16 products always, where the processor has instructions for them.
     */
    @Override
    public boolean accepts(long m, long n, long k, int dtypeBytes) {
        return switch (dtypeBytes) {
            case Short.BYTES -> bf16;
            case Float.BYTES -> m > FEW_ROWS && n > FEW_COLUMNS && (double) m * n * k >= LEAST_WORK;
            default -> false;
        };
    }

    @Override
    public void gemmF32(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
            float beta, MemorySegment c, long ldc) {
        gemm(new Product("gemmF32", Dnnl.F32, Float.BYTES, false, transA, transB, m, n, k, a, lda, b, ldb, beta != 0f, c, ldc));
    }

    @Override
    public void gemmBf16(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
            float beta, MemorySegment c, long ldc) {
        gemm(new Product("gemmBf16", Dnnl.BF16, Short.BYTES, false, transA, transB, m, n, k, a, lda, b, ldb, beta != 0f, c, ldc));
    }

    @Override
    public void gemmRounded(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
            float beta, MemorySegment c, long ldc) {
        gemm(new Product("gemmRounded", Dnnl.F32, Float.BYTES, true, transA, transB, m, n, k, a, lda, b, ldb, beta != 0f, c, ldc));
    }

    /** The operands of a product. */
    private record Product(String op, int type, int bytes, boolean rounded, boolean ta, boolean tb, int m, int n, int k, MemorySegment a,
            long lda, MemorySegment b, long ldb, boolean add, MemorySegment c, long ldc) {
        void check() {
            if (m < 0 || n < 0 || k < 0) {
                throw new BackendException(op, "sizes of at least 0", "m " + m + ", n " + n + ", k " + k);
            }
            checkMatrix("A", ta ? k : m, ta ? m : k, a, lda, bytes);
            checkMatrix("B", tb ? n : k, tb ? k : n, b, ldb, bytes);
            checkMatrix("C", m, n, c, ldc, Float.BYTES);
        }

        private void checkMatrix(String name, long rows, long columns, MemorySegment matrix, long ld, int elementBytes) {
            if (rows == 0 || columns == 0) {
                return;
            }
            if (!matrix.isNative()) {
                throw new BackendException(op, name + " in native memory", "a heap segment");
            }
            if (rows > 1 && ld < columns) {
                throw new BackendException(op, name + " with rows at least " + columns + " elements apart", "a distance of " + ld);
            }
            long elements = matrix.byteSize() / elementBytes;
            // rows - 1 distances and a row, without a product that could overflow
            if (elements < columns || rows > 1 && (elements - columns) / ld < rows - 1) {
                throw new BackendException(op, name + " of at least " + rows + " rows of " + columns + " elements, " + ld + " apart",
                        "a segment of " + matrix.byteSize() + " bytes");
            }
        }

        MemorySegment blockOfA(int row) {
            return a.asSlice((ta ? row : row * lda) * bytes);
        }

        MemorySegment blockOfB(int column) {
            return b.asSlice((tb ? column * ldb : column) * bytes);
        }

        MemorySegment blockOfC(int row, int column) {
            return c.asSlice((row * ldc + column) * Float.BYTES);
        }

        boolean isLongSum() {
            return type == Dnnl.F32 && !rounded && ta && !tb && k >= LONG_SUM && Math.max(m, n) <= SHORT_SIDE;
        }

        /** The same over {@code count} of the k products only; A is stored as (k, m) and B as (k, n). */
        Product part(int from, int count, boolean addTo, MemorySegment to, long ldTo) {
            return new Product(op, type, bytes, rounded, ta, tb, m, n, count, a.asSlice(from * lda * bytes), lda,
                    b.asSlice(from * ldb * bytes), ldb, addTo, to, ldTo);
        }
    }

    private void gemm(Product p) {
        p.check();
        if (p.m == 0 || p.n == 0) {
            return;
        }
        if (p.k == 0) {
            clear(p);
            return;
        }
        int threads = pool.insideTask() ? 1 : pool.threads();
        if (p.isLongSum()) {
            halves(p, threads);
            return;
        }
        Blocks blocks = Blocks.of(p.m, p.n, p.k, threads);
        pool.forEach(blocks.count(), task -> block(p, blocks, task));
    }

    private void halves(Product p, int threads) {
        int middle = Math.ceilDiv(p.k, 2);
        MemorySegment sums = worker.get().half((long) p.m * p.n * Float.BYTES);
        Product first = p.part(0, middle, p.add, p.c, p.ldc);
        Product second = p.part(middle, p.k - middle, false, sums, p.n);
        Blocks blocks = Blocks.of(p.m, p.n, middle, Math.ceilDiv(threads, 2));
        pool.forEach(2 * blocks.count(), task -> block(task < blocks.count() ? first : second, blocks, task % blocks.count()));
        int rows = Math.ceilDiv(ADDED, p.n);
        pool.forEach(Math.ceilDiv(p.m, rows), task -> add(sums, p, task * rows, Math.min(p.m, (task + 1) * rows)));
    }

    /** Adds rows of a dense (m, n) matrix to C. */
    private static void add(MemorySegment sums, Product p, int from, int to) {
        for (int row = from; row < to; row++) {
            MemorySegment source = sums.asSlice((long) row * p.n * Float.BYTES, (long) p.n * Float.BYTES);
            MemorySegment target = p.c.asSlice(row * p.ldc * Float.BYTES, (long) p.n * Float.BYTES);
            for (int i = 0; i < p.n; i++) {
                float sum = target.getAtIndex(JAVA_FLOAT_UNALIGNED, i) + source.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
                target.setAtIndex(JAVA_FLOAT_UNALIGNED, i, sum);
            }
        }
    }

    private static void clear(Product p) {
        if (!p.add) {
            for (int i = 0; i < p.m; i++) {
                p.c.asSlice(i * p.ldc * Float.BYTES, (long) p.n * Float.BYTES).fill((byte) 0);
            }
        }
    }

    /** How C is cut. */
    private record Blocks(int rows, int columns, int rowBlocks, int columnBlocks) {
        /**
         * One block per thread, or fewer for small products. Every block reads its rows of A and columns of B, so the cut that makes
         * blocks read least is chosen.
         */
        static Blocks of(int m, int n, int k, int threads) {
            long parts = Math.clamp((long) m * n * k / BLOCK_WORK, 1, threads);
            Blocks best = null;
            long least = Long.MAX_VALUE;
            for (int down = 1; down <= parts; down++) {
                int across = (int) (parts / down);
                int rows = part(m, down);
                int columns = part(n, across);
                long cost = (long) rows * columns + LAYOUT_COST * ((long) rows + columns);
                if (cost < least) {
                    least = cost;
                    best = new Blocks(rows, columns, Math.ceilDiv(m, rows), Math.ceilDiv(n, columns));
                }
            }
            return best;
        }

        private static int part(int total, int parts) {
            int size = Math.ceilDiv(total, parts);
            return parts == 1 ? total : Math.min(total, Math.ceilDiv(size, BLOCK_UNIT) * BLOCK_UNIT);
        }

        int count() {
            return rowBlocks * columnBlocks;
        }
    }

    private void block(Product p, Blocks blocks, int task) {
        int row = task / blocks.columnBlocks * blocks.rows;
        int column = task % blocks.columnBlocks * blocks.columns;
        int rows = Math.min(blocks.rows, p.m - row);
        // With BF16 tiles, oneDNN 3.11 reads beyond the end of rows of A and multiplies by zero what it finds there: the next row,
        // where a NaN would spread from, or the memory behind the matrix.
        boolean padded = p.type == Dnnl.BF16 && !p.ta && p.k % BF16_UNIT != 0;
        long lda = padded ? Math.ceilDiv(p.k, BF16_UNIT) * (long) BF16_UNIT : p.lda;
        int columns = Math.min(blocks.columns, p.n - column);
        MatmulPrimitive primitive = primitive(
                new Form(p.type, p.rounded, p.ta, p.tb, rows, columns, p.k, lda, p.ldb, p.ldc, p.add));
        try {
            Worker own = worker.get();
            MemorySegment a = padded ? own.paddedRows(p, row, rows, lda) : p.blockOfA(row);
            primitive.run(own.stream, a, p.blockOfB(column), p.blockOfC(row, column), own.scratch(primitive.scratchBytes()));
        } finally {
            primitive.release();
        }
    }

    /** The compiled product of a form; the caller releases it. */
    private MatmulPrimitive primitive(Form form) {
        synchronized (primitives) {
            if (closed) {
                throw new BackendException(OneDnnMatmulProvider.NAME, "an open provider", "a closed one");
            }
            MatmulPrimitive found = primitives.get(form);
            if (found == null) {
                found = new MatmulPrimitive(dnnl, engine, form);
                primitives.put(form, found);
                if (primitives.size() > PRIMITIVES) {
                    primitives.pollFirstEntry().getValue().release();
                }
            }
            found.retain();
            return found;
        }
    }

    /** Destroys all compiled products. Call it when no product is running. */
    @Override
    public void close() {
        synchronized (primitives) {
            if (closed) {
                return;
            }
            closed = true;
            primitives.values().forEach(MatmulPrimitive::release);
            primitives.clear();
        }
        synchronized (workers) {
            workers.forEach(w -> dnnl.destroyStream(w.stream));
            workers.clear();
        }
        dnnl.destroyEngine(engine);
    }
}
