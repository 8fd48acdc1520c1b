package dev.sequent.generate;

import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelState;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CapacityException;
import dev.sequent.type.DataException;
import java.util.Arrays;
import java.util.Optional;

/**
 * Prompts of different lengths as one batch: padded on the left, so that all end at one position. Mixers mask padding before they convolve
 * or scan, so it is invisible.
 */
final class Prompts {
    /** Prompts are fed in chunks of so many tokens unless told otherwise. */
    static final int DEFAULT_CHUNK = 2048;

    private final int[][] rows;
    private final int longest;

    private Prompts(int[][] rows) {
        this.rows = rows;
        this.longest = Arrays.stream(rows).mapToInt(p -> p.length).max().orElseThrow();
    }

    /**
     * A batch of prompts.
     *
     * @throws DataException for an empty batch, an empty prompt, or ids outside the vocabulary
     */
    static Prompts of(int[][] rows, int vocabulary) {
        if (rows.length == 0 || Arrays.stream(rows).anyMatch(p -> p.length == 0)) {
            throw new DataException("generate", "prompts of at least one token", rows.length == 0 ? "no prompt" : "an empty prompt");
        }
        Arrays.stream(rows).flatMapToInt(Arrays::stream).filter(id -> id < 0 || id >= vocabulary).findFirst().ifPresent(id -> {
            throw new DataException("generate", "token ids in [0, " + vocabulary + ")", id + "");
        });
        return new Prompts(rows);
    }

    int count() {
        return rows.length;
    }

    int[] row(int b) {
        return rows[b];
    }

    /**
     * Positions that the longest row takes; the last new token is never fed.
     *
     * @throws CapacityException when the model has fewer
     */
    int capacity(LanguageModel model, int maxTokens) {
        long needed = longest + Math.max(0, maxTokens - 1L);
        int learned = model.config().max_position_embeddings();
        long limit = learned == 0 ? Integer.MAX_VALUE - 16 : learned;
        if (needed > limit) {
            String whose = learned == 0 ? "" : ", the model's max_position_embeddings";
            throw new CapacityException("generate", "at most " + limit + " tokens of prompt and continuation" + whose,
                    longest + " and " + maxTokens);
        }
        return (int) needed;
    }

    /** Feeds all prompts in chunks. Returns the logits after the last position, or nothing when the thread is interrupted on the way. */
    Optional<Tensor> feed(LanguageModel model, int chunk, ModelState state) {
        Tensor logits = null;
        for (int from = 0; from < longest && !Thread.currentThread().isInterrupted(); from += chunk) {
            int n = Math.min(chunk, longest - from);
            int start = from;
            if (logits != null) {
                logits.close();
            }
            logits = Scope.returning(() -> model.prefill(model.ids(tokens(start, n), rows.length, n), info(start, n), state));
            if (start + n == longest) {
                return Optional.of(logits);
            }
        }
        return Optional.empty();
    }

    private int[] tokens(int from, int n) {
        int[] ids = new int[rows.length * n];
        for (int b = 0; b < rows.length; b++) {
            int pad = longest - rows[b].length;
            for (int t = Math.max(0, pad - from); t < n; t++) {
                ids[b * n + t] = rows[b][from + t - pad];
            }
        }
        return ids;
    }

    private SequenceInfo info(int from, int n) {
        int[] lengths = new int[rows.length];
        Arrays.setAll(lengths, b -> Math.clamp((long) from + n - (longest - rows[b].length), 0, n));
        SequenceInfo info = SequenceInfo.of(rows.length, n);
        return Arrays.stream(lengths).allMatch(l -> l == n) ? info : info.withLeftPadding(lengths);
    }
}
