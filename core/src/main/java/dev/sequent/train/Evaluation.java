package dev.sequent.train;

import dev.sequent.autograd.Autograd;
import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Scope;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.type.DataException;
import dev.sequent.type.DivergenceException;

/**
 * How well a model predicts some tokens.
 *
 * <pre>{@code
 * Evaluation result = Evaluation.of(model, new SequentialBatches(tokens, 8, 256));
 * System.out.println(result.perplexity());
 * }</pre>
 *
 * @param loss mean cross-entropy in nats per token
 * @param tokens tokens that were predicted
 * @param seconds wall time
 */
public record Evaluation(double loss, long tokens, double seconds) {
    /** Watches an evaluation. */
    @FunctionalInterface
    public interface Progress {
        /** After every batch: how many batches and predicted tokens are done. */
        void done(long batches, long tokens);
    }

    /** The mean loss over all targets of {@code batches}; nothing is recorded for derivatives, and there is no dropout. */
    public static Evaluation of(LanguageModel model, Iterable<TokenBatch> batches) {
        return of(model, batches, (done, tokens) -> { });
    }

    /**
     * {@link #of(LanguageModel, Iterable)} under the eyes of {@code progress}.
     *
     * @throws DataException when there is no target, or an id is outside the model's vocabulary
     * @throws DivergenceException when the loss is infinite or NaN
     */
    public static Evaluation of(LanguageModel model, Iterable<TokenBatch> batches, Progress progress) {
        long start = System.nanoTime();
        double sum = 0;
        long tokens = 0;
        long done = 0;
        for (TokenBatch batch : batches) {
            int n = batch.targetCount();
            if (n > 0) {
                sum += n * loss(model, batch);
                tokens += n;
            }
            progress.done(++done, tokens);
        }
        if (tokens == 0) {
            throw new DataException("validate", "batches with targets", done + " batches without");
        }
        if (!Double.isFinite(sum)) {
            throw new DivergenceException("validate", "a finite loss", sum / tokens + "");
        }
        return new Evaluation(sum / tokens, tokens, (System.nanoTime() - start) * 1e-9);
    }

    private static double loss(LanguageModel model, TokenBatch batch) {
        return Autograd.noGrad(() -> {
            try (Scope _ = Scope.open()) {
                return LanguageModelLoss.of(model, batch, null, false).item();
            }
        });
    }

    /** e^loss: between how many tokens the model is undecided. */
    public double perplexity() {
        return Math.exp(loss);
    }

    /** The loss in bits per token. */
    public double bitsPerToken() {
        return loss / Math.log(2);
    }
}
