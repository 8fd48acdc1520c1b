package dev.sequent.spi;

import java.lang.foreign.MemorySegment;

/**
 * A replacement for the CPU backend's own matrix product, found by {@link java.util.ServiceLoader}. Thread-safe.
 */
public interface MatmulProvider {
    /** Short name for logs and {@code explain()}, for example {@code onednn}. */
    String name();

    /** Greater wins; the built-in provider has 0. */
    int priority();

    /** Whether the provider works on this machine. Never throws. */
    Probe probe();

    /**
     * Opens the provider; called once by a backend, after a successful probe.
     *
     * @param pool the backend's threads, which the provider should use in place of threads of its own
     */
    Matmul open(Parallel pool);

    /** An opened provider. */
    interface Matmul extends AutoCloseable {
        /**
         * True when this provider is the better choice for a product of this size; otherwise the backend uses its own kernels.
         *
         * @param dtypeBytes 4 for F32 operands, 2 for BF16 operands (accumulation and result in F32)
         */
        boolean accepts(long m, long n, long k, int dtypeBytes);

        /**
         * C = op(A) op(B) + beta C for F32 matrices stored row-major in native memory.
         *
         * @param transA whether A is stored as (k, m) instead of (m, k)
         * @param transB whether B is stored as (n, k) instead of (k, n)
         * @param a first element of A; {@code lda} is the distance of its stored rows in elements
         * @param beta 0 (C is overwritten, whatever it holds, NaN included) or 1 (C is accumulated into)
         */
        void gemmF32(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
                float beta, MemorySegment c, long ldc);

        /** The same for BF16 operands with an F32 result. */
        void gemmBf16(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
                float beta, MemorySegment c, long ldc);

        /**
         * The same for F32 operands that are rounded to BF16 on the way, sums and result in F32. For products that the provider accepts
         * with 2 bytes.
         */
        void gemmRounded(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b,
                long ldb, float beta, MemorySegment c, long ldc);

        @Override
        void close();
    }
}
