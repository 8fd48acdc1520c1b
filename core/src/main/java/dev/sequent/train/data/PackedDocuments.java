package dev.sequent.train.data;

import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Documents of any length packed into rows without waste: laid end to end and cut every T tokens. {@link TokenBatch#documents} tells
 * mixers where a document ends, so that nothing leaks into the next one, and the last token of a document has no target.
 * A document that is cut goes on, as a document of its own, in another row.
 *
 * <p>Rows come in an order that is shuffled anew in every epoch; within an epoch each row comes exactly once. The last batch of an
 * epoch has as many rows as are left. Immutable and safe for use by several threads.
 */
public final class PackedDocuments implements BatchSource {
    private final TokenDataset tokens;
    private final long[] starts;
    private final int batch;
    private final int time;
    private final long seed;
    private final long rows;

    private PackedDocuments(TokenDataset tokens, long[] starts, int batch, int time, long seed) {
        TokenDataset.requireSizes(batch, time);
        this.tokens = tokens;
        this.starts = starts;
        this.batch = batch;
        this.time = time;
        this.seed = seed;
        this.rows = (tokens.size() - 1) / time + 1;
    }

    /**
     * Packs {@code documents}.
     *
     * @throws DataException when there are none, one is empty, or ids are outside the vocabulary
     */
    public static PackedDocuments of(List<int[]> documents, int vocabularySize, int batch, int time, long seed) {
        long total = 0;
        long[] starts = new long[documents.size()];
        for (int i = 0; i < starts.length; i++) {
            if (documents.get(i).length == 0) {
                throw new DataException("pack", "documents of at least one token", "an empty one, number " + i + " of " + starts.length);
            }
            starts[i] = total;
            total += documents.get(i).length;
        }
        if (total == 0 || total > Integer.MAX_VALUE - 16) {
            throw new DataException("pack", "at least one document, fewer than 2^31 tokens in all",
                    total + " tokens; keep more in a TokenFile");
        }
        int[] ids = new int[(int) total];
        for (int i = 0; i < starts.length; i++) {
            System.arraycopy(documents.get(i), 0, ids, (int) starts[i], documents.get(i).length);
        }
        return new PackedDocuments(TokenDataset.of(ids, vocabularySize), starts, batch, time, seed);
    }

    /** Packs a dataset in which every document ends with the token {@code separator}; reads it once to find them. */
    public static PackedDocuments separatedBy(int separator, TokenDataset tokens, int batch, int time, long seed) {
        List<Long> found = new ArrayList<>();
        found.add(0L);
        int[] chunk = new int[1 << 16];
        for (long from = 0; from < tokens.size(); from += chunk.length) {
            int count = (int) Math.min(chunk.length, tokens.size() - from);
            tokens.copy(from, chunk, 0, count);
            for (int i = 0; i < count; i++) {
                if (chunk[i] == separator && from + i + 1 < tokens.size()) {
                    found.add(from + i + 1);
                }
            }
        }
        return new PackedDocuments(tokens, found.stream().mapToLong(Long::longValue).toArray(), batch, time, seed);
    }

    /** Number of batches in an epoch. */
    public long batchesPerEpoch() {
        return (rows - 1) / batch + 1;
    }

    @Override
    public int vocabularySize() {
        return tokens.vocabularySize();
    }

    @Override
    public TokenBatch batch(long index) {
        long epoch = Math.floorDiv(index, batchesPerEpoch());
        long first = Math.floorMod(index, batchesPerEpoch()) * batch;
        int n = (int) Math.min(batch, rows - first);
        Shuffle order = new Shuffle(rows, seed, epoch);
        int[] inputs = new int[n * time];
        int[] targets = new int[n * time];
        int[] documents = new int[n * time];
        for (int b = 0; b < n; b++) {
            fill(order.at(first + b) * time, b * time, inputs, targets, documents);
        }
        return new TokenBatch(n, time, inputs, targets, documents);
    }

    private void fill(long start, int offset, int[] inputs, int[] targets, int[] documents) {
        int count = (int) Math.min(time, tokens.size() - start);
        tokens.copy(start, inputs, offset, count);
        Arrays.fill(targets, offset, offset + time, TokenBatch.IGNORE);
        Arrays.fill(documents, offset + count, offset + time, -1);
        int first = documentAt(start);
        int document = first;
        for (int t = 0; t < count; t++) {
            documents[offset + t] = document - first;
            boolean last = document + 1 < starts.length ? start + t + 1 == starts[document + 1] : start + t + 1 == tokens.size();
            if (last) {
                document++;
            } else if (t + 1 < count) {
                targets[offset + t] = inputs[offset + t + 1];
            } else {
                tokens.copy(start + t + 1, targets, offset + t, 1);
            }
        }
    }

    private int documentAt(long token) {
        int found = Arrays.binarySearch(starts, token);
        return found >= 0 ? found : -found - 2;
    }
}
