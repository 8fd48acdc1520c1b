package dev.sequent.io;

import dev.sequent.type.DataException;
import java.util.Arrays;

/**
 * One id per Unicode code point of a fixed alphabet, in ascending order of code points. Characters outside the alphabet
 * are an error that names them. Immutable.
 */
public final class CharTokenizer implements Tokenizer {
    private final int[] alphabet;

    private CharTokenizer(int[] alphabet) {
        this.alphabet = alphabet;
    }

    /**
     * The tokenizer of all characters that occur in {@code text}.
     *
     * @throws DataException when the text is empty or holds a lone surrogate
     */
    public static CharTokenizer of(String text) {
        if (text.isEmpty()) {
            throw new DataException("tokenizer", "a text with at least one character", "an empty text");
        }
        int[] alphabet = text.codePoints().distinct().sorted().toArray();
        for (int c : alphabet) {
            if (c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
                throw new DataException("tokenizer", "text of whole characters", String.format("a lone surrogate U+%04X", c));
            }
        }
        return new CharTokenizer(alphabet);
    }

    /** All characters by id, as one string. */
    public String alphabet() {
        return new String(alphabet, 0, alphabet.length);
    }

    @Override
    public int[] encode(String text) {
        int[] ids = new int[text.codePointCount(0, text.length())];
        int n = 0;
        for (int at = 0; at < text.length();) {
            int c = text.codePointAt(at);
            int id = Arrays.binarySearch(alphabet, c);
            if (id < 0) {
                String shown = Character.isISOControl(c) ? "a control character" : "'" + Character.toString(c) + "'";
                throw new DataException("encode", "characters of an alphabet of " + alphabet.length,
                        String.format("%s (U+%04X) at position %d", shown, c, n));
            }
            ids[n++] = id;
            at += Character.charCount(c);
        }
        return ids;
    }

    @Override
    public String decode(int... ids) {
        StringBuilder text = new StringBuilder(ids.length);
        for (int id : ids) {
            Tokenizer.requireId(id, alphabet.length);
            text.appendCodePoint(alphabet[id]);
        }
        return text.toString();
    }

    @Override
    public int vocabularySize() {
        return alphabet.length;
    }

    @Override
    public TokenDecoder decoder() {
        return new TokenDecoder() {
            @Override
            public String next(int id) {
                return decode(id);
            }

            @Override
            public String finish() {
                return "";
            }
        };
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof CharTokenizer other && Arrays.equals(alphabet, other.alphabet);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(alphabet);
    }

    @Override
    public String toString() {
        return "CharTokenizer(" + alphabet.length + ")";
    }
}
