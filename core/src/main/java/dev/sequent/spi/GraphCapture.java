package dev.sequent.spi;

/**
 * Capability of a backend that records the work of a piece of code once and then repeats it with a single submission, at a
 * fraction of the cost of submitting it operation by operation: CUDA graphs.
 *
 * <p>What is recorded is the device's work, with the addresses and scalar arguments of that one time. A replay reads the memory of
 * the tensors that existed before the capture, so new inputs are brought in by {@link Backend#write} into such a tensor, and it overwrites
 * the tensors that the code made and kept, so results are read from those. The code must not look at values (no download, no
 * synchronisation), must not branch on anything that will be different next time, and draws the same random numbers in every replay.
 *
 * <pre>{@code
 * try (Graph step = capture.capture(0, () -> y[0] = model.apply(x))) {
 *     backend.write(x.handle(), start, next.handle());
 *     step.replay();
 * }
 * }</pre>
 *
 * <p>Operations that check values on the host, or count on it, ask {@link #capturing} (through {@link dev.sequent.tensor.Device#capturing})
 * and then leave the check out, overwrite a state where it is, or throw when a replay would be wrong. So these can be recorded:
 *
 * <ul>
 * <li>loss and gradients of a model for batches of one shape: write ids and targets into the tensors that were recorded, replay, read the
 * gradients. Ids from {@link dev.sequent.model.LanguageModel#ids} have been checked; others that are out of range make the loss NaN
 * (with kernels; decompositions take them for zeros).
 * <li>a decode step of a model of recurrent layers: every replay carries on the state that was recorded.
 * </ul>
 *
 * <p>And these are refused: appending to a cache of keys and values, learned positions in decoding, an optimizer's step, routing to
 * experts, and whatever else looks at values, such
 * as the norm for clipping gradients. Optimizers change parameters where they are, so that a
 * training step can be a replay followed by clipping and an optimizer's step outside of the graph.
 *
 * <p>While a capture runs, other threads must leave the device alone; their calls wait. Thread-safe otherwise.
 */
public interface GraphCapture {
    /**
     * Runs {@code body} once to record it; nothing is computed. Call the code once outside of a capture first, so that its kernels
     * are compiled.
     *
     * @throws dev.sequent.type.BackendException when the body does what cannot be recorded, or from within another capture
     */
    Graph capture(int device, Runnable body);

    /** Whether the calling thread is in the body of a {@link #capture} on {@code device}, where values cannot be looked at. */
    boolean capturing(int device);

    /** Recorded work. Owns the memory of its intermediate results. */
    interface Graph extends AutoCloseable {
        /** Submits the recorded work; it runs in order with all other work of the device. */
        void replay();

        /** Number of launches and copies in it. */
        int size();

        /** Gives the memory back. Tensors that the code made and kept stay valid with the values they have. */
        @Override
        void close();
    }
}
