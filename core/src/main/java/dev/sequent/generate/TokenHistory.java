package dev.sequent.generate;

import dev.sequent.type.DataException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Objects;

/** The tokens of one row so far: its prompt, then what has been generated. What a {@link LogitsProcessor} looks at. Used by one thread. */
public final class TokenHistory {
    private int[] tokens;
    private int size;
    private int prompt;

    private TokenHistory(int[] tokens, int prompt) {
        this.tokens = tokens;
        this.size = tokens.length;
        this.prompt = prompt;
    }

    /**
     * A history of {@code prompt} and the {@code generated} tokens after it.
     *
     * @throws DataException for an id below 0
     */
    public static TokenHistory of(int[] prompt, int... generated) {
        int[] all = Arrays.copyOf(prompt, prompt.length + generated.length);
        System.arraycopy(generated, 0, all, prompt.length, generated.length);
        for (int id : all) {
            require(id);
        }
        return new TokenHistory(all, prompt.length);
    }

    private static void require(int id) {
        if (id < 0) {
            throw new DataException("sample", "token ids of at least 0", id + "");
        }
    }

    /** Number of tokens, the prompt's included. */
    public int size() {
        return size;
    }

    /** Number of tokens of the prompt. */
    public int promptSize() {
        return prompt;
    }

    /** Number of generated tokens. */
    public int generated() {
        return size - prompt;
    }

    /** Token {@code i}, from 0 to {@link #size} - 1. */
    public int token(int i) {
        return tokens[Objects.checkIndex(i, size)];
    }

    /** Adds a token of the prompt; only before anything has been generated. */
    void observe(int id) {
        require(id);
        append(id);
        prompt = size;
    }

    /** Adds a generated token. */
    void append(int id) {
        if (size == tokens.length) {
            tokens = Arrays.copyOf(tokens, Math.max(16, 2 * size));
        }
        tokens[size++] = id;
    }

    /** The same tokens and one more; this history stays as it is. */
    TokenHistory with(int id) {
        TokenHistory longer = new TokenHistory(Arrays.copyOf(tokens, size + 1), prompt);
        longer.tokens[size] = id;
        return longer;
    }

    /** The generated tokens. */
    int[] continuation() {
        return Arrays.copyOfRange(tokens, prompt, size);
    }

    /** The tokens that occur at positions {@code from} and later. */
    BitSet distinct(int from) {
        BitSet set = new BitSet();
        for (int i = from; i < size; i++) {
            set.set(tokens[i]);
        }
        return set;
    }

    /** Whether the last tokens are the first {@code length} ones of {@code sequence}. */
    boolean endsWith(int[] sequence, int length) {
        return length <= size && Arrays.equals(tokens, size - length, size, sequence, 0, length);
    }

    /** Whether the {@code length} tokens from position {@code at} on are the last ones. */
    boolean repeatsEnd(int at, int length) {
        return Arrays.equals(tokens, at, at + length, tokens, size - length, size);
    }
}
