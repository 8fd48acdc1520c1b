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
     * {@code rows.length}.
     */
    void reorder(int[] rows);

    /** Bytes that the state occupies now. */
    long bytes();

    /** Forgets everything. */
    void reset();

    @Override
    void close();
}
