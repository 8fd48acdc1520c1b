package dev.sequent.fused;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.spi.Parallel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Native arrays for the tests of row-wise kernels: outputs start as NaN, and a guard behind every array shows writes past its end. */
public final class NativeRows {
    /** Row counts and row lengths around the lane counts and unrolling factors, and larger than one task. */
    public static final int[][] SHAPES = {
        {1, 1}, {3, 1}, {1, 3}, {5, 3}, {7, 16}, {2, 17}, {4, 31}, {9, 63}, {6, 64}, {10, 65}, {33, 100}, {3, 682}, {130, 256}, {70, 1023}};

    private static final int GUARD = 64;
    private static final float GUARD_VALUE = 12345.5f;

    private NativeRows() {}

    /** The shapes as a stream, for parameterised tests. */
    public static Stream<int[]> shapes() {
        return Stream.of(SHAPES);
    }

    /** An array whose elements are NaN. */
    public static MemorySegment poisoned(long n) {
        MemorySegment whole = Arena.ofAuto().allocate((n + GUARD) * 4, 64);
        for (long i = 0; i < n + GUARD; i++) {
            whole.setAtIndex(JAVA_FLOAT, i, i < n ? Float.NaN : GUARD_VALUE);
        }
        return whole;
    }

    /** An array of normally distributed numbers. */
    public static MemorySegment normal(long n, double mean, double std, long seed) {
        MemorySegment whole = poisoned(n);
        Random random = new Random(seed);
        for (long i = 0; i < n; i++) {
            whole.setAtIndex(JAVA_FLOAT, i, (float) (mean + std * random.nextGaussian()));
        }
        return whole;
    }

    /** An array of ints. */
    public static MemorySegment ints(int... values) {
        MemorySegment whole = Arena.ofAuto().allocate(values.length * 4L + 4, 64);
        for (int i = 0; i < values.length; i++) {
            whole.setAtIndex(JAVA_INT, i, values[i]);
        }
        return whole;
    }

    /** A copy with a guard of its own. */
    public static MemorySegment copy(MemorySegment x) {
        return Arena.ofAuto().allocate(x.byteSize(), 64).copyFrom(x);
    }

    /** Elements as doubles. */
    public static double[] doubles(MemorySegment x) {
        return IntStream.range(0, size(x)).mapToDouble(i -> x.getAtIndex(JAVA_FLOAT, i)).toArray();
    }

    /** Elements as floats, for bit comparisons. */
    public static float[] floats(MemorySegment x) {
        float[] result = new float[size(x)];
        for (int i = 0; i < result.length; i++) {
            result[i] = x.getAtIndex(JAVA_FLOAT, i);
        }
        return result;
    }

    private static int size(MemorySegment x) {
        return (int) (x.byteSize() / 4) - GUARD;
    }

    /** Asserts |actual - expected| at most {@code tolerance} (1 + |expected|) everywhere, and that nothing was written past the end. */
    public static void assertClose(String what, MemorySegment actual, double[] expected, double tolerance) {
        int n = size(actual);
        assertThat(n).as(what).isEqualTo(expected.length);
        for (int i = 0; i < n; i++) {
            double a = actual.getAtIndex(JAVA_FLOAT, i);
            double e = expected[i];
            boolean close = Double.isNaN(e) ? Double.isNaN(a) : Math.abs(a - e) <= tolerance * (1 + Math.abs(e));
            if (!close) {
                throw new AssertionError(what + "[" + i + "] = " + a + ", expected " + e);
            }
        }
        for (int i = n; i < n + GUARD; i++) {
            assertThat(actual.getAtIndex(JAVA_FLOAT, i)).as("%s: guard", what).isEqualTo(GUARD_VALUE);
        }
    }

    /** A pool that runs every loop on {@code threads} new threads, handing tasks out in a scrambled way. */
    public static Parallel threads(int threads) {
        return new Parallel() {
            @Override
            public int threads() {
                return threads;
            }

            @Override
            public void forEach(int tasks, Task body) {
                AtomicInteger next = new AtomicInteger();
                Thread[] workers = new Thread[threads];
                Throwable[] failure = new Throwable[1];
                for (int t = 0; t < threads; t++) {
                    workers[t] = new Thread(() -> {
                        for (int i; (i = next.getAndIncrement()) < tasks;) {
                            body.run(tasks - 1 - i);
                        }
                    });
                    workers[t].setUncaughtExceptionHandler((thread, e) -> failure[0] = e);
                    workers[t].start();
                }
                for (Thread w : workers) {
                    join(w);
                }
                assertThat(failure[0]).isNull();
            }
        };
    }

    private static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
