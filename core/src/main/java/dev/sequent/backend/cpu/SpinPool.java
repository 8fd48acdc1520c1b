package dev.sequent.backend.cpu;

import dev.sequent.spi.Parallel;
import dev.sequent.type.BackendException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * Threads that spin for a short time after a loop and then park: the next loop starts in under a microsecond when it follows at
 * once, and an idle backend costs nothing. Where there are more threads than processors nobody spins.
 *
 * <p>Parked threads are woken in a tree: thread k, of which the caller is number 0, wakes 2k + 1 and 2k + 2 before its first task, so
 * that the last of 64 threads starts after six wake-ups in turn instead of 63. A thread that comes late to a loop wakes nobody.
 *
 * <p>Every loop body, on whatever thread and however small, runs with denormals flushed to zero, so results do not depend on the number
 * of threads. What the caller wrote before a loop is seen by its tasks, and what tasks wrote by the caller after it. Thread-safe.
 */
final class SpinPool implements Parallel, AutoCloseable {
    private static final long SPIN_NANOS = 40_000;
    private static final int SPINS_PER_CLOCK_READ = 64;
    private static final long PARK_NANOS = 100_000;

    private final Worker[] workers;
    /** How long a thread that has nothing to do spins. */
    private final long spinNanos;
    private final AtomicBoolean busy = new AtomicBoolean();
    private final FlushToZero flush = new FlushToZero();
    private volatile Thread loopOwner;
    private volatile Loop current;
    private volatile boolean closed;

    /** Starts {@code threads - 1} workers; the calling thread of a loop is the last one. */
    SpinPool(int threads) {
        this(threads, Runtime.getRuntime().availableProcessors());
    }

    /** The same, on a machine with so many processors. */
    SpinPool(int threads, int processors) {
        spinNanos = threads <= processors ? SPIN_NANOS : 0;
        workers = new Worker[threads - 1];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = new Worker(this, i + 1);
        }
        for (Worker worker : workers) {
            worker.start();
        }
    }

    @Override
    public int threads() {
        return workers.length + 1;
    }

    @Override
    public void forEach(int tasks, Task body) {
        if (closed) {
            throw new BackendException("forEach", "an open backend", "a closed one");
        }
        if (insideTask()) {
            runInline(tasks, body);
            return;
        }
        flush.enter();
        try {
            if (tasks < 2 || workers.length == 0 || !busy.compareAndSet(false, true)) {
                runInline(tasks, body);
            } else {
                runShared(new Loop(tasks, body));
            }
        } finally {
            flush.exit();
        }
    }

    @Override
    public boolean insideTask() {
        return Thread.currentThread() instanceof Worker worker && worker.pool == this || loopOwner == Thread.currentThread();
    }

    private static void runInline(int tasks, Task body) {
        for (int i = 0; i < tasks; i++) {
            body.run(i);
        }
    }

    private void runShared(Loop loop) {
        try {
            loopOwner = Thread.currentThread();
            current = loop;
            wakeBelow(0, loop);
            loop.work();
            loop.await(spinNanos);
        } finally {
            current = null;
            loopOwner = null;
            // Workers remember a loop by its identity while they wait for the next one: nothing else may stay reachable through it.
            loop.body = null;
            busy.set(false);
        }
        loop.rethrow();
    }

    /** Wakes the two threads below thread {@code number} in the tree, unless the loop has too few tasks for them. */
    private void wakeBelow(int number, Loop loop) {
        int end = Math.min(2 * number + 2, Math.min(workers.length, loop.tasks - 1));
        for (int i = 2 * number; i < end; i++) {
            workers[i].wake();
        }
    }

    /** Ends the workers, after the loop that may be running. */
    @Override
    public void close() {
        closed = true;
        while (busy.get() && !insideTask()) {
            LockSupport.parkNanos(PARK_NANOS);
        }
        for (Worker worker : workers) {
            LockSupport.unpark(worker);
        }
    }

    /** One loop: a counter of tasks handed out and a counter of tasks finished. */
    private static final class Loop {
        /** Places of the counters, in cache lines of their own: what all threads write must not lie beside what they only read. */
        private static final int HANDED_OUT = 16;
        private static final int FINISHED = 48;
        private static final int COUNTERS = 64;

        private final int tasks;
        /** Null once all tasks have been run. */
        private Task body;
        private final AtomicIntegerArray counters = new AtomicIntegerArray(COUNTERS);
        private final AtomicReference<Throwable> failure = new AtomicReference<>();

        private Loop(int tasks, Task body) {
            this.tasks = tasks;
            this.body = body;
        }

        /** Whether tasks are left to be taken. */
        private boolean hasTasks() {
            return counters.get(HANDED_OUT) < tasks;
        }

        /** Takes tasks until none is left. After a failure the rest is only counted. */
        private void work() {
            int done = 0;
            // Reading before adding keeps late comers from pushing the counter past the end again and again.
            while (hasTasks()) {
                int task = counters.getAndIncrement(HANDED_OUT);
                if (task >= tasks) {
                    break;
                }
                try {
                    if (failure.get() == null) {
                        body.run(task);
                    }
                } catch (Throwable t) {
                    failure.compareAndSet(null, t);
                }
                done++;
            }
            if (done > 0) {
                counters.addAndGet(FINISHED, done);
            }
        }

        private void await(long spinNanos) {
            long start = 0;
            for (int spins = 1; counters.get(FINISHED) < tasks; spins++) {
                if (spinNanos > 0 && spins % SPINS_PER_CLOCK_READ != 0) {
                    Thread.onSpinWait();
                } else if (start == 0) {
                    start = System.nanoTime();
                } else if (System.nanoTime() - start > spinNanos) {
                    // The last tasks are long, or their thread has lost its processor: leave ours to it.
                    Thread.yield();
                }
            }
        }

        private void rethrow() {
            switch (failure.getAndSet(null)) {
                case null -> { }
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                case Throwable t -> throw new AssertionError(t);
            }
        }
    }

    private static final class Worker extends Thread {
        private final SpinPool pool;
        private final int number;
        private volatile boolean parked;

        private Worker(SpinPool pool, int number) {
            super("sequent-cpu-" + number);
            this.pool = pool;
            this.number = number;
            setDaemon(true);
        }

        private void wake() {
            if (parked) {
                LockSupport.unpark(this);
            }
        }

        @Override
        public void run() {
            pool.flush.enter();
            Loop last = null;
            while (true) {
                Loop loop = await(last);
                if (loop == null) {
                    return;
                }
                if (loop.hasTasks()) {
                    pool.wakeBelow(number, loop);
                    loop.work();
                }
                last = loop;
            }
        }

        /** The next loop, or null when the pool has been closed. */
        private Loop await(Loop last) {
            long start = System.nanoTime();
            for (int spins = 1; !pool.closed; spins++) {
                Loop loop = pool.current;
                if (loop != null && loop != last) {
                    return loop;
                }
                if (pool.spinNanos == 0 || spins % SPINS_PER_CLOCK_READ == 0 && System.nanoTime() - start > pool.spinNanos) {
                    park(last);
                    start = System.nanoTime();
                } else {
                    Thread.onSpinWait();
                }
            }
            return null;
        }

        private void park(Loop last) {
            parked = true;
            // Looking again after announcing it: a loop that was published before the announcement does not wake us.
            Loop loop = pool.current;
            if ((loop == null || loop == last) && !pool.closed) {
                LockSupport.park(pool);
            }
            parked = false;
        }
    }
}
