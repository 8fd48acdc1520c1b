package dev.sequent.examples;

import dev.sequent.io.AtomicFiles;
import dev.sequent.tensor.Device;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Trains models of several kinds on one text with one budget, and compares them: a table, loss curves, a sample from each, and a directory
 * per model that {@link Generate} loads.
 */
@Command(name = "train", mixinStandardHelpOptions = true, sortOptions = false, usageHelpWidth = 120, separator = " ",
        description = "Trains language models of several kinds on one text and compares them.")
public final class Train implements Callable<Integer> {
    private static final String TEXT_PROPERTY = "sequent.examples.text";
    private static final int MAX_STATE_SIZE = 4096;

    @Spec
    private CommandSpec spec;

    @Option(names = "--model", paramLabel = "NAMES", defaultValue = "all",
            description = "mamba, mamba2, s4d, transformer, hybrid, several of them with commas, or all: mamba,transformer,hybrid "
                    + "(default: ${DEFAULT-VALUE})")
    private String models;

    @Option(names = "--text", paramLabel = "FILE", description = "UTF-8 text to learn (default: the novel that the build fetches)")
    private Path text;

    @Option(names = "--tokenizer", paramLabel = "NAME", defaultValue = "char",
            description = "char, byte, or the path of a Hugging Face tokenizer.json (default: ${DEFAULT-VALUE})")
    private String tokenizer;

    @Option(names = "--width", paramLabel = "D", defaultValue = "128", description = "model width (default: ${DEFAULT-VALUE})")
    private int width;

    @Option(names = "--layers", paramLabel = "N", defaultValue = "4", description = "number of layers (default: ${DEFAULT-VALUE})")
    private int layers;

    @Option(names = "--heads", paramLabel = "H", defaultValue = "4",
            description = "attention heads, a divisor of the width (default: ${DEFAULT-VALUE})")
    private int heads;

    @Option(names = "--state-size", paramLabel = "N", defaultValue = "16",
            description = "state values per channel of state-space layers (default: ${DEFAULT-VALUE})")
    private int stateSize;

    @Option(names = "--pattern", paramLabel = "LETTERS",
            description = "layers of the hybrid instead of --layers: M Mamba, D Mamba-2, S S4D, A attention; MMA or (M3A)2 "
                    + "(default: MMA repeated)")
    private String pattern;

    @Option(names = "--dropout", paramLabel = "P", defaultValue = "0", description = "dropout probability (default: ${DEFAULT-VALUE})")
    private double dropout;

    @Option(names = "--context", paramLabel = "T", defaultValue = "256", description = "tokens per row (default: ${DEFAULT-VALUE})")
    private int context;

    @Option(names = "--batch", paramLabel = "B", defaultValue = "4", description = "rows per step (default: ${DEFAULT-VALUE})")
    private int batch;

    @Option(names = "--steps", paramLabel = "N", defaultValue = "1500", description = "optimizer steps (default: ${DEFAULT-VALUE})")
    private long steps;

    @Option(names = "--learning-rate", paramLabel = "R", defaultValue = "0.002",
            description = "highest learning rate, after a warm-up; falls to a tenth along a cosine (default: ${DEFAULT-VALUE})")
    private double learningRate;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1337",
            description = "the same seed gives the same losses (default: ${DEFAULT-VALUE})")
    private long seed;

    @Option(names = "--eval-every", paramLabel = "N", defaultValue = "150",
            description = "steps between validations and checkpoints (default: ${DEFAULT-VALUE})")
    private long evalEvery;

    @Option(names = "--sample-tokens", paramLabel = "N", defaultValue = "200",
            description = "length of the samples (default: ${DEFAULT-VALUE})")
    private int sampleTokens;

    @Option(names = "--out", paramLabel = "DIR", defaultValue = "runs/latest",
            description = "where models, curves and the table go; earlier results there are replaced (default: ${DEFAULT-VALUE})")
    private Path out;

    @Option(names = "--resume", description = "go on from the latest checkpoints in --out; the other options must be those of the run")
    private boolean resume;

    @Option(names = "--stop-after", paramLabel = "N", defaultValue = "0",
            description = "stop each model at this step, to be resumed later (default: at the end)")
    private long stopAfter;

    @Mixin
    private DeviceOptions where;

    /** The program. Exit code 2 stands for wrong options or input. */
    public static void main(String[] args) {
        System.exit(Programs.run(new Train(), args));
    }

    @Override
    public Integer call() {
        PrintStream console = System.out;
        List<ModelKind> kinds = kinds();
        Plan plan = plan();
        Path file = textFile();
        for (ModelKind kind : kinds) {
            boolean paired = kind.pattern(plan.sizes()).indexOf('S') >= 0;
            Programs.require(!paired || stateSize % 2 == 0, spec, "--state-size", "even for S4D layers, whose states come in pairs",
                    stateSize);
            kind.config(plan.sizes(), 1); // a wrong pattern is found before the text is read
        }
        try (Device device = where.open()) {
            Corpus corpus = Corpus.read(file, tokenizer, context);
            console.printf(Locale.ROOT, "text %s: %,d training and %,d validation tokens, vocabulary %d; %s%n", file, corpus.train().size(),
                    corpus.validation().size(),
                    corpus.tokenizer().vocabularySize(), device.capabilities().description());
            List<TrainedModel> done = new ArrayList<>();
            for (ModelKind kind : kinds) {
                new TrainingRun(device, corpus, plan, kind, console).run().ifPresent(done::add);
            }
            if (!done.isEmpty()) {
                report(done, corpus, plan, console);
            }
        }
        return 0;
    }

    private List<ModelKind> kinds() {
        String names = models.equals("all") ? "mamba,transformer,hybrid" : models;
        List<ModelKind> kinds = new ArrayList<>();
        for (String name : names.split(",", -1)) {
            Programs.require(ModelKind.of(name.strip()).isPresent(), spec, "--model", "all or among " + ModelKind.labels(), name.strip());
            ModelKind kind = ModelKind.of(name.strip()).orElseThrow();
            if (!kinds.contains(kind)) {
                kinds.add(kind);
            }
        }
        return kinds;
    }

    private Plan plan() {
        atLeast(1, "--width", width);
        atLeast(1, "--layers", layers);
        atLeast(1, "--heads", heads);
        Programs.require(width % heads == 0 && width / heads % 2 == 0, spec, "--heads",
                "a number that cuts the width " + width + " into even parts", heads);
        Programs.require(stateSize >= 1 && stateSize <= MAX_STATE_SIZE, spec, "--state-size", "between 1 and " + MAX_STATE_SIZE, stateSize);
        Programs.require(dropout >= 0 && dropout < 1, spec, "--dropout", "at least 0 and below 1", dropout);
        atLeast(1, "--context", context);
        atLeast(1, "--batch", batch);
        Programs.require((long) batch * context <= 1 << 24, spec, "--batch", "at most 2^24 tokens a step with this --context", batch);
        atLeast(1, "--steps", steps);
        Programs.require(learningRate > 0 && learningRate < 1, spec, "--learning-rate", "between 0 and 1", learningRate);
        atLeast(1, "--eval-every", evalEvery);
        atLeast(1, "--sample-tokens", sampleTokens);
        atLeast(0, "--stop-after", stopAfter);
        return new Plan(out, new Sizes(width, layers, heads, stateSize, dropout, pattern), context, batch, steps, learningRate, seed,
                evalEvery, resume, stopAfter, where.precision(), sampleTokens);
    }

    private void atLeast(long least, String option, long value) {
        Programs.require(value >= least && value <= 1 << 30, spec, option, "at least " + least + (value > least ? " and at most 2^30" : ""),
                value);
    }

    private Path textFile() {
        String fetched = System.getProperty(TEXT_PROPERTY, "");
        Programs.require(text != null || !fetched.isEmpty(), spec, "--text", "given when the program is not started by the build",
                "absent");
        return text != null ? text : Path.of(fetched);
    }

    private static void report(List<TrainedModel> done, Corpus corpus, Plan plan, PrintStream console) {
        StringBuilder samples = new StringBuilder();
        for (TrainedModel m : done) {
            samples.append(String.format("%n%s continues [%s]%n%s%n", m.kind().label(), m.prompt(), m.sample()));
        }
        String table = Comparison.table(done);
        console.print(samples);
        console.printf("%n%s", table);
        LossChart.save(plan.out().resolve("losses"), "Loss on " + corpus.file().getFileName(), done, corpus.charactersPerToken());
        AtomicFiles.write(plan.out().resolve("comparison.md"), table + samples.toString().indent(4));
        console.printf("%nwritten to %s: losses.png, losses.svg, comparison.md, and a directory per model; continue a text with%n  "
                + "mvn -q -Pgenerate process-classes -Dargs=\"--model %s\"%n", plan.out(),
                        plan.out().resolve(done.getLast().kind().label()));
    }

}
