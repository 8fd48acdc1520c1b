package dev.sequent.mixer;

/**
 * What a mixer remembers of the tokens it has seen. A state owns its memory and is used by one thread; the caller closes it, and use after
 * close is a {@link dev.sequent.type.ReleasedTensorException}.
 */
public interface MixerState extends AutoCloseable {
    /** Rows, B. */
    int batch();

    /** Positions that this state has been advanced by, padding included. */
    long position();

    /**
     * Fails when it cannot take the tokens of {@code info}, and changes nothing: a model asks all of its states before it advances the
     * first. Recurrent states take any.
     *
     * @throws dev.sequent.type.CapacityException when there is no room for them
     * @throws dev.sequent.type.ShapeException when they are several documents a row, or padding lies between them
     */
    default void requireRoom(SequenceInfo info) {}

    /** An independent copy. */
    MixerState fork();

    /**
     * Row b of the state becomes what row {@code rows[b]} was: beam search, or dropping finished rows. The batch becomes
     * {@code rows.length}. When it fails, the state is unchanged.
     *
     * @throws dev.sequent.type.ShapeException when there is no such row
     */
    default void reorder(int[] rows) {
        try (Reordering reordering = prepareReorder(rows)) {
            reordering.apply();
        }
    }

    /**
     * Does what can fail of {@link #reorder}, memory included, and changes nothing: a model prepares all of its states before it changes
     * the first. The state must not change in between.
     */
    Reordering prepareReorder(int[] rows);

    /** A prepared {@link #reorder}; close it, whether it was applied or not. */
    interface Reordering extends AutoCloseable {
        /** Reorders the state; to be called once. */
        void apply();

        @Override
        void close();
    }

    /** Bytes that the state occupies now. */
    long bytes();

    /** Forgets everything. */
    void reset();

    @Override
    void close();
}
