package dev.sequent.train.data;

import dev.sequent.type.ShapeException;

/**
 * Token ids for one step of training or validation, row-major (B, T).
 *
 * <p>The arrays belong to the receiver and are not copied.
 *
 * @param batch     B, number of rows
 * @param time      T, tokens in a row
 * @param inputs    B T ids
 * @param targets   B T ids that follow the inputs; {@value #IGNORE}, or another negative number, where there is nothing to predict
 * @param documents B T document numbers, counted from 0 in each row, -1 on padding; null when every row is one document without padding
 */
public record TokenBatch(int batch, int time, int[] inputs, int[] targets, int[] documents) {
    /** Target that does not count. */
    public static final int IGNORE = -1;

    /** Checks the lengths. */
    public TokenBatch {
        long n = (long) batch * time;
        if (batch < 1 || time < 1 || inputs.length != n || targets.length != n || documents != null && documents.length != n) {
            throw new ShapeException("batch", batch + " x " + time + " inputs, targets and documents, at least one each",
                    inputs.length + ", " + targets.length + " and " + (documents == null ? "no" : documents.length));
        }
    }

    /** Number of targets that count. */
    public int targetCount() {
        int n = 0;
        for (int target : targets) {
            n += target < 0 ? 0 : 1;
        }
        return n;
    }
}
