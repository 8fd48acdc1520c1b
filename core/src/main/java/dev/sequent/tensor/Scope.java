package dev.sequent.tensor;

import dev.sequent.type.SequentException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * A region of a program whose tensors are released when it ends.
 *
 * <p>Every tensor that is created while a scope is the innermost one of its thread belongs to that scope. It leaves the scope by
 * {@link #keep} (to the enclosing scope), by {@link Tensor#own} (to the caller, who closes it), or by being closed early.
 *
 * <pre>{@code
 * try (Scope scope = Scope.open()) {
 *     Tensor y = x.mul(2).add(1);   // both intermediate results belong to the scope
 *     return scope.keep(y);         // y moves to the caller's scope, x.mul(2) is released
 * }
 * }</pre>
 *
 * <p>A scope belongs to the thread that opened it, and scopes are closed in reverse order of opening.
 */
public final class Scope implements AutoCloseable {
    private final ThreadContext context;
    private final Scope parent;
    private final List<Tensor> tensors = new ArrayList<>();
    private boolean closed;

    private Scope(ThreadContext context) {
        this.context = context;
        this.parent = context.scope;
    }

    /** Opens a scope inside the thread's innermost one. */
    public static Scope open() {
        ThreadContext context = ThreadContext.current();
        Scope scope = new Scope(context);
        context.scope = scope;
        return scope;
    }

    /** Runs {@code body} in a scope of its own and lets only the result out. */
    public static Tensor returning(Supplier<Tensor> body) {
        try (Scope scope = open()) {
            return scope.keep(body.get());
        }
    }

    /**
     * Moves a tensor of this scope to the enclosing scope, or to the caller when there is none. Null and foreign tensors pass unchanged.
     */
    public Tensor keep(Tensor tensor) {
        if (tensor != null && tensor.scope() == this) {
            remove(tensor);
            if (parent == null) {
                tensor.leaveScopes();
            } else {
                parent.add(tensor);
            }
        }
        return tensor;
    }

    /** {@link #keep} for several tensors. */
    public Tensor[] keep(Tensor... tensors) {
        for (Tensor t : tensors) {
            keep(t);
        }
        return tensors;
    }

    /** Number of live tensors that belong to this scope. */
    public synchronized int size() {
        return tensors.size();
    }

    synchronized void add(Tensor tensor) {
        if (closed) {
            throw new SequentException("[scope] expected an open scope, given one that has been closed");
        }
        tensor.enter(this, tensors.size());
        tensors.add(tensor);
    }

    synchronized void remove(Tensor tensor) {
        if (closed) {
            return;
        }
        int slot = tensor.slot();
        Tensor last = tensors.removeLast();
        if (last != tensor) {
            tensors.set(slot, last);
            last.enter(this, slot);
        }
    }

    /** Releases every tensor that still belongs to this scope, also when one of them cannot be released; its error is thrown at the end. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        if (context != ThreadContext.current() || context.scope != this) {
            throw new SequentException("[scope] expected the innermost scope of the thread that opened it, given an outer or foreign one: "
                    + "close scopes in reverse order, with try-with-resources");
        }
        synchronized (this) {
            closed = true;
            context.scope = parent;
            RuntimeException failure = null;
            for (int i = tensors.size() - 1; i >= 0; i--) {
                try {
                    tensors.get(i).close();
                } catch (RuntimeException e) {
                    failure = failure == null ? e : failure;
                }
            }
            tensors.clear();
            if (failure != null) {
                throw failure;
            }
        }
    }
}
