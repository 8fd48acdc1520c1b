package dev.sequent.examples;

import dev.sequent.cost.Roofline;
import dev.sequent.generate.Generator;
import dev.sequent.generate.Sampling;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelFiles;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.train.AdamW;
import dev.sequent.train.Checkpoints;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.MetricsWriter;
import dev.sequent.train.ProgressPrinter;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.SequentialBatches;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.LongStream;

/** Trains one model on a corpus, or goes on training it, and stores it. */
final class TrainingRun {
    private static final String METRICS = "metrics.jsonl";
    private static final String CHECKPOINTS = "checkpoints";
    /** Validation tokens of the estimates during training; the result at the end is over all of them. */
    private static final int ESTIMATE_TOKENS = 16_384;
    private static final int PROMPT_TOKENS = 24;
    private static final int DECODE_TOKENS = 200;
    private static final long MAX_RUN_BYTES = 1 << 24;

    private final Device device;
    private final Corpus corpus;
    private final Plan plan;
    private final ModelKind kind;
    private final PrintStream out;
    private final Path directory;

    TrainingRun(Device device, Corpus corpus, Plan plan, ModelKind kind, PrintStream out) {
        this.device = device;
        this.corpus = corpus;
        this.plan = plan;
        this.kind = kind;
        this.out = out;
        this.directory = plan.out().resolve(kind.label());
    }

    /** Trains up to the plan's last step. Empty when that is not the end of the run. */
    Optional<TrainedModel> run() {
        try (LanguageModel model = new LanguageModel(kind.config(plan.sizes(), corpus.tokenizer().vocabularySize()),
                new Init(device, plan.seed()));
                AdamW optimizer = new AdamW(model.namedParameters(), new AdamW.Settings(0.9, 0.99, 1e-8, 0.1))) {
            Trainer trainer = trainer(model, optimizer);
            out.printf("%n%s: layers %s, width %d, %,d parameters%n", kind.label(), kind.pattern(plan.sizes()), plan.sizes().width(),
                    model.parameterCount());
            if (!plan.resume() || !restored(trainer, model, optimizer)) {
                startAfresh();
            }
            train(trainer, model, optimizer);
            ModelFiles.save(model, directory);
            TokenizerFiles.save(corpus.tokenizer(), corpus.tokenizerName(), directory);
            if (trainer.position().step() < plan.steps()) {
                out.printf("%s stopped at step %d of %d; --resume continues%n", kind.label(), trainer.position().step(), plan.steps());
                return Optional.empty();
            }
            double loss = trainer.validateOn(new SequentialBatches(corpus.validation(), plan.batch(), plan.context())).validate().loss();
            return Optional.of(result(model, loss));
        }
    }

    private Trainer trainer(LanguageModel model, AdamW optimizer) {
        long warmup = Math.min(100, plan.steps() / 10);
        LrSchedule schedule = LrSchedule.warmupCosine(plan.learningRate(), plan.learningRate() / 10, warmup, plan.steps());
        RandomWindows batches = new RandomWindows(corpus.train(), plan.batch(), plan.context(), plan.seed());
        return new Trainer(model, optimizer, schedule, batches, Trainer.Settings.of(plan.steps(), plan.seed())
                .withValidationEvery(plan.evalEvery()))
                .validateOn(estimate());
    }

    private List<TokenBatch> estimate() {
        SequentialBatches all = new SequentialBatches(corpus.validation(), plan.batch(), plan.context());
        long count = Math.clamp(ESTIMATE_TOKENS / ((long) plan.batch() * plan.context()), 1, all.count());
        return LongStream.range(0, count).mapToObj(all::batch).toList();
    }

    private void train(Trainer trainer, LanguageModel model, AdamW optimizer) {
        long done = trainer.position().step();
        if (done == plan.lastStep()) {
            return;
        }
        Checkpoints checkpoints = new Checkpoints(directory.resolve(CHECKPOINTS), 2);
        Map<String, Object> identity = plan.identity(corpus);
        Roofline peak = Roofline.measure(model.device());
        try (MetricsWriter metrics = new MetricsWriter(directory.resolve(METRICS), done);
                TerminalProgress bar = Programs.onTerminal() ? new TerminalProgress(kind.label(), done, plan.steps(), peak) : null) {
            TrainListener progress = bar != null ? bar : new ProgressPrinter(out, Math.max(1, plan.steps() / 20), peak);
            trainer.listen(metrics).listen(progress);
            while (trainer.position().step() < plan.lastStep()) {
                long next = (trainer.position().step() / plan.evalEvery() + 1) * plan.evalEvery();
                trainer.runUntil(Math.min(next, plan.lastStep()));
                checkpoints.save(model, optimizer, trainer.position(), identity);
            }
        }
    }

    /** Brings model, optimizer and trainer to the latest checkpoint; false when there is none. */
    private boolean restored(Trainer trainer, LanguageModel model, AdamW optimizer) {
        Optional<Path> latest = new Checkpoints(directory.resolve(CHECKPOINTS), 2).latest();
        if (latest.isEmpty()) {
            out.printf("%s: nothing to resume in %s, starting at step 0%n", kind.label(), directory);
            return false;
        }
        requireSameRun(latest.get());
        Trainer.Position position = Checkpoints.restore(latest.get(), model, optimizer);
        trainer.resume(position);
        out.printf("%s: resumed at step %d of %d%n", kind.label(), position.step(), plan.steps());
        return true;
    }

    private void requireSameRun(Path checkpoint) {
        Json run = Json.read(checkpoint.resolve("run.json"), MAX_RUN_BYTES, Json.Dialect.STRICT, CheckpointException::new);
        JsonView stored = JsonView.of(run, "run.json", CheckpointException::new).at("provenance");
        plan.identity(corpus).forEach((option, value) -> {
            Object before = stored.at(option).value().toJava();
            if (!String.valueOf(before).equals(String.valueOf(value))) {
                throw new CheckpointException("resume", "--" + option + " " + before + ", as in the run in " + directory, value + "");
            }
        });
    }

    /** Removes what an earlier run of the same name has left, so that nothing of it is mistaken for this run's. */
    private void startAfresh() {
        try {
            Files.createDirectories(directory);
            Files.deleteIfExists(directory.resolve(METRICS));
            for (Path checkpoint : new Checkpoints(directory.resolve(CHECKPOINTS), 1).list()) {
                try (var files = Files.list(checkpoint)) {
                    for (Path file : files.toList()) {
                        Files.delete(file);
                    }
                }
                Files.delete(checkpoint);
            }
        } catch (IOException e) {
            throw new CheckpointException("[train] expected a directory that can be written, given " + directory + ": " + e, e);
        }
    }

    private TrainedModel result(LanguageModel model, double lossPerToken) {
        String prompt = corpus.tokenizer().decode(corpus.validationStart(Math.min(PROMPT_TOKENS, plan.context())));
        Generator generator = new Generator(model);
        String sample = generator.text(corpus.tokenizer(), prompt, plan.sampleTokens(), Sampling.temperature(0.8, plan.seed()), _ -> { });
        return new TrainedModel(kind, kind.pattern(plan.sizes()), model.parameterCount(), lossPerToken / corpus.charactersPerToken(),
                Curve.read(directory.resolve(METRICS)), model.cost(new StateSpec(1, 1, DType.F32, device)), decodeRate(generator), prompt,
                sample);
    }

    /** Tokens per second of one sequence, without the prompt; the sample before has warmed up the code. */
    private double decodeRate(Generator generator) {
        long[] first = new long[1];
        long[] last = new long[1];
        generator.generate(new int[][] {corpus.validationStart(1)}, new Generator.Request(DECODE_TOKENS, Sampling.greedy(),
                java.util.Set.of()), (_, _) -> {
            last[0] = System.nanoTime();
            first[0] = first[0] == 0 ? last[0] : first[0];
            return true;
        });
        return (DECODE_TOKENS - 1) / ((last[0] - first[0]) * 1e-9);
    }
}
