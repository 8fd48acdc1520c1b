package dev.sequent.io;

/**
 * Decodes a stream of ids into text, never emitting half a character: bytes wait until their character is complete.
 * The pieces, concatenated, are the text of all ids. Belongs to one stream and one thread.
 */
public interface TokenDecoder {
    /** Adds an id and returns the text that is now complete, possibly empty. */
    String next(int id);

    /** Ends the stream and returns what is left; an incomplete character becomes U+FFFD. */
    String finish();
}
