package dev.sequent.io;

import dev.sequent.type.DataException;

/**
 * Translates between text and token ids {@code 0 .. vocabularySize()-1}.
 *
 * <p>Implementations are immutable and safe for use by several threads; a {@link TokenDecoder} belongs to one stream.
 */
public interface Tokenizer {
    /**
     * The ids of {@code text}.
     *
     * @throws DataException when the vocabulary cannot express the text
     */
    int[] encode(String text);

    /**
     * The text of {@code ids}. Ids that do not form whole characters become U+FFFD.
     *
     * @throws DataException when an id is outside the vocabulary
     */
    String decode(int... ids);

    /** Number of ids; a model's V is at least this. */
    int vocabularySize();

    /** A decoder for ids that arrive one at a time, as in generation. */
    default TokenDecoder decoder() {
        return new WindowDecoder(this);
    }

    /** Raises the error that an id is outside the vocabulary of {@code size} ids. */
    static void requireId(int id, int size) {
        if (id < 0 || id >= size) {
            throw new DataException("decode", "ids in [0, " + size + ")", "id " + id);
        }
    }
}
