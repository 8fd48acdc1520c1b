package dev.sequent.io;

import dev.sequent.type.DataException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/** One id per UTF-8 byte; V = 256. Expresses any text and needs no training. Immutable. */
public final class ByteTokenizer implements Tokenizer {
    /** Number of ids. */
    public static final int SIZE = 256;

    /** A byte tokenizer; all are equal. */
    public ByteTokenizer() {
    }

    @Override
    public int[] encode(String text) {
        ByteBuffer bytes;
        try {
            bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
        } catch (CharacterCodingException e) {
            throw new DataException("[encode] expected text of whole characters, given a lone surrogate", e);
        }
        int[] ids = new int[bytes.remaining()];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = bytes.get() & 0xFF;
        }
        return ids;
    }

    @Override
    public String decode(int... ids) {
        byte[] bytes = new byte[ids.length];
        for (int i = 0; i < ids.length; i++) {
            Tokenizer.requireId(ids[i], SIZE);
            bytes[i] = (byte) ids[i];
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    @Override
    public int vocabularySize() {
        return SIZE;
    }

    @Override
    public TokenDecoder decoder() {
        return new ByteDecoder();
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof ByteTokenizer;
    }

    @Override
    public int hashCode() {
        return SIZE;
    }

    @Override
    public String toString() {
        return "ByteTokenizer";
    }

    private static final class ByteDecoder implements TokenDecoder {
        private final CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPLACE);
        private final ByteBuffer pending = ByteBuffer.allocate(8);
        private final CharBuffer chars = CharBuffer.allocate(16);

        @Override
        public String next(int id) {
            Tokenizer.requireId(id, SIZE);
            pending.put((byte) id);
            return decode(false);
        }

        @Override
        public String finish() {
            String rest = decode(true);
            decoder.reset();
            return rest;
        }

        private String decode(boolean last) {
            decoder.decode(pending.flip(), chars, last);
            pending.compact();
            if (last) {
                decoder.flush(chars);
            }
            String text = chars.flip().toString();
            chars.clear();
            return text;
        }
    }
}
