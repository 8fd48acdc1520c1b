package dev.sequent.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.BackendException;
import java.lang.ref.WeakReference;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every task runs once, whatever happens around it. */
@Timeout(60)
class SpinPoolTest {
    private final SpinPool pool = new SpinPool(3);
    /** Read at run time, so that the compiler cannot fold the arithmetic on denormals below. */
    private volatile float tiny = 1e-30f;

    @AfterEach
    void close() {
        pool.close();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 17, 1000})
    void everyTaskRunsOnce(int tasks) {
        for (int round = 0; round < 50; round++) {
            AtomicIntegerArray runs = new AtomicIntegerArray(tasks);
            pool.forEach(tasks, runs::incrementAndGet);
            assertThat(IntStream.range(0, tasks).map(runs::get)).allMatch(n -> n == 1);
        }
    }

    @Test
    void parkedWorkersWakeUp() throws InterruptedException {
        for (int round = 0; round < 5; round++) {
            Thread.sleep(2);
            CountDownLatch together = new CountDownLatch(3);
            pool.forEach(3, task -> await(together));
            assertThat(together.getCount()).isZero();
        }
    }

    /** As many tasks as there are threads, or fewer, run at the same time, whether threads spin or have been parked. */
    @ParameterizedTest
    @CsvSource({"64,2", "64,64", "7,2", "7,64", "2,64"})
    void everyThreadIsWoken(int threads, int processors) throws InterruptedException {
        try (SpinPool large = new SpinPool(threads, processors)) {
            for (int tasks = 2; tasks <= threads; tasks += tasks < 9 ? 1 : 11) {
                for (int round = 0; round < 3; round++) {
                    CountDownLatch together = new CountDownLatch(tasks);
                    large.forEach(tasks, task -> await(together));
                    assertThat(together.getCount()).isZero();
                    Thread.sleep(round);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 64})
    void manyThreadsOnFewProcessorsRunEveryTaskOnce(int processors) {
        try (SpinPool large = new SpinPool(64, processors)) {
            int[] written = new int[200];
            for (int round = 1; round <= 300; round++) {
                int value = round;
                int tasks = 2 + round % 199;
                // plain reads and writes: the pool alone makes them visible
                large.forEach(tasks, task -> written[task] = value + task);
                assertThat(IntStream.range(0, tasks).map(i -> written[i] - i)).allMatch(v -> v == value);
            }
            assertThatThrownBy(() -> large.forEach(500, task -> {
                throw new IllegalStateException("all fail");
            })).isInstanceOf(IllegalStateException.class).hasMessage("all fail");
        }
    }

    @Test
    void aTaskMayCloseItsPool() {
        AtomicInteger runs = new AtomicInteger();
        pool.forEach(20, task -> {
            runs.incrementAndGet();
            pool.close();
        });
        assertThat(runs).hasValue(20);
        assertThatThrownBy(() -> pool.forEach(2, task -> { })).isInstanceOf(BackendException.class);
    }

    /** Returns once all threads are inside it: proof that they run at the same time. */
    private static void await(CountDownLatch latch) {
        latch.countDown();
        try {
            assertThat(latch.await(30, TimeUnit.SECONDS)).isTrue();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void anExceptionReachesTheCallerAndThePoolGoesOn() {
        AtomicInteger done = new AtomicInteger();
        for (int round = 0; round < 20; round++) {
            assertThatThrownBy(() -> pool.forEach(100, task -> {
                if (task == 13) {
                    throw new IllegalStateException("thirteen");
                }
            })).isInstanceOf(IllegalStateException.class).hasMessage("thirteen");
            pool.forEach(10, task -> done.incrementAndGet());
        }
        assertThat(done).hasValue(200);
    }

    @Test
    void anErrorInASingleTaskReachesTheCallerToo() {
        assertThatThrownBy(() -> pool.forEach(1, task -> {
            throw new AssertionError("one");
        })).isInstanceOf(AssertionError.class).hasMessage("one");
    }

    @Test
    void threadsKnowWhetherTheyAreInsideATask() {
        AtomicInteger inside = new AtomicInteger();
        pool.forEach(50, task -> inside.addAndGet(pool.insideTask() ? 1 : 0));
        assertThat(inside).hasValue(50);
        assertThat(pool.insideTask()).isFalse();
    }

    @Test
    void nestedLoopsRunOnTheThreadThatStartsThem() {
        Set<String> strangers = ConcurrentHashMap.newKeySet();
        AtomicInteger runs = new AtomicInteger();
        pool.forEach(8, outer -> {
            Thread mine = Thread.currentThread();
            pool.forEach(16, inner -> {
                runs.incrementAndGet();
                if (Thread.currentThread() != mine) {
                    strangers.add(Thread.currentThread().getName());
                }
            });
        });
        assertThat(runs).hasValue(128);
        assertThat(strangers).isEmpty();
    }

    @Test
    void loopsOfSeveralThreadsDoNotMix() throws Exception {
        try (ExecutorService callers = Executors.newFixedThreadPool(4)) {
            List<Future<Integer>> sums = IntStream.range(0, 4).mapToObj(caller -> callers.submit(() -> {
                AtomicInteger sum = new AtomicInteger();
                for (int round = 0; round < 200; round++) {
                    pool.forEach(20, sum::addAndGet);
                }
                return sum.get();
            })).toList();
            for (Future<Integer> sum : sums) {
                assertThat(sum.get()).isEqualTo(200 * 190);
            }
        }
    }

    @Test
    void workersAreNamedDaemons() {
        Set<Thread> seen = ConcurrentHashMap.newKeySet();
        CountDownLatch together = new CountDownLatch(3);
        pool.forEach(3, task -> {
            seen.add(Thread.currentThread());
            await(together);
        });
        seen.remove(Thread.currentThread());
        assertThat(seen).hasSize(2).allMatch(Thread::isDaemon).allMatch(thread -> thread.getName().startsWith("sequent-cpu-"));
    }

    @Test
    void denormalsAreFlushedInsideLoopsOnlyAndOnEveryThread() {
        Assumptions.assumeTrue(FlushToZero.supported(), "this platform has no flush-to-zero switch");
        float[] products = new float[3];
        CountDownLatch together = new CountDownLatch(3);
        pool.forEach(3, task -> {
            await(together);
            products[task] = tiny * 1e-10f;
        });
        assertThat(products).containsExactly(0f, 0f, 0f);
        assertThat(tiny * 1e-10f).as("the caller's mode is restored").isPositive();
        float[] single = new float[1];
        pool.forEach(1, task -> pool.forEach(1, inner -> single[0] = tiny * 1e-10f));
        assertThat(single[0]).isZero();
        assertThatThrownBy(() -> pool.forEach(2, task -> {
            throw new IllegalStateException();
        })).isInstanceOf(IllegalStateException.class);
        assertThat(tiny * 1e-10f).as("also after a failure").isPositive();
    }

    @Test
    void aClosedPoolRefusesAndItsThreadsEnd() throws InterruptedException {
        Set<Thread> seen = ConcurrentHashMap.newKeySet();
        CountDownLatch together = new CountDownLatch(3);
        pool.forEach(3, task -> {
            seen.add(Thread.currentThread());
            await(together);
        });
        pool.close();
        assertThatThrownBy(() -> pool.forEach(2, task -> { })).isInstanceOf(BackendException.class);
        seen.remove(Thread.currentThread());
        for (Thread worker : seen) {
            worker.join(10_000);
            assertThat(worker.isAlive()).isFalse();
        }
    }

    @Test
    void nothingThatALoopUsedStaysReachableAfterIt() throws InterruptedException {
        WeakReference<?> used = loopOverAnObject();
        for (int round = 0; round < 200 && !used.refersTo(null); round++) {
            System.gc();
            Thread.sleep(10);
        }
        assertThat(used.refersTo(null)).isTrue();
    }

    /** Runs a loop on all threads and returns what its body refers to. */
    private WeakReference<?> loopOverAnObject() {
        Object object = new Object();
        CountDownLatch together = new CountDownLatch(3);
        pool.forEach(3, task -> {
            await(together);
            assertThat(object).isNotNull();
        });
        return new WeakReference<>(object);
    }
}
