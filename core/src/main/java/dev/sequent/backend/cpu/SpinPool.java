package dev.sequent.backend.cpu;

import dev.sequent.spi.Parallel;
import dev.sequent.type.BackendException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * Threads that spin for a short time after a loop and then park: the next loop starts in under a microsecond when it follows at
 * once, and an idle backend costs nothing. Every loop body, on whatever thread and however small, runs with denormals flushed to
 * zero, so results do not depend on the number of threads. Thread-safe.
 */
final class SpinPool implements Parallel, AutoCloseable {
    private static final long SPIN_NANOS = 40_000;
    private static final int SPINS_PER_CLOCK_READ = 64;
    private static final long PARK_NANOS = 100_000;

    private final Worker[] workers;
    private final AtomicBoolean busy = new AtomicBoolean();
    private final FlushToZero flush = new FlushToZero();
    private volatile Thread loopOwner;
    private volatile Loop current;
    private volatile boolean closed;

    /** Starts {@code threads - 1} workers; the calling thread of a loop is the last one. */
    SpinPool(int threads) {
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
            int helpers = Math.min(workers.length, loop.tasks - 1);
            for (int i = 0; i < helpers; i++) {
                workers[i].wake();
            }
            loop.work();
            loop.await();
        } finally {
            current = null;
            loopOwner = null;
            busy.set(false);
        }
        loop.rethrow();
    }

    /** Ends the workers, after the loop that may be running. */
    @Override
    public void close() {
        closed = true;
        while (busy.get() && loopOwner != Thread.currentThread()) {
            LockSupport.parkNanos(PARK_NANOS);
        }
        for (Worker worker : workers) {
            LockSupport.unpark(worker);
        }
    }

    /** One loop: a counter of tasks handed out and a counter of tasks finished. */
    private static final class Loop {
        private final int tasks;
        private final Task body;
        private final AtomicInteger next = new AtomicInteger();
        private final AtomicInteger finished = new AtomicInteger();
        private final AtomicReference<Throwable> failure = new AtomicReference<>();

        private Loop(int tasks, Task body) {
            this.tasks = tasks;
            this.body = body;
        }

        /** Takes tasks until none is left. After a failure the rest is only counted. */
        private void work() {
            int done = 0;
            // Reading before adding keeps late comers from pushing the counter past the end again and again.
            while (next.get() < tasks) {
                int task = next.getAndIncrement();
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
                finished.addAndGet(done);
            }
        }

        private void await() {
            long start = 0;
            for (int spins = 1; finished.get() < tasks; spins++) {
                if (spins % SPINS_PER_CLOCK_READ != 0) {
                    Thread.onSpinWait();
                } else if (start == 0) {
                    start = System.nanoTime();
                } else if (System.nanoTime() - start > SPIN_NANOS) {
                    // The last tasks are long, or their thread has lost its processor: leave ours to it.
                    Thread.yield();
                }
            }
        }

        private void rethrow() {
            switch (failure.get()) {
                case null -> { }
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                case Throwable t -> throw new AssertionError(t);
            }
        }
    }

    private static final class Worker extends Thread {
        private final SpinPool pool;
        private volatile boolean parked;

        private Worker(SpinPool pool, int number) {
            super("sequent-cpu-" + number);
            this.pool = pool;
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
                loop.work();
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
                if (spins % SPINS_PER_CLOCK_READ == 0 && System.nanoTime() - start > SPIN_NANOS) {
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
