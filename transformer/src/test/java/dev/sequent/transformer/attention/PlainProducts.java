package dev.sequent.transformer.attention;

import dev.sequent.spi.MatmulProvider;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** BF16 products by three loops. */
final class PlainProducts implements MatmulProvider.Matmul {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

    @Override
    public boolean accepts(long m, long n, long k, int dtypeBytes) {
        return dtypeBytes == Short.BYTES;
    }

    @Override
    public void gemmF32(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
            float beta, MemorySegment c, long ldc) {
        throw new UnsupportedOperationException("F32");
    }

    @Override
    public void gemmRounded(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
            float beta, MemorySegment c, long ldc) {
        throw new UnsupportedOperationException("F32");
    }

    @Override
    public void gemmBf16(boolean transA, boolean transB, int m, int n, int k, MemorySegment a, long lda, MemorySegment b, long ldb,
            float beta, MemorySegment c, long ldc) {
        float[] row = new float[n];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                row[j] = beta == 0 ? 0 : c.get(FLOAT, (i * ldc + j) * 4);
            }
            for (int l = 0; l < k; l++) {
                float x = widen(a.get(SHORT, (transA ? l * lda + i : i * lda + l) * 2));
                for (int j = 0; j < n; j++) {
                    row[j] += x * widen(b.get(SHORT, (transB ? j * ldb + l : l * ldb + j) * 2));
                }
            }
            MemorySegment.copy(row, 0, c, FLOAT, i * ldc * 4, n);
        }
    }

    static float widen(short x) {
        return Float.intBitsToFloat(x << 16);
    }

    @Override
    public void close() {}
}
