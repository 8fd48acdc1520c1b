package dev.sequent.train.data;

/**
 * Batches by index: the same index gives the same batch, at any time and in any order. A training run's position in its
 * data is therefore one number. Implementations are safe for use by several threads.
 */
@FunctionalInterface
public interface BatchSource {
    /** Batch {@code index}, counted from 0. */
    TokenBatch batch(long index);

    /**
     * Number of different ids that batches may hold, so that a model with a smaller vocabulary is refused at once; 0 where it is not known.
     */
    default int vocabularySize() {
        return 0;
    }
}
