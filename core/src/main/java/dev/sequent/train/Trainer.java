package dev.sequent.train;

import dev.sequent.model.LanguageModel;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.train.data.BatchSource;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DataException;
import dev.sequent.type.DivergenceException;
import java.util.ArrayList;
import java.util.List;

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
 * <p>A run is a function of its seed: batches are chosen by index and dropout draws from a counter-based stream, so a run that is resumed
 * from {@link #position} repeats the uninterrupted one to the bit. A step that fails (out of memory, a bad batch, a loss that is not
 * finite) leaves parameters, optimizer and position as they were before it. Owns nothing: model and optimizer are closed by whoever opened
 * them. Used by one thread.
 */
public final class Trainer {
    /** Keeps the dropout stream apart from other uses of the seed. */
    private static final long DROPOUT_STREAM = 0x64726F70;

    /**
     * How long and how to train.
     *
     * @param steps optimizer steps of the whole run
     * @param accumulate batches whose gradients make one step, as if they were one large batch
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

        /** The same with {@code batches} batches per step. */
        public Settings withAccumulation(int batches) {
            return new Settings(steps, batches, clip, validateEvery, recompute, seed);
        }

        /** The same with another largest gradient norm. */
        public Settings withClip(double norm) {
            return new Settings(steps, accumulate, norm, validateEvery, recompute, seed);
        }

        /** The same with a validation every {@code steps} steps. */
        public Settings withValidationEvery(long every) {
            return new Settings(steps, accumulate, clip, every, recompute, seed);
        }

        /** The same with blocks that are computed again in the backward pass. */
        public Settings withRecomputation() {
            return new Settings(steps, accumulate, clip, validateEvery, true, seed);
        }
    }

    private final LanguageModel model;
    private final List<Parameter> trained;
    private final Optimizer optimizer;
    private final LrSchedule schedule;
    private final BatchSource batches;
    private final Settings settings;
    private final Rng dropout;
    private final List<TrainListener> listeners = new ArrayList<>();
    private Iterable<TokenBatch> validation;
    private long step;
    private long tokens;

    /**
     * A run at its beginning.
     *
     * @throws DataException when the data has a larger vocabulary than the model
     */
    public Trainer(LanguageModel model, Optimizer optimizer, LrSchedule schedule, BatchSource batches, Settings settings) {
        this.model = model;
        this.trained = model.parameters().stream().filter(p -> !p.has(Parameter.Flag.FROZEN)).toList();
        this.optimizer = optimizer;
        this.schedule = schedule;
        this.batches = batches;
        this.settings = settings;
        this.dropout = new Rng(settings.seed()).fork(DROPOUT_STREAM);
        int vocabulary = model.config().vocab_size();
        require(batches.vocabularySize() <= vocabulary, "data of at most " + vocabulary + " different ids, the model's vocabulary",
                batches.vocabularySize() + "");
    }

    private static void require(boolean holds, String expected, String given) {
        if (!holds) {
            throw new DataException("train", expected, given);
        }
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

    /**
     * Where a run stands (steps done, tokens learned from, numbers drawn for dropout): what it takes, besides model and optimizer, to
     * resume it exactly.
     */
    public record Position(long step, long tokens, long dropoutPosition) {}

    /** Where this run stands. */
    public Position position() {
        return new Position(step, tokens, dropout.position());
    }

    /** Continues from a stored position; model and optimizer have been restored by the caller. */
    public void resume(Position position) {
        boolean negative = position.step() < 0 || position.tokens() < 0 || position.dropoutPosition() < 0;
        if (negative || position.step() > settings.steps() || optimizer.steps() != position.step()) {
            throw new ConfigException("resume", "a step of at most " + settings.steps() + " that the optimizer has reached",
                    position + " and an optimizer at " + optimizer.steps());
        }
        step = position.step();
        tokens = position.tokens();
        dropout.seek(position.dropoutPosition());
    }

    /** Trains until the last step. */
    public void run() {
        runUntil(settings.steps());
    }

    /** Trains until {@code last} steps have been done in all. */
    public void runUntil(long last) {
        if (settings.validateEvery() > 0 && validation == null) {
            throw new ConfigException("train", "validation batches, since validateEvery is " + settings.validateEvery(),
                    "none: call validateOn");
        }
        while (step < Math.min(last, settings.steps())) {
            TrainListener.Step done = step();
            listeners.forEach(l -> l.step(done));
            if (settings.validateEvery() > 0 && (step % settings.validateEvery() == 0 || step == settings.steps())) {
                TrainListener.Validation found = validate();
                listeners.forEach(l -> l.validation(found));
            }
        }
    }

    private TrainListener.Step step() {
        long start = System.nanoTime();
        long dropoutBefore = dropout.position();
        List<TokenBatch> parts = new ArrayList<>();
        for (int i = 0; i < settings.accumulate(); i++) {
            parts.add(batches.batch(step * settings.accumulate() + i));
        }
        long targets = parts.stream().mapToLong(TokenBatch::targetCount).sum();
        double flops = parts.stream().mapToDouble(p -> LanguageModelLoss.work(model, p.batch(), p.time()).flops()).sum();
        require(targets > 0, "batches with targets", "none in step " + (step + 1));
        try (Scope _ = Scope.open(); GradientAccumulator sum = new GradientAccumulator()) {
            double loss = 0;
            for (TokenBatch part : parts) {
                double share = part.targetCount() / (double) targets;
                loss += sum.add(trained, () -> LanguageModelLoss.of(model, part, dropout, settings.recompute()), share);
            }
            requireFinite("loss", loss);
            double norm = GradientClip.globalNorm(sum.gradients().values());
            requireFinite("gradient norm", norm);
            double rate = schedule.at(step);
            optimizer.step(sum.gradients(), rate, GradientClip.scale(norm, settings.clip()));
            step++;
            tokens += targets;
            return new TrainListener.Step(step, settings.steps(), loss, rate, norm, targets, (System.nanoTime() - start) * 1e-9, flops);
        } catch (RuntimeException | Error failure) {
            dropout.seek(dropoutBefore);
            throw failure;
        }
    }

    private void requireFinite(String what, double value) {
        if (!Double.isFinite(value)) {
            throw new DivergenceException("train", "a finite " + what, value + " in step " + (step + 1)
                    + "; the parameters are those of step " + step + ": lower the learning rate, warm up longer or clip harder");
        }
    }

    /** The mean loss over the validation batches. */
    public TrainListener.Validation validate() {
        Evaluation found = Evaluation.of(model, validation == null ? List.of() : validation,
                (done, predicted) -> listeners.forEach(l -> l.validating(new TrainListener.Validating(step, done, predicted))));
        return new TrainListener.Validation(step, found.loss(), found.tokens(), found.seconds());
    }
}
