package dev.sequent.kernel;

/**
 * A fused implementation of one operation on one backend. Each fused operation declares a contract: a sub-interface of this one with
 * a {@code refusal} method that says why it cannot compute a problem, a forward, and a backward method. Kernels are thread-safe.
 */
public interface Kernel {
    /** Short name for {@code explain()}, for example {@code selective-scan/vector512}. */
    String name();
}
