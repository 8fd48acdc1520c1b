package dev.sequent.train.data;

import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Prompts of different lengths side by side, padded on the left so that all end at the same position.
 *
 * <p>The arrays belong to the receiver.
 *
 * @param batch   B, number of prompts
 * @param time    T, length of the longest
 * @param inputs  B T ids; row b begins with T - lengths[b] padding ids
 * @param lengths length of each prompt
 * @param order   which prompt of the caller's list each row is
 */
public record PromptBatch(int batch, int time, int[] inputs, int[] lengths, int[] order) {
    /**
     * Groups prompts of similar length, so that little is padded: sorted by length (equal lengths keep their order) and cut every
     * {@code maxBatch} prompts.
     *
     * @param padding id that fills rows; models skip it whatever it is
     * @throws DataException when there are no prompts, or one is empty
     */
    public static List<PromptBatch> of(List<int[]> prompts, int maxBatch, int padding) {
        if (prompts.isEmpty() || maxBatch < 1) {
            throw new DataException("prompts", "at least one prompt and one row a batch",
                    prompts.size() + " prompts, " + maxBatch + " rows");
        }
        int[] order = IntStream.range(0, prompts.size()).boxed().sorted(Comparator.comparingInt(i -> prompts.get(i).length))
                .mapToInt(i -> i).toArray();
        if (prompts.get(order[0]).length == 0) {
            throw new DataException("prompts", "prompts of at least one token", "an empty one, number " + order[0]);
        }
        List<PromptBatch> batches = new ArrayList<>();
        for (int from = 0; from < order.length; from += maxBatch) {
            batches.add(pad(prompts, order, from, Math.min(from + maxBatch, order.length), padding));
        }
        return batches;
    }

    private static PromptBatch pad(List<int[]> prompts, int[] order, int from, int to, int padding) {
        int n = to - from;
        int time = prompts.get(order[to - 1]).length;
        TokenDataset.requireSizes(n, time);
        int[] inputs = new int[n * time];
        int[] lengths = new int[n];
        int[] rows = new int[n];
        for (int b = 0; b < n; b++) {
            int[] prompt = prompts.get(order[from + b]);
            lengths[b] = prompt.length;
            rows[b] = order[from + b];
            int start = (b + 1) * time - prompt.length;
            Arrays.fill(inputs, b * time, start, padding);
            System.arraycopy(prompt, 0, inputs, start, prompt.length);
        }
        return new PromptBatch(n, time, inputs, lengths, rows);
    }
}
