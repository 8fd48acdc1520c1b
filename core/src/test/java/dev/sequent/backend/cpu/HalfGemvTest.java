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

    private static short narrow(DType dtype, float x) {
        return dtype == DType.BF16 ? (short) (Float.floatToRawIntBits(x) >>> 16) : Float.floatToFloat16(x);
    }

    private static float[] multiply(HalfGemv gemv, DType dtype, int m, int n, int k, float[] a, short[] b, int ldb) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment rows = arena.allocateFrom(ValueLayout.JAVA_FLOAT, a);
            MemorySegment weights = arena.allocateFrom(ValueLayout.JAVA_SHORT, b);
            MemorySegment c = arena.allocate(4L * m * n, 64);
            for (int i = 0; i < m * n; i++) {
                c.setAtIndex(ValueLayout.JAVA_FLOAT, i, Float.NaN);
            }
            gemv.multiply(dtype, m, n, k, rows, weights, ldb, c);
            return c.toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    private static void check(HalfGemv gemv, DType dtype, int m, int n, int k) {
        Random random = new Random(31L * m + 7L * n + k);
        int ldb = k + 5;
        float[] a = new float[m * k];
        for (int i = 0; i < a.length; i++) {
            a[i] = random.nextFloat() - 0.5f;
        }
        short[] b = new short[n * ldb];
        for (int i = 0; i < b.length; i++) {
            // elements between rows are poison; the others span many powers of two, numbers below the least normal F16 included
            b[i] = narrow(dtype, i % ldb >= k ? Float.NaN : (random.nextFloat() - 0.5f) * (float) Math.scalb(1.0, random.nextInt(20) - 18));
        }
        float[] c = multiply(gemv, dtype, m, n, k, a, b, ldb);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = 0;
                double size = 0;
                for (int p = 0; p < k; p++) {
                    double term = (double) a[i * k + p] * widen(dtype, b[j * ldb + p]);
                    sum += term;
                    size += Math.abs(term);
                }
                if (!(Math.abs(c[i * n + j] - sum) <= 1e-6 * size + 1e-30)) {
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
        float[] a = new float[k];
        java.util.Arrays.fill(a, 1f);
        try (SpinPool pool = new SpinPool(2)) {
            float[] c = multiply(new HalfGemv(pool), DType.F16, 1, 65536, k, a, b, k);
            IntStream.range(0, 65536).forEach(i -> {
                float expected = Float.float16ToFloat((short) i);
                assertEquals(expected == 0 ? 0f : expected, c[i] == 0 ? 0f : c[i], "bits " + i);
            });
        }
    }
}
