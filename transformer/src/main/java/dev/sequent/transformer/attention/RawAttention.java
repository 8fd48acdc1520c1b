package dev.sequent.transformer.attention;

/**
 * Softmax attention on native memory, F32: out = softmax(scale q k^T + mask) v per head, without ever holding the T x S matrix.
 *
 * <p>A query that sees no key gives zeros and passes no gradient. Results do not depend on the number of threads. Thread-safe.
 */
interface RawAttention {
    /** The widest heads that tiles are made for. */
    int MOST_CHANNELS = 1024;

    /** {@code vector} or {@code scalar}. */
    String flavour();

    /** Computes {@code out} and {@code lse}. */
    void forward(AttentionCall call);

    /** Floats of scratch memory that {@link #backward} needs. */
    long workspaceFloats(AttentionSizes sizes);

    /** Computes the gradients of q, k and v from a call whose {@code out} and {@code lse} have been computed. */
    void backward(AttentionCall call, AttentionGradients gradients);
}
