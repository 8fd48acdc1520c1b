package dev.sequent.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import dev.sequent.type.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Products with 16-bit weights against a naive triple loop in double precision. */
final class HalfGemvTest {
    private static float widen(DType dtype, short bits) {
        return dtype == DType.BF16 ? Float.intBitsToFloat(bits << 16) : Float.float16ToFloat(bits);
    }

    private static float rounded(DType dtype, double x) {
        return widen(dtype, ScalarKernels.narrow(dtype, (float) x));
    }

    private static float[] multiply(HalfGemv gemv, DType dtype, int m, int n, int k, short[] a, short[] b, int ldb) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment rows = arena.allocateFrom(ValueLayout.JAVA_SHORT, a);
            MemorySegment weights = arena.allocateFrom(ValueLayout.JAVA_SHORT, b);
            MemorySegment c = arena.allocate(2L * m * n, 64);
            c.fill((byte) 0xFF);
            gemv.multiply(dtype, m, n, k, rows, weights, ldb, c);
            float[] wide = new float[m * n];
            for (int i = 0; i < wide.length; i++) {
                wide[i] = widen(dtype, c.getAtIndex(ValueLayout.JAVA_SHORT, i));
            }
            return wide;
        }
    }

    private static void check(HalfGemv gemv, DType dtype, int m, int n, int k) {
        Random random = new Random(31L * m + 7L * n + k);
        int ldb = k + 5;
        short[] a = new short[m * k];
        for (int i = 0; i < a.length; i++) {
            a[i] = ScalarKernels.narrow(dtype, random.nextFloat() - 0.5f);
        }
        short[] b = new short[n * ldb];
        for (int i = 0; i < b.length; i++) {
            // elements between rows are poison; the others span many powers of two, numbers below the least normal F16 included
            float value = (random.nextFloat() - 0.5f) * (float) Math.scalb(1.0, random.nextInt(20) - 18);
            b[i] = ScalarKernels.narrow(dtype, i % ldb >= k ? Float.NaN : value);
        }
        float[] c = multiply(gemv, dtype, m, n, k, a, b, ldb);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = 0;
                double size = 0;
                for (int p = 0; p < k; p++) {
                    double term = (double) widen(dtype, a[i * k + p]) * widen(dtype, b[j * ldb + p]);
                    sum += term;
                    size += Math.abs(term);
                }
                double error = 1e-6 * size + 1e-30;
                // rounding is monotone: a sum within the error in F32 is rounded to something between these
                if (!(c[i * n + j] >= rounded(dtype, sum - error) && c[i * n + j] <= rounded(dtype, sum + error))) {
                    fail(dtype + " m " + m + " n " + n + " k " + k + " at (" + i + ", " + j + "): expected " + sum + ", got "
                            + c[i * n + j]);
                }
            }
        }
    }

    @Test
    void equalsTheTripleLoopAtAllSizes() {
        try (SpinPool pool = new SpinPool(3)) {
            HalfGemv gemv = new HalfGemv(pool);
            for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
                for (int m : new int[] {1, 2, 3, 8}) {
                    for (int n : new int[] {1, 3, 16, 17, 100}) {
                        for (int k : new int[] {1, 3, 31, 32, 63, 100, 4097}) {
                            check(gemv, dtype, m, n, k);
                        }
                    }
                }
            }
        }
    }

    @Test
    void everyF16IsWidenedExactly() {
        int k = 32;
        short[] b = new short[65536 * k];
        for (int i = 0; i < 65536; i++) {
            b[i * k + i % k] = (short) i;
        }
        short[] a = new short[k];
        java.util.Arrays.fill(a, ScalarKernels.narrow(DType.F16, 1f));
        try (SpinPool pool = new SpinPool(2)) {
            float[] c = multiply(new HalfGemv(pool), DType.F16, 1, 65536, k, a, b, k);
            IntStream.range(0, 65536).forEach(i -> {
                float expected = Float.float16ToFloat((short) i);
                assertEquals(expected == 0 ? 0f : expected, c[i] == 0 ? 0f : c[i], "bits " + i);
            });
        }
    }
}
