package dev.sequent.backend.cpu;

import java.lang.foreign.MemorySegment;

/** A matrix product on F32 matrices in native memory. Thread-safe. */
interface Gemm {
    /**
     * C = op(A) op(B) + beta C for row-major matrices; op(A) is (m, k), op(B) is (k, n). Sizes may be zero.
     *
     * @param ta whether A is stored as (k, m) instead of (m, k)
     * @param tb whether B is stored as (n, k) instead of (k, n)
     * @param a first element of A; {@code lda} is the distance of its stored rows in elements
     * @param beta 0 (C is overwritten, whatever it holds, NaN included) or 1 (C is accumulated into)
     * @param c first element of C, which overlaps neither A nor B
     */
    void gemm(boolean ta, boolean tb, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb, float beta,
            MemorySegment c, long ldc);
}
