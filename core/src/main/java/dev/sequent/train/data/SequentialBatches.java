package dev.sequent.train.data;

import dev.sequent.type.DataException;
import java.util.Iterator;
import java.util.stream.LongStream;

/**
 * Every token of a dataset, except its first, exactly once as a target: consecutive windows of T tokens, B at a time. The last
 * batch has as many rows as are left, and its last row may end in padding with ignored targets.
 *
 * <p>Immutable and safe for use by several threads.
 */
public final class SequentialBatches implements BatchSource, Iterable<TokenBatch> {
    private final TokenDataset tokens;
    private final int batch;
    private final int time;
    private final long rows;

    /**
     * Windows of {@code tokens}; a dataset shorter than T gives one row.
     *
     * @param batch B, rows in a batch
     * @param time  T, tokens in a row
     * @throws DataException when there are fewer than two tokens
     */
    public SequentialBatches(TokenDataset tokens, int batch, int time) {
        TokenDataset.requireSizes(batch, time);
        tokens.requireWindow(1);
        this.tokens = tokens;
        this.batch = batch;
        this.time = time;
        this.rows = (tokens.size() - 2) / time + 1;
    }

    /** Number of batches. */
    public long count() {
        return (rows - 1) / batch + 1;
    }

    @Override
    public int vocabularySize() {
        return tokens.vocabularySize();
    }

    @Override
    public TokenBatch batch(long index) {
        if (index < 0 || index >= count()) {
            throw new DataException("batches", "an index in [0, " + count() + ")", index + "");
        }
        long first = index * batch;
        int n = (int) Math.min(batch, rows - first);
        int[] inputs = new int[n * time];
        int[] targets = new int[n * time];
        int[] documents = null;
        int[] window = new int[time + 1];
        for (int b = 0; b < n; b++) {
            long start = (first + b) * time;
            int count = (int) Math.min(time, tokens.size() - 1 - start);
            tokens.copy(start, window, 0, count + 1);
            System.arraycopy(window, 0, inputs, b * time, count);
            System.arraycopy(window, 1, targets, b * time, count);
            if (count < time) {
                documents = new int[n * time];
                for (int t = b * time + count; t < (b + 1) * time; t++) {
                    targets[t] = TokenBatch.IGNORE;
                    documents[t] = -1;
                }
            }
        }
        return new TokenBatch(n, time, inputs, targets, documents);
    }

    @Override
    public Iterator<TokenBatch> iterator() {
        return LongStream.range(0, count()).mapToObj(this::batch).iterator();
    }
}
