package dev.sequent.benchmarks.report;

import dev.sequent.benchmarks.run.RunBenchmarks;
import dev.sequent.cost.Roofline;
import dev.sequent.cost.Work;
import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.type.DataException;
import dev.sequent.type.SequentException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import picocli.CommandLine;

/**
 * Turns the results of a run into {@code report.html} (self-contained), plots as PNG and SVG, and {@code results.csv}: time per token
 * against length
 * with fitted exponents, memory, crossover lengths, fraction of the machine's peak, predicted against measured cost.
 */
@CommandLine.Command(name = "report", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Turns benchmark results into a page, plots and a table.")
public final class Report implements Callable<Integer> {
    private static final long MAX_RECORD = 1 << 20;
    /** Lengths from which on a mixer's cost is its growth and not its overhead. */
    private static final long ASYMPTOTIC = 1024;

    @CommandLine.Parameters(arity = "0..1", paramLabel = "DIRECTORY",
            description = "where the runner put its results (default: ${DEFAULT-VALUE})")
    private Path directory = Path.of("runs", "bench");

    @CommandLine.Option(names = "--peers", paramLabel = "FILE",
            description = "further results in the same format, as the scripts under benchmarks/peers write them")
    private List<Path> peers = List.of();

    /** Rows by file, those of the run itself first. */
    private final List<List<Measurement>> files = new ArrayList<>();
    private List<Measurement> all;
    private Roofline peak;
    private Page page;

    /** See the class. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new Report()).execute(args));
    }

    @Override
    public Integer call() {
        try {
            write();
            System.out.println("report in " + directory.resolve("report.html"));
            return 0;
        } catch (SequentException e) {
            System.err.println(e.getMessage());
            return 2;
        }
    }

    private void write() {
        files.add(Measurement.read(directory.resolve(RunBenchmarks.RESULTS)));
        peers.forEach(p -> files.add(Measurement.read(p)));
        distinguishBackends();
        all = merged();
        JsonView record = JsonView.of(Json.read(directory.resolve(RunBenchmarks.RECORD), MAX_RECORD, Json.Dialect.PYTHON,
                DataException::new),
                RunBenchmarks.RECORD, DataException::new);
        peak = new Roofline(record.at("peak_flops_per_second").asDouble(), record.at("peak_bytes_per_second").asDouble());
        page = new Page("What a long sequence costs");
        conditions(record);
        growth("MixerBenchmark.forward", "One layer, forward", "mixer-forward", "time", "T (tokens in the sequence; 1k = 1024)");
        growth("MixerBenchmark.gradient", "One layer, forward and backward", "mixer-gradient", "time",
                "T (tokens in the sequence; 1k = 1024)");
        growth("TrainingStepBenchmark.step", "A training step of a whole model", "training", "time", "T (tokens of a row; 1k = 1024)");
        growth("PrefillBenchmark.prompt", "Reading a prompt with a whole model", "prefill", "time", "T (tokens of the prompt; 1k = 1024)");
        growth("DecodeBenchmark.token", "One more token through one layer", "decode", "context", "context (tokens before; 1k = 1024)");
        growth("ModelDecodeBenchmark.token", "One more token of a whole model", "model-decode", "context",
                "context (tokens before; 1k = 1024)");
        large();
        growth("BaselineBenchmark.forward", "Layers of other libraries, forward", "baselines", "time",
                "T (tokens in the sequence; 1k = 1024)");
        memory();
        training();
        kernels();
        overhead();
        comparisons();
        prediction();
        AtomicFiles.write(directory.resolve("report.html"), page.finish());
        AtomicFiles.write(directory.resolve("results.csv"), csv());
    }

    /** Our results on backends other than the first get a name of their own. */
    private void distinguishBackends() {
        String first = files.stream().flatMap(List::stream).filter(Measurement::isOwn).map(m -> m.parameter("backend"))
                .filter(b -> !b.isEmpty()).findFirst().orElse("");
        Predicate<Measurement> elsewhere = m -> m.isOwn() && !m.parameter("backend").isEmpty() && !m.parameter("backend").equals(first);
        files.replaceAll(file -> file.stream()
                .map(m -> elsewhere.test(m) ? m.withSource(m.parameter("backend") + " backend") : m).toList());
    }

    /** All rows; where several files hold a result of ours, which a peer's may as well, that of the first. */
    private List<Measurement> merged() {
        List<Measurement> rows = new ArrayList<>(files.getFirst());
        for (List<Measurement> file : files.subList(1, files.size())) {
            List<Measurement> before = List.copyOf(rows);
            file.stream().filter(m -> !m.isOwn() || before.stream().noneMatch(b -> b.isOwn() && b.sameAs(m))).forEach(rows::add);
        }
        return rows;
    }

    private void conditions(JsonView record) {
        boolean compared = record.find("preset").map(JsonView::asString).orElse("").equals("compare");
        page.section("Conditions", (compared ? "Times are medians over blocks of calls that alternate with the peer's."
                : "Times are means of JMH's average-time mode, one process per measurement.")
                + " The peaks are what the backend reached in large matrix products and in adding large arrays in F32, just before"
                + " the run; fractions of peak are those of the first backend's.");
        List<List<String>> rows = new ArrayList<>();
        record.members().forEach((name, value) -> rows.add(List.of(name.replace('_', ' '), text(value))));
        page.table(List.of("", ""), rows);
    }

    private static String text(JsonView value) {
        return switch (value.value()) {
            case Json.Str s -> value.asString();
            case Json.Num n when n.isInteger() -> Long.toString(value.asLong());
            case Json.Num _ -> String.format(Locale.ROOT, "%.3g", value.asDouble());
            case Json other -> other.toString();
        };
    }

    /** Points of each subject of a benchmark, by increasing x. */
    private Map<String, List<PowerLaw.Point>> points(Predicate<Measurement> of, ToDoubleFunction<Measurement> x,
            ToDoubleFunction<Measurement> y) {
        Map<String, List<PowerLaw.Point>> series = new LinkedHashMap<>();
        all.stream().filter(of).sorted(Comparator.comparingDouble(x)).filter(m -> x.applyAsDouble(m) > 0 && y.applyAsDouble(m) > 0)
                .forEach(m -> series.computeIfAbsent(m.subject(), _ -> new ArrayList<>())
                .add(new PowerLaw.Point(x.applyAsDouble(m), y.applyAsDouble(m))));
        return series;
    }

    private static Predicate<Measurement> named(String benchmark) {
        return m -> m.benchmark().equals(benchmark);
    }

    /** Time per token against length, the exponents of the time per call, and where the order of two subjects changes. */
    private void growth(String benchmark, String title, String file, String parameter, String xTitle) {
        Map<String, List<PowerLaw.Point>> perToken = points(named(benchmark), m -> m.number(parameter), m -> 1e6 * m.secondsPerToken());
        if (perToken.values().stream().noneMatch(p -> p.size() > 1)) {
            return;
        }
        boolean decoding = parameter.equals("context");
        page.section(title, "Time per token. The exponent is that of the time of "
                + (decoding ? "a token in the context" : "a sequence in its length T") + ", from "
                + ASYMPTOTIC + " on, with its 95 % confidence interval.");
        page.figure(new Plot(file, title, xTitle, "time per token (µs)", perToken, Plot.Kind.GROWTH).save(directory));
        List<List<String>> rows = new ArrayList<>();
        perToken.forEach((subject, points) -> {
            List<PowerLaw.Point> large = points.stream().filter(p -> p.x() >= ASYMPTOTIC)
                    .map(p -> new PowerLaw.Point(p.x(), decoding ? p.y() : p.y() * p.x())).toList();
            PowerLaw.Point last = points.getLast();
            Measurement longest = all.stream().filter(named(benchmark)
                    .and(m -> m.subject().equals(subject) && m.number(parameter) == last.x())).findFirst().orElseThrow();
            rows.add(List.of(subject, large.size() > 1 ? PowerLaw.fit(large).toString() : "–",
                    String.format(Locale.ROOT, "%,.0f", last.x()),
                    String.format(Locale.ROOT, "%.3g", last.y()), longest.flops() > 0
                    ? percent(longest.flops() / longest.seconds() / peak.flopsPerSecond()) : "–"));
        });
        page.table(List.of("", "exponent", "longest", "µs per token there", "of peak FLOP/s there"), rows);
        crossovers(perToken);
    }

    private void crossovers(Map<String, List<PowerLaw.Point>> perToken) {
        List<List<String>> rows = new ArrayList<>();
        perToken.forEach((a, first) -> perToken.forEach((b, second) -> {
            if (a.compareTo(b) < 0) {
                PowerLaw.crossover(first, second).ifPresent(c -> rows.add(List.of(
                        (c.firstIsLess() ? a : b) + " is cheaper than " + (c.firstIsLess() ? b : a),
                        String.format(Locale.ROOT, "from %,.0f tokens on", c.x()))));
            }
        }));
        if (!rows.isEmpty()) {
            page.table(List.of("crossover", ""), rows);
        }
    }

    private void memory() {
        Predicate<Measurement> own = Measurement::isOwn;
        String length = "T (tokens in the sequence; 1k = 1024)";
        figure("Memory of a layer forward and backward", "The most native memory that the backend held.", "memory", length, "memory (MiB)",
                points(own.and(named("MixerBenchmark.gradient")), m -> m.number("time"), m -> m.gauge("peak.memory")
                .orElse(0.0) / (1 << 20)));
        figure("Memory of reading a prompt", "The most native memory that the backend held, parameters included.", "prefill-memory",
                length, "memory (MiB)",
                points(own.and(named("PrefillBenchmark.prompt")), m -> m.number("time"), m -> m.gauge("peak.memory")
                .orElse(0.0) / (1 << 20)));
        figure("Memory of states and caches", "What one layer remembers of a sequence.", "state", "context (tokens before; 1k = 1024)",
                "state (KiB)",
                points(own.and(named("DecodeBenchmark.token")), m -> m.number("context"), m -> m.gauge("state.bytes").orElse(0.0) / 1024));
        figure("Memory of a whole model's states and caches", "What all layers together remember of a sequence.", "model-state",
                "context (tokens before; 1k = 1024)", "state (KiB)",
                points(own.and(named("ModelDecodeBenchmark.token")), m -> m.number("context"),
                        m -> m.gauge("state.bytes").orElse(0.0) / 1024));
    }

    private void large() {
        rows("One more token of a model whose weights lie in no cache", "Bytes are those of parameters and states, each read once.",
                named("LargeDecodeBenchmark.token"), List.of("model", "dtype", "parameters (MB)", "ms per token", "GB/s", "of peak GB/s"),
                m -> {
                    double bytes = m.gauge("parameter.bytes").orElse(0.0) + m.gauge("state.bytes").orElse(0.0);
                    return List.of(m.subject(), m.parameter("dtype"),
                            String.format(Locale.ROOT, "%,.0f", 1e-6 * m.gauge("parameter.bytes").orElse(0.0)),
                            String.format(Locale.ROOT, "%.1f", 1e3 * m.secondsPerToken()),
                            String.format(Locale.ROOT, "%.1f", 1e-9 * bytes / m.seconds()),
                            percent(bytes / m.seconds() / peak.bytesPerSecond()));
                });
    }

    private void figure(String title, String note, String file, String x, String y, Map<String, List<PowerLaw.Point>> series) {
        if (!series.isEmpty()) {
            page.section(title, note).figure(new Plot(file, title, x, y, series, Plot.Kind.GROWTH).save(directory));
        }
    }

    private void training() {
        rows("Training step", "Forward, backward and AdamW on 4096 tokens. Operations by the cost model, the optimizer's not counted.",
                named("TrainingStepBenchmark.step"),
                List.of("model", "T", "tokens/s", "GFLOP/s", "of peak", "peak memory (MiB)"), m -> List.of(m.subject(), m.parameter("time"),
                        String.format(Locale.ROOT, "%,.0f", 1 / m.secondsPerToken()),
                        String.format(Locale.ROOT, "%.0f", m.flops() / m.seconds() * 1e-9),
                        percent(m.flops() / m.seconds() / peak.flopsPerSecond()),
                        m.gauge("peak.memory").map(v -> String.format(Locale.ROOT, "%,.0f", v / (1 << 20))).orElse("–")));
    }

    private void kernels() {
        rows("Operations", "Of the roofline: the least time by the cost model and the measured peaks, over the time measured."
                        + " More than 100 % means that the data lay in a cache.",
                m -> m.benchmark().startsWith("KernelBenchmark."), List.of("operation", "pass", "T", "time (µs)", "± (99.9 %)", "GFLOP/s",
                "GB/s", "of the roofline"),
                m -> {
                    boolean known = m.benchmark().endsWith("forward") && m.flops() + m.bytes() > 0;
                    double least = known ? peak.seconds(new Work(m.flops(), 0, m.bytes())) : 0;
                    return List.of(m.subject(), m.benchmark().substring(m.benchmark().indexOf('.') + 1), m.parameter("time"),
                            String.format(Locale.ROOT, "%,.0f", m.seconds() * 1e6),
                            Double.isNaN(m.error()) ? "–" : String.format(Locale.ROOT, "%.0f", m.error() * 1e6),
                            known ? String.format(Locale.ROOT, "%.1f", m.flops() / m.seconds() * 1e-9) : "–",
                            known ? String.format(Locale.ROOT, "%.1f", m.bytes() / m.seconds() * 1e-9) : "–", known
                            ? percent(least / m.seconds()) : "–");
                });
    }

    private void overhead() {
        rows("One small operation",
                "On 8 x 8 elements: what a call costs before it computes anything. The gradient is forward, tape and backward.",
                m -> m.benchmark().startsWith("OperationBenchmark."), List.of("operation", "pass", "ns a call"),
                m -> List.of(m.subject(), m.benchmark().substring(m.benchmark().indexOf('.') + 1),
                String.format(Locale.ROOT, "%,.0f", m.seconds() * 1e9)));
    }

    /** Everyone else's time over ours, where both measured the same. */
    private void comparisons() {
        List<List<String>> rows = new ArrayList<>();
        for (List<Measurement> file : files) {
            for (Measurement other : file) {
                // the result that was taken beside the other one, where there is one
                Optional<Measurement> ours = Stream.concat(file.stream(), all.stream())
                        .filter(m -> m.isOwn() && m.sameAs(other)).findFirst();
                if (!other.isOwn() && ours.isPresent()) {
                    rows.add(compared(ours.get(), other));
                }
            }
        }
        if (!rows.isEmpty()) {
            page.section("Compared with others",
                    "Other libraries and backends: their time over that of the first backend."
                            + " Rows of PyTorch come from blocks that alternate with ours.");
            page.table(List.of("", "compared with", "what", "T", "ours (ms)", "theirs (ms)", "theirs / ours"), rows);
        }
    }

    private static List<String> compared(Measurement ours, Measurement other) {
        String length = other.parameter("time").isEmpty() ? other.parameter("context") : other.parameter("time");
        return List.of(ours.subject(), other.source(), other.benchmark().replace("Benchmark.", ", "), length,
                String.format(Locale.ROOT, "%,.4g", 1e3 * ours.seconds()), String.format(Locale.ROOT, "%,.4g", 1e3 * other.seconds()),
                String.format(Locale.ROOT, "%.2f", other.seconds() / ours.seconds()));
    }

    private static String percent(double fraction) {
        return String.format(Locale.ROOT, "%.0f %%", 100 * fraction);
    }

    private void rows(String title, String note, Predicate<Measurement> of, List<String> header, Function<Measurement, List<String>> row) {
        List<List<String>> rows = all.stream().filter(of).map(row).toList();
        if (!rows.isEmpty()) {
            page.section(title, note).table(header, rows);
        }
    }

    private void prediction() {
        Map<String, List<PowerLaw.Point>> series = new LinkedHashMap<>();
        for (String benchmark : List.of("MixerBenchmark.forward", "MixerBenchmark.gradient", "PrefillBenchmark.prompt",
                "DecodeBenchmark.token", "ModelDecodeBenchmark.token", "LargeDecodeBenchmark.token", "TrainingStepBenchmark.step")) {
            List<PowerLaw.Point> points = all.stream().filter(named(benchmark))
                    .filter(m -> m.flops() > 0 && m.isOwn())
                    .map(m -> new PowerLaw.Point(1e3 * peak.seconds(new Work(m.flops(), 0, m.bytes())), 1e3 * m.seconds())).toList();
            if (!points.isEmpty()) {
                series.put(benchmark.replace("Benchmark.", ", "), points);
            }
        }
        if (!series.isEmpty()) {
            page.section("Predicted and measured",
                    "The least time by the cost model and the measured peaks, against the time measured:"
                            + " the distance from the line is what is lost.");
            page.figure(new Plot("prediction", "Predicted and measured", "predicted (ms)", "measured (ms)",
                    series, Plot.Kind.PREDICTION).save(directory));
        }
    }

    private String csv() {
        StringBuilder csv = new StringBuilder(
                "source,benchmark,subject,parameters,seconds,error,seconds_per_token,flops,bytes,peak_memory_bytes,state_bytes\n");
        for (Measurement m : all) {
            csv.append(String.format(Locale.ROOT, "%s,%s,%s,%s,%.9g,%.3g,%.9g,%.6g,%.6g,%s,%s%n", quoted(m.source()), quoted(m.benchmark()),
                    quoted(m.subject()), quoted(m.parameters().toString()), m.seconds(), m.error(), m.secondsPerToken(), m.flops(),
                    m.bytes(), whole(m.gauge("peak.memory")), whole(m.gauge("state.bytes"))));
        }
        return csv.toString();
    }

    /** A field as RFC 4180 has it. */
    private static String quoted(String text) {
        return text.matches("[^\",\\r\\n]*") ? text : '"' + text.replace("\"", "\"\"") + '"';
    }

    private static String whole(Optional<Double> value) {
        return value.map(v -> String.format(Locale.ROOT, "%.0f", v)).orElse("");
    }
}
