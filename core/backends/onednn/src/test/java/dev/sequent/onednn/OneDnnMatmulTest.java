package dev.sequent.onednn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import dev.sequent.backend.Backends;
import dev.sequent.spi.Backend;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.spi.Parallel;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.ServiceLoader;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** Products through oneDNN against a naive triple loop in double precision. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
final class OneDnnMatmulTest {
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private MatmulProvider provider;

    /** A pool of any size. */
    private record Pool(ExecutorService executor, int threads) implements Parallel {
        @Override
        public void forEach(int tasks, Task body) {
            AtomicInteger next = new AtomicInteger();
            CompletableFuture<?>[] running = IntStream.range(0, threads).mapToObj(t -> CompletableFuture.runAsync(() -> {
                for (int task = next.getAndIncrement(); task < tasks; task = next.getAndIncrement()) {
                    body.run(task);
                }
            }, executor)).toArray(CompletableFuture<?>[]::new);
            try {
                CompletableFuture.allOf(running).join();
            } catch (CompletionException e) {
                throw (RuntimeException) e.getCause();
            }
        }
    }

    @BeforeAll
    void requireOneDnn() {
        provider = ServiceLoader.load(MatmulProvider.class).stream().map(ServiceLoader.Provider::get)
                .filter(p -> p.name().equals(OneDnnMatmulProvider.NAME)).findFirst().orElseThrow();
        Probe probe = provider.probe();
        if (!probe.isAvailable()) {
            if (Boolean.getBoolean("sequent.requireAll")) {
                fail(probe.toString());
            }
            System.out.println("oneDNN tests skipped: " + probe);
            abort(probe.toString());
        }
    }

    @AfterAll
    void stop() {
        threads.shutdown();
    }

    private MatmulProvider.Matmul open(int size) {
        return provider.open(new Pool(threads, size));
    }

    /** How operands are stored and multiplied. */
    private enum Kind {
        F32, BF16, ROUNDED;

        /** Whether operands are numbers of BF16, which rounding leaves alone. */
        boolean short16() {
            return this != F32;
        }

        static Kind[] of(MatmulProvider.Matmul matmul) {
            return matmul.accepts(1024, 1024, 1024, 2) ? values() : new Kind[] {F32};
        }
    }

    /** One case; rows of stored matrices are {@code pad} elements longer than needed, and the padding is NaN. */
    private record Case(Kind kind, boolean ta, boolean tb, int m, int n, int k, int pad, float beta) {
        int lda() {
            return (ta ? m : k) + pad;
        }

        int ldb() {
            return (tb ? k : n) + 2 * pad;
        }

        int ldc() {
            return n + 3 * pad;
        }

        float[] matrix(Random random, int rows, int columns, int ld, boolean rounded) {
            float[] x = new float[rows * ld];
            for (int i = 0; i < x.length; i++) {
                float value = random.nextFloat() - 0.5f;
                x[i] = i % ld >= columns ? Float.NaN : rounded ? Float.intBitsToFloat(Float.floatToIntBits(value) & 0xffff0000) : value;
            }
            return x;
        }

        MemorySegment segment(Arena arena, float[] x, boolean rounded) {
            MemorySegment copy = arena.allocate((rounded ? 2L : 4L) * x.length, 64);
            for (int i = 0; i < x.length; i++) {
                if (rounded) {
                    copy.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(x[i]) >>> 16));
                } else {
                    copy.setAtIndex(ValueLayout.JAVA_FLOAT, i, x[i]);
                }
            }
            return copy;
        }

        void run(MatmulProvider.Matmul matmul, MemorySegment a, MemorySegment b, MemorySegment c) {
            switch (kind) {
                case F32 -> matmul.gemmF32(ta, tb, m, n, k, a, lda(), b, ldb(), beta, c, ldc());
                case BF16 -> matmul.gemmBf16(ta, tb, m, n, k, a, lda(), b, ldb(), beta, c, ldc());
                case ROUNDED -> matmul.gemmRounded(ta, tb, m, n, k, a, lda(), b, ldb(), beta, c, ldc());
            }
        }

        void check(MatmulProvider.Matmul matmul) {
            Random random = new Random(Arrays.hashCode(new int[] {kind.ordinal(), m, n, k, pad}));
            float[] a = matrix(random, ta ? k : m, ta ? m : k, lda(), kind.short16());
            float[] b = matrix(random, tb ? n : k, tb ? k : n, ldb(), kind.short16());
            float[] c = matrix(random, m, n, ldc(), false);
            if (beta == 0f) {
                Arrays.fill(c, Float.NaN);
            }
            try (Arena arena = Arena.ofShared()) {
                MemorySegment result = segment(arena, c, false);
                MemorySegment left = segment(arena, a, kind == Kind.BF16);
                MemorySegment right = segment(arena, b, kind == Kind.BF16);
                run(matmul, left, right, result);
                compare(a, b, c, result.toArray(ValueLayout.JAVA_FLOAT));
            }
        }

        private void compare(float[] a, float[] b, float[] c, float[] result) {
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < ldc(); j++) {
                    int at = i * ldc() + j;
                    if (j >= n) {
                        assertEquals(c[at], result[at], () -> this + " wrote padding");
                        continue;
                    }
                    double sum = beta == 0f ? 0 : c[at];
                    double size = Math.abs(sum);
                    for (int p = 0; p < k; p++) {
                        double term = (double) a[ta ? p * lda() + i : i * lda() + p] * b[tb ? j * ldb() + p : p * ldb() + j];
                        sum += term;
                        size += Math.abs(term);
                    }
                    if (!(Math.abs(result[at] - sum) <= 2e-6 * size + 1e-30)) {
                        fail(this + " at (" + i + ", " + j + "): expected " + sum + ", got " + result[at]);
                    }
                }
            }
        }
    }

    private void checkAllForms(MatmulProvider.Matmul matmul, int m, int n, int k) {
        for (Kind kind : Kind.of(matmul)) {
            for (int form = 0; form < 16; form++) {
                int pad = (form & 4) != 0 ? 3 : 0;
                new Case(kind, (form & 1) != 0, (form & 2) != 0, m, n, k, pad, (form & 8) != 0 ? 1f : 0f).check(matmul);
            }
        }
    }

    @Test
    void equalsNaive() {
        for (int size : new int[] {1, 2, 5}) {
            try (MatmulProvider.Matmul matmul = open(size)) {
                checkAllForms(matmul, 1, 1, 1);
                checkAllForms(matmul, 3, 17, 63);
                checkAllForms(matmul, 100, 31, 65);
                checkAllForms(matmul, 1, 300, 257);
                checkAllForms(matmul, 300, 1, 257);
                checkAllForms(matmul, 200, 201, 150);
                checkAllForms(matmul, 16, 70, 5000);
                for (float beta : new float[] {0f, 1f}) {
                    for (int pad : new int[] {0, 3}) {
                        new Case(Kind.F32, true, false, 130, 163, 2049, pad, beta).check(matmul); // a long sum in several blocks
                    }
                }
            }
        }
    }

    @Test
    void nanOfOneRowStaysThere() {
        try (MatmulProvider.Matmul matmul = open(1)) {
            for (int k : new int[] {1, 2, 3, 15, 31, 32, 33, 63, 64, 65, 100, 127}) {
                for (Kind kind : Kind.of(matmul)) {
                    for (int form = 0; form < 4; form++) {
                        for (int m : new int[] {2, 17, 40}) {
                            nanStays(matmul, new Case(kind, (form & 1) != 0, (form & 2) != 0, m, 50, k, 0, 0f));
                        }
                    }
                }
            }
        }
    }

    /** Every other row of A and column of B is NaN, from first to last element. */
    private static void nanStays(MatmulProvider.Matmul matmul, Case s) {
        Random random = new Random(5);
        float[] a = s.matrix(random, s.ta ? s.k : s.m, s.ta ? s.m : s.k, s.lda(), s.kind.short16());
        float[] b = s.matrix(random, s.tb ? s.n : s.k, s.tb ? s.k : s.n, s.ldb(), s.kind.short16());
        for (int i = 0; i < a.length; i++) {
            a[i] = (s.ta ? i % s.m : i / s.k) % 2 == 1 ? Float.NaN : a[i];
        }
        for (int i = 0; i < b.length; i++) {
            b[i] = (s.tb ? i / s.k : i % s.n) % 2 == 1 ? Float.NaN : b[i];
        }
        float[] c = new float[s.m * s.n];
        Arrays.fill(c, Float.NaN);
        try (Arena arena = Arena.ofShared()) {
            MemorySegment result = s.segment(arena, c, false);
            MemorySegment left = s.segment(arena, a, s.kind == Kind.BF16);
            MemorySegment right = s.segment(arena, b, s.kind == Kind.BF16);
            s.run(matmul, left, right, result);
            for (int i = 0; i < s.m * s.n; i++) {
                boolean nan = i / s.n % 2 == 1 || i % s.n % 2 == 1;
                assertEquals(nan, Float.isNaN(result.getAtIndex(ValueLayout.JAVA_FLOAT, i)), s + " at (" + i / s.n + ", " + i % s.n + ")");
            }
        }
    }

    /** Operands with more digits than BF16 has are rounded to the nearest, ties to even, whatever the form and the cut into blocks. */
    @Test
    void roundedProductIsTheProductOfRoundedOperands() {
        Random random = new Random(7);
        for (int size : new int[] {1, 2}) {
            try (MatmulProvider.Matmul matmul = open(size); Arena arena = Arena.ofShared()) {
                if (!matmul.accepts(1024, 1024, 1024, 2)) {
                    System.out.println("rounded products skipped: no BF16 instructions");
                    return;
                }
                for (int form = 0; form < 4; form++) {
                    Case s = new Case(Kind.ROUNDED, (form & 1) != 0, (form & 2) != 0, 130, 100, 70 + 32 * form, 0, 0f);
                    float[] a = s.matrix(random, s.ta ? s.k : s.m, s.ta ? s.m : s.k, s.lda(), false);
                    float[] b = s.matrix(random, s.tb ? s.n : s.k, s.tb ? s.k : s.n, s.ldb(), false);
                    MemorySegment c = arena.allocate(4L * s.m * s.n, 64);
                    s.run(matmul, s.segment(arena, a, false), s.segment(arena, b, false), c);
                    s.compare(nearest(a), nearest(b), new float[s.m * s.n], c.toArray(ValueLayout.JAVA_FLOAT));
                }
            }
        }
    }

    private static float[] nearest(float[] x) {
        float[] y = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            int bits = Float.floatToRawIntBits(x[i]);
            y[i] = Float.intBitsToFloat(bits + 0x7fff + (bits >>> 16 & 1) & 0xffff0000);
        }
        return y;
    }

    @Test
    void emptySumIsZeroOrKeepsC() {
        try (MatmulProvider.Matmul matmul = open(2)) {
            checkAllForms(matmul, 5, 7, 0);
            checkAllForms(matmul, 0, 7, 5);
            checkAllForms(matmul, 5, 0, 5);
        }
    }

    @Test
    void survivesMoreShapesThanItKeeps() {
        try (MatmulProvider.Matmul matmul = open(3)) {
            for (int k = 1; k < 700; k++) {
                new Case(Kind.F32, false, true, 2, 3, k, 0, 0f).check(matmul);
            }
        }
    }

    @Test
    void runsFromManyThreads() {
        try (MatmulProvider.Matmul matmul = open(2)) {
            CompletableFuture<?>[] all = IntStream.range(0, 8).mapToObj(i -> CompletableFuture.runAsync(() -> {
                for (int repeat = 0; repeat < 20; repeat++) {
                    new Case(Kind.F32, i % 2 == 0, i % 4 < 2, 33, 40, 50 + i % 3, 0, 1f).check(matmul);
                }
            }, threads)).toArray(CompletableFuture<?>[]::new);
            CompletableFuture.allOf(all).join();
        }
    }

    @Test
    void refusesWhatWouldReadForeignMemory() {
        try (MatmulProvider.Matmul matmul = open(1); Arena arena = Arena.ofConfined()) {
            MemorySegment four = arena.allocate(4 * 4, 64);
            MemorySegment three = arena.allocate(3 * 4, 64);
            MemorySegment heap = MemorySegment.ofArray(new float[4]);
            assertThrows(BackendException.class, () -> matmul.gemmF32(false, false, 2, 2, 2, three, 2, four, 2, 0f, four, 2));
            assertThrows(BackendException.class, () -> matmul.gemmF32(false, false, 2, 2, 2, four, 2, three, 2, 0f, four, 2));
            assertThrows(BackendException.class, () -> matmul.gemmF32(false, false, 2, 2, 2, four, 2, four, 2, 0f, three, 2));
            assertThrows(BackendException.class, () -> matmul.gemmF32(false, false, 2, 2, 2, four, 1, four, 2, 0f, four, 2));
            assertThrows(BackendException.class, () -> matmul.gemmF32(false, false, 2, 2, 2, heap, 2, four, 2, 0f, four, 2));
            assertThrows(BackendException.class, () -> matmul.gemmF32(false, false, -1, 2, 2, four, 2, four, 2, 0f, four, 2));
            assertThrows(BackendException.class, () -> matmul.gemmF32(false, false, 3, 2, 2, four, Long.MAX_VALUE, four, 2, 0f, four, 2));
        }
    }

    @Test
    void closedProviderSaysSo() {
        MatmulProvider.Matmul matmul = open(1);
        matmul.close();
        matmul.close();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment x = arena.allocate(4 * 4, 64);
            MemorySegment y = arena.allocate(4 * 4, 64);
            BackendException e = assertThrows(BackendException.class, () -> matmul.gemmF32(false, false, 2, 2, 2, x, 2, x, 2, 0f, y, 2));
            assertTrue(e.getMessage().contains("closed"), e.getMessage());
        }
    }

    @Test
    void cpuBackendUsesIt() {
        try (Backend cpu = Backends.openBackend("cpu", Map.of("matmul", OneDnnMatmulProvider.NAME, "threads", "2"))) {
            assertTrue(cpu.capabilities(0).description().contains(OneDnnMatmulProvider.NAME), cpu.capabilities(0).description());
        }
    }

    @Test
    void leavesSmallAndNarrowF32ProductsToTheBackend() {
        try (MatmulProvider.Matmul matmul = open(1)) {
            assertFalse(matmul.accepts(1, 4096, 4096, 4));
            assertFalse(matmul.accepts(63, 63, 63, 4));
            assertFalse(matmul.accepts(4096, 3, 4096, 4));
            assertTrue(matmul.accepts(4096, 4, 512, 4));
            assertTrue(matmul.accepts(64, 64, 64, 4));
            assertTrue(matmul.accepts(1024, 1024, 1024, 4));
            assertFalse(matmul.accepts(1024, 1024, 1024, 8));
        }
    }
}
