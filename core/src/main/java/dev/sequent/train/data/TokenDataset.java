package dev.sequent.train.data;

import dev.sequent.io.Tokenizer;
import dev.sequent.type.DataException;

/**
 * A long sequence of token ids, in memory or in a {@link TokenFile}. Safe for use by several threads.
 */
public abstract class TokenDataset {
    private final int vocabularySize;

    /** A dataset whose ids lie in {@code [0, vocabularySize)}. */
    protected TokenDataset(int vocabularySize) {
        if (vocabularySize < 1) {
            throw new DataException("dataset", "a vocabulary of at least one id", vocabularySize + "");
        }
        this.vocabularySize = vocabularySize;
    }

    /**
     * The tokens of a text.
     *
     * @throws DataException when the text is empty, or the tokenizer cannot express it
     */
    public static TokenDataset of(Tokenizer tokenizer, String text) {
        if (text.isEmpty()) {
            throw new DataException("dataset", "a text with at least one character", "an empty text");
        }
        return of(tokenizer.encode(text), tokenizer.vocabularySize());
    }

    /**
     * The given ids, which are not copied and must not change.
     *
     * @throws DataException when there are none, or some are outside the vocabulary
     */
    public static TokenDataset of(int[] ids, int vocabularySize) {
        TokenDataset dataset = new Memory(ids, vocabularySize);
        if (ids.length == 0) {
            throw new DataException("dataset", "at least one token", "none");
        }
        dataset.requireIds();
        return dataset;
    }

    /** Number of tokens. */
    public abstract long size();

    /** Reads {@code count} tokens from {@code from} on, which the caller has checked to lie inside. */
    protected abstract void read(long from, int[] target, int offset, int count);

    /** Number of different ids; a model's V is at least this. */
    public final int vocabularySize() {
        return vocabularySize;
    }

    /**
     * Copies {@code count} tokens, from token {@code from} on, to {@code target[offset]} and after.
     *
     * @throws DataException when they do not lie inside the dataset, or a file holds an id outside the vocabulary
     */
    public final void copy(long from, int[] target, int offset, int count) {
        if (from < 0 || count < 0 || from > size() - count) {
            throw new DataException("dataset", "tokens in [0, " + size() + ")", count + " from " + from + " on");
        }
        read(from, target, offset, count);
        for (int i = offset; i < offset + count; i++) {
            if (target[i] < 0 || target[i] >= vocabularySize) {
                throw new DataException("dataset", "ids in [0, " + vocabularySize + ")",
                        "id " + target[i] + " at token " + (from + i - offset));
            }
        }
    }

    /** The tokens {@code [from, to)} as a dataset of their own, which shares this one's storage. */
    public final TokenDataset slice(long from, long to) {
        if (from < 0 || to > size() || from >= to) {
            throw new DataException("slice", "a range of at least one token in [0, " + size() + ")", "[" + from + ", " + to + ")");
        }
        return new Part(this, from, to - from);
    }

    /**
     * Splits off the last {@code validationFraction} of the tokens for validation. The parts are contiguous: no token of the
     * validation text is ever in the context of a training token.
     *
     * @throws DataException when a part would have fewer than two tokens
     */
    public final Split split(double validationFraction) {
        if (!(validationFraction > 0 && validationFraction < 1)) {
            throw new DataException("split", "a fraction between 0 and 1", Double.toString(validationFraction));
        }
        long validation = Math.round(size() * validationFraction);
        if (validation < 2 || size() - validation < 2) {
            throw new DataException("split", "at least two tokens in each part",
                    (size() - validation) + " and " + validation + " of " + size());
        }
        return new Split(slice(0, size() - validation), slice(size() - validation, size()));
    }

    /**
     * Reads everything once and checks it.
     *
     * @throws DataException when ids are outside the vocabulary; says how many and which is the first
     */
    public final void requireIds() {
        int[] chunk = new int[(int) Math.min(size(), 1 << 16)];
        long bad = 0;
        String first = "";
        for (long from = 0; from < size(); from += chunk.length) {
            int count = (int) Math.min(chunk.length, size() - from);
            read(from, chunk, 0, count);
            for (int i = 0; i < count; i++) {
                if (chunk[i] < 0 || chunk[i] >= vocabularySize) {
                    first = bad++ == 0 ? "id " + chunk[i] + " at token " + (from + i) : first;
                }
            }
        }
        if (bad > 0) {
            throw new DataException("dataset", "ids in [0, " + vocabularySize + ")",
                    bad + " of " + size() + " outside, the first " + first);
        }
    }

    /** Requires room for at least one window of {@code time} tokens and the token after it. */
    final void requireWindow(int time) {
        if (size() <= time) {
            throw new DataException("batches", "at least " + (time + 1L) + " tokens, a context of " + time + " and one more to predict",
                    size() + " tokens");
        }
    }

    static void requireSizes(int batch, int time) {
        if (batch < 1 || time < 1 || (long) batch * time > Integer.MAX_VALUE - 16) {
            throw new DataException("batches", "at least one row and one token a row, fewer than 2^31 in all", batch + " x " + time);
        }
    }

    /** Training and validation part of a dataset. */
    public record Split(TokenDataset train, TokenDataset validation) {
    }

    private static final class Memory extends TokenDataset {
        private final int[] ids;

        Memory(int[] ids, int vocabularySize) {
            super(vocabularySize);
            this.ids = ids;
        }

        @Override
        public long size() {
            return ids.length;
        }

        @Override
        protected void read(long from, int[] target, int offset, int count) {
            System.arraycopy(ids, (int) from, target, offset, count);
        }
    }

    private static final class Part extends TokenDataset {
        private final TokenDataset whole;
        private final long start;
        private final long size;

        Part(TokenDataset whole, long start, long size) {
            super(whole.vocabularySize());
            this.whole = whole;
            this.start = start;
            this.size = size;
        }

        @Override
        public long size() {
            return size;
        }

        @Override
        protected void read(long from, int[] target, int offset, int count) {
            whole.read(start + from, target, offset, count);
        }
    }
}
