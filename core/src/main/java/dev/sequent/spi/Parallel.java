package dev.sequent.spi;

/**
 * A pool of threads for data-parallel loops. Worker threads run with denormals flushed to zero.
 *
 * <p>Thread-safe. One loop runs at a time; a loop that is started while another one runs (from another thread, or from
 * inside a task) is executed by its caller alone, so nesting is safe and never deadlocks.
 */
public interface Parallel {
    /** Number of threads that a loop can use, the caller included. */
    int threads();

    /** Whether the calling thread is inside a task of this pool, so that a loop which it starts runs in this thread alone. */
    default boolean insideTask() {
        return false;
    }

    /**
     * Runs {@code body} for every task in {@code [0, tasks)} and returns when all are done. Tasks are handed out dynamically, in
     * ascending order. An exception thrown by a task is rethrown here after the other running tasks have ended.
     */
    void forEach(int tasks, Task body);

    /** The body of a loop. */
    @FunctionalInterface
    interface Task {
        /** Runs one task. */
        void run(int task);
    }
}
