package dev.sequent.tensor;

import java.util.function.Supplier;

/** Chooses who watches the primitives that the current thread executes. */
public final class Tracing {
    private Tracing() {}

    /** The current thread's tracer, or null. */
    public static Tracer current() {
        return ThreadContext.current().tracer;
    }

    /** Runs {@code body} under another tracer (null: none) and restores the previous one. */
    public static <T> T with(Tracer tracer, Supplier<T> body) {
        ThreadContext context = ThreadContext.current();
        Tracer previous = context.tracer;
        context.tracer = tracer;
        try {
            return body.get();
        } finally {
            context.tracer = previous;
        }
    }

    /** Runs {@code body} without recording anything for derivatives: inference. */
    public static <T> T off(Supplier<T> body) {
        return with(null, body);
    }
}
