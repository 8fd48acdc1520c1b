package dev.sequent.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.sequent.spi.Parallel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Matrix products against a naive triple loop in double precision. */
final class GemmTest {
    private static final float POISON = Float.NaN;

    /** A pool of as many threads as it is asked for, whatever the machine has. */
    private record Threads(int threads) implements Parallel {
        @Override
        public void forEach(int tasks, Task body) {
            AtomicInteger next = new AtomicInteger();
            CompletableFuture<?>[] running = IntStream.range(0, threads).mapToObj(t -> CompletableFuture.runAsync(() -> {
                for (int task = next.getAndIncrement(); task < tasks; task = next.getAndIncrement()) {
                    body.run(task);
                }
            }, Thread::startVirtualThread)).toArray(CompletableFuture<?>[]::new);
            CompletableFuture.allOf(running).join();
        }
    }

    private static final List<Function<Parallel, Gemm>> GEMMS = List.of(JavaGemm::new, ScalarGemm::new);

    /** One case, with rows of the stored matrices {@code pad} elements longer than needed; the padding is poisoned. */
    private record Case(boolean ta, boolean tb, int m, int n, int k, int pad, float beta) {
        int lda() {
            return (ta ? m : k) + pad;
        }

        int ldb() {
            return (tb ? k : n) + 2 * pad;
        }

        int ldc() {
            return n + 3 * pad;
        }

        float[] a(Random random) {
            return matrix(random, ta ? k : m, ta ? m : k, lda());
        }

        float[] b(Random random) {
            return matrix(random, tb ? n : k, tb ? k : n, ldb());
        }

        float[] c(Random random) {
            float[] c = matrix(random, m, n, ldc());
            if (beta == 0f) {
                java.util.Arrays.fill(c, POISON);
            }
            return c;
        }

        private static float[] matrix(Random random, int rows, int columns, int ld) {
            float[] x = new float[rows * ld];
            for (int i = 0; i < x.length; i++) {
                x[i] = i % ld < columns ? random.nextFloat() - 0.5f : POISON;
            }
            return x;
        }
    }

    /** The product by triple loop, and the sum of the absolute values of its terms. */
    private static double[][] naive(Case s, float[] a, float[] b, float[] c) {
        double[][] result = new double[2][s.m * s.n];
        for (int i = 0; i < s.m; i++) {
            for (int j = 0; j < s.n; j++) {
                double start = s.beta == 0f ? 0 : c[i * s.ldc() + j];
                double sum = start;
                double size = Math.abs(start);
                for (int k = 0; k < s.k; k++) {
                    double x = s.ta ? a[k * s.lda() + i] : a[i * s.lda() + k];
                    double y = s.tb ? b[j * s.ldb() + k] : b[k * s.ldb() + j];
                    sum += x * y;
                    size += Math.abs(x * y);
                }
                result[0][i * s.n + j] = sum;
                result[1][i * s.n + j] = size;
            }
        }
        return result;
    }

    private static float[] run(Gemm gemm, Case s, float[] a, float[] b, float[] c) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment result = segment(arena, c);
            gemm.gemm(s.ta, s.tb, s.m, s.n, s.k, segment(arena, a), s.lda(), segment(arena, b), s.ldb(), s.beta, result, s.ldc());
            return result.toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    /** A copy that ends exactly where the matrix ends, so that every access beyond it fails. */
    private static MemorySegment segment(Arena arena, float[] values) {
        MemorySegment copy = arena.allocate(4L * values.length, 64);
        MemorySegment.copy(values, 0, copy, ValueLayout.JAVA_FLOAT, 0, values.length);
        return copy;
    }

    private static void check(Gemm gemm, Case s) {
        Random random = new Random(s.hashCode());
        float[] a = s.a(random);
        float[] b = s.b(random);
        float[] c = s.c(random);
        double[][] expected = naive(s, a, b, c);
        float[] result = run(gemm, s, a, b, c);
        for (int i = 0; i < result.length; i++) {
            int row = i / s.ldc();
            int column = i % s.ldc();
            if (column >= s.n) {
                if (Float.floatToRawIntBits(result[i]) != Float.floatToRawIntBits(c[i])) {
                    fail(gemm.getClass().getSimpleName() + " " + s + " wrote padding of row " + row);
                }
                continue;
            }
            double want = expected[0][row * s.n + column];
            double bound = 1e-6 * expected[1][row * s.n + column] + 1e-30;
            if (!(Math.abs(result[i] - want) <= bound)) {
                fail(gemm.getClass().getSimpleName() + " " + s + " at (" + row + ", " + column + "): expected " + want + ", got "
                        + result[i]);
            }
        }
    }

    private static void checkAllForms(int m, int n, int k, int threads) {
        for (Function<Parallel, Gemm> kind : GEMMS) {
            Gemm gemm = kind.apply(new Threads(threads));
            for (int form = 0; form < 16; form++) {
                check(gemm, new Case((form & 1) != 0, (form & 2) != 0, m, n, k, (form & 4) != 0 ? 3 : 0, (form & 8) != 0 ? 1f : 0f));
            }
        }
    }

    @Test
    void equalsNaiveForSmallSizes() {
        int[] sizes = {1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 16, 17, 31, 32, 33, 63, 64, 65};
        Random random = new Random(1);
        for (int i = 0; i < 300; i++) {
            checkAllForms(sizes[random.nextInt(sizes.length)], sizes[random.nextInt(sizes.length)], sizes[random.nextInt(sizes.length)], 1);
        }
    }

    @Test
    void equalsNaiveForOneRowOrOneColumn() {
        for (int n : new int[] {1, 3, 17, 63, 100, 257, 1000}) {
            for (int k : new int[] {1, 3, 17, 63, 100, 257, 1000}) {
                checkAllForms(1, n, k, 2);
                checkAllForms(n, 1, k, 2);
            }
        }
    }

    @Test
    void equalsNaiveForLargeSizes() {
        checkAllForms(193, 321, 200, 3);
        checkAllForms(400, 65, 800, 3);
        checkAllForms(37, 400, 1601, 3);
        checkAllForms(16, 768, 512, 3);
        checkAllForms(300, 2100, 20, 4);
    }

    @Test
    void equalsNaiveForLongSums() {
        checkAllForms(5, 7, 20_000, 3);
        checkAllForms(48, 33, 4100, 3);
    }

    @Test
    void emptySumIsZeroOrKeepsC() {
        checkAllForms(5, 7, 0, 2);
        checkAllForms(0, 7, 5, 2);
        checkAllForms(5, 0, 5, 2);
    }

    @Test
    void resultDoesNotDependOnThreads() {
        int[][] shapes = {{1, 1500, 900}, {1000, 1, 900}, {4, 1500, 900}, {16, 1500, 900}, {700, 300, 900}, {40, 50, 30_000}};
        for (Function<Parallel, Gemm> kind : GEMMS) {
            for (int[] shape : shapes) {
                for (int form = 0; form < 4; form++) {
                    Case s = new Case((form & 1) != 0, (form & 2) != 0, shape[0], shape[1], shape[2], 0, 1f);
                    Random random = new Random(7);
                    float[] a = s.a(random);
                    float[] b = s.b(random);
                    float[] c = s.c(random);
                    float[] expected = run(kind.apply(new Threads(1)), s, a, b, c);
                    for (int threads : new int[] {2, 3, 8, 64}) {
                        assertArrayEquals(expected, run(kind.apply(new Threads(threads)), s, a, b, c), s + " with " + threads + " threads");
                    }
                }
            }
        }
    }

    @Test
    void readsRowsFromNonFiniteNeighbours() {
        // A NaN in one row of A and one column of B reaches exactly that row and that column of C.
        for (Function<Parallel, Gemm> kind : GEMMS) {
            Case s = new Case(false, true, 29, 41, 50, 0, 0f);
            Random random = new Random(3);
            float[] a = s.a(random);
            float[] b = s.b(random);
            a[28 * s.lda() + 49] = Float.NaN;
            b[40 * s.ldb() + 2] = Float.POSITIVE_INFINITY;
            float[] c = run(kind.apply(new Threads(2)), s, a, b, s.c(random));
            for (int i = 0; i < s.m; i++) {
                for (int j = 0; j < s.n; j++) {
                    assertTrue(Float.isFinite(c[i * s.n + j]) == (i != 28 && j != 40), i + ", " + j);
                }
            }
        }
    }
}
