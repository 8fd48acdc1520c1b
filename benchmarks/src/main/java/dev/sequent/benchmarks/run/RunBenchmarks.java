package dev.sequent.benchmarks.run;

import dev.sequent.benchmarks.Gauges;
import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.type.DataException;
import dev.sequent.type.SequentException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import picocli.CommandLine;

/**
 * Runs the benchmarks of a preset one after the other, each in a process of its own, and keeps results and the conditions under which they
 * were obtained. Results are written after every measurement: a run that is interrupted loses nothing and goes on with {@code --resume}.
 */
@CommandLine.Command(name = "bench", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Runs the benchmarks of a preset; results are JMH's JSON and a record of the machine.")
public final class RunBenchmarks implements Callable<Integer> {
    /** File of results in JMH's format. */
    public static final String RESULTS = "results.json";
    /** File of the conditions. */
    public static final String RECORD = "run.json";
    /** Member of the conditions that names what failed. */
    public static final String FAILED = "failed_measurements";

    /** Keeps what backends say of themselves, which the record has, out of the progress. */
    private static final String LOGGING = "logging.properties";

    @CommandLine.Option(names = "--smoke", description = "everything once at small sizes, under 2 minutes")
    private boolean smoke;

    @CommandLine.Option(names = "--quick", description = "a first impression, under 15 minutes (default)")
    private boolean quick;

    @CommandLine.Option(names = "--full", description = "the numbers to publish: takes hours, see --list")
    private boolean full;

    @CommandLine.Option(names = "--only", paramLabel = "REGEX",
            description = "only measurements whose description, as --list shows it, contains a match")
    private Pattern only = Pattern.compile("");

    @CommandLine.Option(names = "--backend", split = ",", paramLabel = "NAME",
            description = "the backends, one after the other in every measurement;"
            + " djl and nd4j need Maven's -Pdjl or -Pnd4j (default: cpu)")
    private List<String> backends = List.of("cpu");

    @CommandLine.Option(names = "--baselines", split = ",", paramLabel = "LIBRARY",
            description = "also the libraries' own attention and LSTM layers:"
            + " djl (-Pdjl), nd4j (-Pnd4j)")
    private List<String> baselines = List.of();

    @CommandLine.Option(names = "--threads", description = "threads of the backend (default: its own choice)")
    private int threads;

    @CommandLine.Option(names = "--forks", description = "processes per measurement (default: ${DEFAULT-VALUE})")
    private int forks = 1;

    @CommandLine.Option(names = "--out", description = "where results go (default: ${DEFAULT-VALUE})")
    private Path out = Path.of("runs", "bench");

    @CommandLine.Option(names = "--resume",
            description = "goes on with a run that was interrupted: measurements that --out has already are not repeated")
    private boolean resume;

    @CommandLine.Option(names = "--notes", description = "a sentence that the record keeps")
    private String notes = "";

    @CommandLine.Option(names = "--list", description = "lists the measurements, with the time that they take at least, "
            + "and does not run them")
    private boolean list;

    private final PrintStream console = System.out;

    /** See the class. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new RunBenchmarks()).execute(args));
    }

    @Override
    public Integer call() {
        if ((smoke ? 1 : 0) + (quick ? 1 : 0) + (full ? 1 : 0) > 1) {
            console.println("[bench] expected one of --smoke, --quick and --full, given several");
            return 2;
        }
        Preset preset = smoke ? Preset.SMOKE : full ? Preset.FULL : Preset.QUICK;
        List<Case> cases = cases(preset).stream().filter(c -> only.matcher(c.toString()).find()).toList();
        if (list || cases.isEmpty()) {
            cases.forEach(console::println);
            Duration least = preset.atLeast(cases.size(), forks);
            console.printf("%d measurements, at least %d:%02d hours%n", cases.size(), least.toHours(), least.toMinutesPart());
            return cases.isEmpty() ? 1 : 0;
        }
        try {
            create(out);
            ResultFile results = resume ? ResultFile.continued(out) : ResultFile.empty(out);
            Json.Obj record = record(preset, results);
            AtomicFiles.write(out.resolve(LOGGING), "handlers = java.util.logging.ConsoleHandler\n.level = WARNING\n");
            return run(preset, cases.stream().filter(c -> !results.contains(c)).toList(), results, record) == 0 ? 0 : 1;
        } catch (SequentException e) {
            console.println(e.getMessage());
            return 2;
        }
    }

    /** Writes under what conditions the run takes place, or makes sure that they are still those of the run that goes on. */
    private Json.Obj record(Preset preset, ResultFile results) {
        Json.Obj record = (Json.Obj) RunRecord.of(preset.name().toLowerCase(Locale.ROOT), backends, threads, notes);
        if (results.isEmpty()) {
            AtomicFiles.write(out.resolve(RECORD), record.writePretty());
            return record;
        }
        console.printf("%d measurements from before%n", results.size());
        return RunRecord.requireSameConditions(out.resolve(RECORD), record);
    }

    private List<Case> cases(Preset preset) {
        List<Case> all = new ArrayList<>();
        preset.cases().forEach(c -> backends.forEach(b -> all.add(c.with("backend", b).with("threads", Integer.toString(threads)))));
        if (!baselines.isEmpty()) {
            all.addAll(preset.baselines(baselines));
        }
        return all;
    }

    private static void create(Path directory) {
        try {
            Files.createDirectories(directory);
        } catch (IOException e) {
            throw new DataException("[bench] expected a directory that can be created, given " + directory, e);
        }
    }

    /** Runs all, and adds those that fail to the record; their number. */
    private int run(Preset preset, List<Case> cases, ResultFile results, Json.Obj record) {
        long start = System.nanoTime();
        List<String> failures = new ArrayList<>();
        for (int i = 0; i < cases.size(); i++) {
            Case c = cases.get(i);
            String outcome;
            try {
                Collection<RunResult> found = new Runner(options(preset, c)).run();
                results.add(found);
                outcome = found.isEmpty() ? "no result" : score(found.iterator().next());
                if (found.isEmpty()) {
                    failures.add(c.toString());
                }
            } catch (RunnerException e) {
                failures.add(c.toString());
                outcome = "failed: " + e.getMessage() + ", see " + out.resolve("jmh.log");
            }
            double elapsed = (System.nanoTime() - start) * 1e-9;
            Duration left = Duration.ofSeconds(Math.round(elapsed / (i + 1) * (cases.size() - i - 1)));
            console.printf(Locale.ROOT, "[%d/%d] %s: %s  (%d:%02d left)%n", i + 1, cases.size(), c, outcome, left.toMinutes(),
                    left.toSecondsPart());
        }
        AtomicFiles.write(out.resolve(RECORD), record.with(FAILED, Json.strings(failures)).writePretty());
        console.printf("results in %s%n", out.resolve(RESULTS));
        return failures.size();
    }

    private static String score(RunResult r) {
        var primary = r.getPrimaryResult();
        return String.format(Locale.ROOT, "%,.1f %s", primary.getScore(), primary.getScoreUnit());
    }

    private Options options(Preset preset, Case c) {
        ChainedOptionsBuilder b = new OptionsBuilder().include(c.pattern()).warmupIterations(preset.warmups)
                .measurementIterations(preset.measurements)
                .warmupTime(TimeValue.milliseconds(preset.iterationMillis)).measurementTime(TimeValue.milliseconds(preset.iterationMillis))
                .forks(forks)
                .addProfiler(Gauges.class).shouldFailOnError(true).output(out.resolve("jmh.log").toString());
        c.parameters().forEach(b::param);
        b.jvmArgsPrepend("-Djava.util.logging.config.file=" + out.resolve(LOGGING).toAbsolutePath());
        return b.build();
    }
}
