package dev.sequent.train;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.model.LanguageModel;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.data.BatchSource;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DataException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The training loop: batches in, gradients, clipping, an optimizer step, listeners. It knows no architecture, and every piece it wires also
 * stands alone.
 *
 * <pre>{@code
 * Trainer trainer = new Trainer(model, optimizer, LrSchedule.warmupCosine(1e-3, 1e-4, 100, 2000), new RandomWindows(tokens, 12, 64, seed),
 *         Trainer.Settings.of(2000, seed));
 * trainer.listen(new MetricsWriter(Path.of("metrics.jsonl")));
 * trainer.run();
 * }</pre>
 *
 * <p>A run is a function of its seed: batches are chosen by index and dropout draws from a counter-based stream, so a run that is resumed from
 * {@link #position} repeats the uninterrupted one to the bit. Used by one thread.
 */
public final class Trainer {
    /** Keeps the dropout stream apart from other uses of the seed. */
    private static final long DROPOUT_STREAM = 0x64726F70;

    /**
     * How long and how to train.
     *
     * @param steps optimizer steps of the whole run
     * @param accumulate batches whose gradients are averaged into one step
     * @param clip largest global gradient norm; 0 for no clipping
     * @param validateEvery steps between validations, which also happen after the last step; 0 for never
     * @param recompute whether blocks are computed again in the backward pass, to save memory
     * @param seed of dropout
     */
    public record Settings(long steps, int accumulate, double clip, long validateEvery, boolean recompute, long seed) {
        /** Checks the values. */
        public Settings {
            if (steps < 1 || accumulate < 1 || !(clip >= 0) || validateEvery < 0) {
                throw new ConfigException("trainer", "steps >= 1, accumulate >= 1, clip >= 0 and validateEvery >= 0",
                        steps + ", " + accumulate + ", " + clip + ", " + validateEvery);
            }
        }

        /** One batch per step, clipping at 1, no validation, nothing recomputed. */
        public static Settings of(long steps, long seed) {
            return new Settings(steps, 1, 1, 0, false, seed);
        }

        /** The same with a validation every {@code steps} steps. */
        public Settings withValidationEvery(long every) {
            return new Settings(steps, accumulate, clip, every, recompute, seed);
        }
    }

    private final LanguageModel model;
    private final Optimizer optimizer;
    private final LrSchedule schedule;
    private final BatchSource batches;
    private final Settings settings;
    private final Rng dropout;
    private final List<TrainListener> listeners = new ArrayList<>();
    private Iterable<TokenBatch> validation = List.of();
    private long step;

    /** A run at its beginning. Model and optimizer stay owned by the caller. */
    public Trainer(LanguageModel model, Optimizer optimizer, LrSchedule schedule, BatchSource batches, Settings settings) {
        this.model = model;
        this.optimizer = optimizer;
        this.schedule = schedule;
        this.batches = batches;
        this.settings = settings;
        this.dropout = new Rng(settings.seed()).fork(DROPOUT_STREAM);
    }

    /** Adds a listener. */
    public Trainer listen(TrainListener listener) {
        listeners.add(listener);
        return this;
    }

    /** Sets the batches of a validation; they are iterated once per validation. */
    public Trainer validateOn(Iterable<TokenBatch> batches) {
        this.validation = batches;
        return this;
    }

    /** Where a run stands: what must be stored, besides model and optimizer, to resume it exactly. */
    public record Position(long step, long dropoutPosition) {}

    /** Where this run stands. */
    public Position position() {
        return new Position(step, dropout.position());
    }

    /** Continues from a stored position; model and optimizer have been restored by the caller. */
    public void resume(Position position) {
        if (position.step() < 0 || position.step() > settings.steps() || optimizer.steps() != position.step()) {
            throw new ConfigException("resume", "a step of at most " + settings.steps() + " that the optimizer has reached",
                    "step " + position.step() + ", optimizer at " + optimizer.steps());
        }
        step = position.step();
        dropout.seek(position.dropoutPosition());
    }

    /** Trains until the last step. */
    public void run() {
        runUntil(settings.steps());
    }

    /** Trains until {@code last} steps have been done in all. */
    public void runUntil(long last) {
        while (step < Math.min(last, settings.steps())) {
            TrainListener.Step done = step();
            listeners.forEach(l -> l.step(done));
            boolean due = settings.validateEvery() > 0 && (step % settings.validateEvery() == 0 || step == settings.steps());
            if (due) {
                TrainListener.Validation found = validate();
                listeners.forEach(l -> l.validation(found));
            }
        }
    }

    private TrainListener.Step step() {
        long start = System.nanoTime();
        double rate = schedule.at(step);
        double loss = 0;
        long tokens = 0;
        double norm;
        try (Scope _ = Scope.open(); GradientAccumulator sum = new GradientAccumulator()) {
            for (int i = 0; i < settings.accumulate(); i++) {
                TokenBatch batch = batches.batch(step * settings.accumulate() + i);
                loss += accumulate(batch, sum) / settings.accumulate();
                tokens += batch.targetCount();
            }
            requireFinite(loss);
            Map<Parameter, Tensor> gradients = sum.gradients();
            norm = GradientClip.globalNorm(gradients.values()) / settings.accumulate(); // of the mean gradient
            optimizer.step(gradients, rate, GradientClip.scale(norm, settings.clip()) / settings.accumulate());
        }
        step++;
        return new TrainListener.Step(step, settings.steps(), loss, rate, norm, tokens, (System.nanoTime() - start) * 1e-9);
    }

    private double accumulate(TokenBatch batch, GradientAccumulator sum) {
        try (Scope _ = Scope.open()) {
            Gradients g = Autograd.valueAndGrad(model.parameters(), () -> LanguageModelLoss.of(model, batch, dropout, settings.recompute()));
            Map<Parameter, Tensor> byParameter = new LinkedHashMap<>();
            model.parameters().forEach(p -> byParameter.put(p, g.of(p)));
            sum.add(byParameter);
            return g.loss().item();
        }
    }

    private void requireFinite(double loss) {
        if (!Double.isFinite(loss)) {
            throw new DataException("train", "a finite loss", loss + " at step " + (step + 1) + ": lower the learning rate or clip gradients harder; "
                    + "the parameters are those of step " + step);
        }
    }

    /** The mean loss over the validation batches. */
    public TrainListener.Validation validate() {
        long start = System.nanoTime();
        double sum = 0;
        long tokens = 0;
        for (TokenBatch batch : validation) {
            int n = batch.targetCount();
            sum += n * Autograd.noGrad(() -> {
                try (Scope _ = Scope.open()) {
                    return LanguageModelLoss.of(model, batch, null, false).item();
                }
            });
            tokens += n;
        }
        if (tokens == 0) {
            throw new DataException("validate", "validation batches with targets", "none: call validateOn");
        }
        return new TrainListener.Validation(step, sum / tokens, tokens, (System.nanoTime() - start) * 1e-9);
    }
}
