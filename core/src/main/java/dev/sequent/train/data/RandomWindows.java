package dev.sequent.train.data;

import dev.sequent.op.Philox;
import dev.sequent.type.DataException;

/**
 * Batches of windows at random places: row b of batch i starts at a token drawn uniformly from all places where T tokens and one
 * more fit, by the counter-based generator {@link Philox} under (seed, i, b). Targets are the inputs shifted by one.
 *
 * <p>Immutable and safe for use by several threads.
 */
public final class RandomWindows implements BatchSource {
    /** Keeps these numbers apart from other uses of the same seed. */
    private static final int STREAM = 0x57494E44;

    private final TokenDataset tokens;
    private final int batch;
    private final int time;
    private final long seed;

    /**
     * Windows of {@code tokens}.
     *
     * @param batch B, rows in a batch
     * @param time  T, tokens in a row
     * @throws DataException when there are fewer than T + 1 tokens
     */
    public RandomWindows(TokenDataset tokens, int batch, int time, long seed) {
        TokenDataset.requireSizes(batch, time);
        tokens.requireWindow(time);
        this.tokens = tokens;
        this.batch = batch;
        this.time = time;
        this.seed = seed;
    }

    @Override
    public int vocabularySize() {
        return tokens.vocabularySize();
    }

    @Override
    public TokenBatch batch(long index) {
        int[] inputs = new int[batch * time];
        int[] targets = new int[batch * time];
        int[] words = new int[Philox.WORDS];
        long places = tokens.size() - time;
        for (int b = 0; b < batch; b++) {
            Philox.block((int) seed, (int) (seed >>> 32), b, STREAM, (int) index, (int) (index >>> 32), words);
            long start = Math.unsignedMultiplyHigh((long) words[1] << 32 | Integer.toUnsignedLong(words[0]), places);
            tokens.copy(start, inputs, b * time, time);
            System.arraycopy(inputs, b * time + 1, targets, b * time, time - 1);
            tokens.copy(start + time, targets, b * time + time - 1, 1);
        }
        return new TokenBatch(batch, time, inputs, targets, null);
    }
}
