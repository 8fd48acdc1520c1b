package dev.sequent.tensor;

/** What belongs to a thread rather than to a tensor: its innermost scope and its tracer. */
final class ThreadContext {
    private static final ThreadLocal<ThreadContext> CURRENT = ThreadLocal.withInitial(ThreadContext::new);

    Scope scope;
    Tracer tracer;

    private ThreadContext() {}

    static ThreadContext current() {
        return CURRENT.get();
    }
}
