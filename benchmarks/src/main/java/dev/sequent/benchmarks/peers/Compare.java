package dev.sequent.benchmarks.peers;

import dev.sequent.benchmarks.StepModels;
import dev.sequent.benchmarks.run.RunBenchmarks;
import dev.sequent.benchmarks.run.RunRecord;
import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.service.Services;
import dev.sequent.tensor.Device;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import picocli.CommandLine;

/**
 * Compares our operations, training steps and decoding with PyTorch's, block by block in turn, and writes the results of both sides as the
 * report reads them: {@code results.json} and {@code run.json}. A comparison that fails is named in {@code run.json} with the reason, the
 * others run all the same, and the exit code is 1.
 */
@CommandLine.Command(name = "compare", mixinStandardHelpOptions = true, sortOptions = false,
        description = "Runs the same shapes here and in a Python with torch, in alternating blocks.")
public final class Compare implements Callable<Integer> {
    private static final Duration PATIENCE = Duration.ofMinutes(10);
    /** Largest relative difference between what calls return on both sides. */
    private static final double TOLERANCE = 1e-4;
    private static final double BF16_TOLERANCE = 1e-2;

    @CommandLine.Option(names = "--only", paramLabel = "REGEX",
            description = "only comparisons whose description, as --list shows it, contains a match")
    private String only = "";

    @CommandLine.Option(names = "--time", split = ",", paramLabel = "T",
            description = "lengths, or contexts of decoding (default: what is usual for each kind)")
    private List<Integer> times = List.of();

    @CommandLine.Option(names = "--threads", description = "threads of both sides (default: all processors)")
    private int threads = Runtime.getRuntime().availableProcessors();

    @CommandLine.Option(names = "--products", description = "matrix products of our side: f32, or bf16, "
            + "which is compared with peers in BF16 only (default: ${DEFAULT-VALUE})")
    private String products = "f32";

    @CommandLine.Option(names = "--rounds", description = "blocks of each side (default: ${DEFAULT-VALUE})")
    private int rounds = 7;

    @CommandLine.Option(names = "--seconds", description = "length of a block (default: ${DEFAULT-VALUE})")
    private double seconds = 0.5;

    @CommandLine.Option(names = "--warmup", description = "seconds that each side runs before (default: ${DEFAULT-VALUE})")
    private double warmup = 3;

    @CommandLine.Option(names = "--python", description = "a Python with torch (default: ${DEFAULT-VALUE})")
    private String python = "python3";

    @CommandLine.Option(names = "--script", description = "what it runs (default: ${DEFAULT-VALUE})")
    private Path script = Path.of("benchmarks", "peers", "serve.py");

    @CommandLine.Option(names = "--out", description = "where results go (default: ${DEFAULT-VALUE})")
    private Path out = Path.of("runs", "compare");

    @CommandLine.Option(names = "--list", description = "lists the comparisons and does not run them")
    private boolean list;

    private final PrintStream console;

    /** Prints to standard output. */
    public Compare() {
        this(System.out);
    }

    Compare(PrintStream console) {
        this.console = console;
    }

    /** See the class. */
    public static void main(String[] args) {
        System.exit(new CommandLine(new Compare()).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        try (PeerSource source = new PeerSource(List.of(python, script.toString()), PATIENCE)) {
            return call(source);
        } catch (PeerException e) {
            console.println(e.getMessage());
            return e.absent() ? 2 : 1;
        }
    }

    private int call(PeerSource source) throws IOException {
        Peer peer = source.peer();
        peer.missing().forEach((file, reason) -> console.printf("without %s: %s%n", file, reason));
        List<Contest> contests = contests(peer.cases()).stream().filter(c -> Pattern.compile(only).matcher(c.toString()).find()).toList();
        if (list || contests.isEmpty()) {
            contests.forEach(console::println);
            console.printf("%d comparisons with %s%n", contests.size(), peer.name());
            return contests.isEmpty() ? 1 : 0;
        }
        Files.createDirectories(out);
        String notes = rounds + " alternating blocks of " + seconds + " s, products=" + products;
        Json.Obj record = (Json.Obj) RunRecord.of("compare", List.of("cpu"), threads, notes);
        List<String> failures = new ArrayList<>();
        write(record, failures);
        try (Device device = Device.open("cpu", Map.of("threads", threads + "", "products", products))) {
            run(source, device, contests, failure -> {
                failures.add(failure);
                write(record, failures);
            });
        }
        return failures.isEmpty() ? 0 : 1;
    }

    private void write(Json.Obj record, List<String> failures) {
        AtomicFiles.write(out.resolve(RunBenchmarks.RECORD),
                record.with(RunBenchmarks.FAILED, Json.strings(failures)).writePretty());
    }

    private List<Contest> contests(List<String> cases) {
        List<Contest> all = new ArrayList<>();
        for (String name : cases) {
            if (!name.contains("/")) {
                continue;
            }
            switch (name.substring(0, name.indexOf('/'))) {
                case "kernel" -> {
                    for (int time : lengths(512, 1024, 2048, 4096)) {
                        for (String pass : List.of("forward", "gradient")) {
                            all.add(new Contest(name, Map.of("time", time, "pass", pass, "threads", threads)));
                        }
                    }
                }
                case "step" -> {
                    for (int time : lengths(256, 1024, 4096)) {
                        all.add(new Contest(name, Map.of("time", time, "batch", Math.max(1, StepModels.TOKENS / time), "threads",
                                threads)));
                    }
                }
                case "decode" -> {
                    for (int context : name.contains("large") ? lengths(64) : lengths(1024, 16_384)) {
                        all.add(new Contest(name, Map.of("context", context, "threads", threads)));
                    }
                }
                default -> all.add(new Contest(name, Map.of("threads", threads)));
            }
        }
        return all.stream().filter(c -> Subjects.known(c) && c.isFair(products)).toList();
    }

    private int[] lengths(int... usual) {
        return times.isEmpty() ? usual : times.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Runs all; one that fails is told to {@code failed} and does not keep the others from running. */
    private void run(PeerSource source, Device device, List<Contest> contests, Consumer<String> failed) {
        ResultRows rows = new ResultRows(source.peer().name(), threads);
        long start = System.nanoTime();
        console.println(ResultRows.HEADER);
        for (int i = 0; i < contests.size(); i++) {
            Contest c = contests.get(i);
            String line;
            try {
                line = compared(c, source.peer(), device, rows);
            } catch (RuntimeException | AssertionError | OutOfMemoryError | LinkageError e) {
                line = e instanceof IllegalStateException ? "wrong result: " + e.getMessage() : "failed: " + Services.sentence(e);
                failed.accept(c + ": " + line);
                if (e instanceof PeerException) {
                    // what it says next may be an answer to this question
                    source.renew();
                }
            }
            Duration left = Duration.ofNanos((System.nanoTime() - start) / (i + 1) * (contests.size() - i - 1));
            console.printf(Locale.ROOT, "%-55s %s  (%d:%02d left)%n", c, line, left.toMinutes(), left.toSecondsPart());
        }
        console.printf("results in %s%n", out.resolve(RunBenchmarks.RESULTS));
    }

    /** Runs one comparison; what to say about it. */
    private String compared(Contest c, Peer peer, Device device, ResultRows rows) {
        try (Subject subject = Subjects.of(c, device, products)) {
            Optional<String> unsupported = peer.load(c.name(), c.parameters(), subject.forPeer());
            if (unsupported.isPresent()) {
                return "not in the peer: " + unsupported.get();
            }
            Agreement.check(subject, peer, tolerance(c));
            Duel.Outcome outcome = new Duel(rounds, seconds, warmup).run(n -> timed(subject.call(), n), peer::run, Compare::processorTime,
                    () -> peer.processorTime().map(t -> t.toNanos() * 1e-9).orElse(Double.NaN));
            String line = rows.add(c, subject, outcome);
            AtomicFiles.write(out.resolve(RunBenchmarks.RESULTS), Json.ofJava(rows.all()).writePretty());
            return line;
        }
    }

    private double tolerance(Contest c) {
        return products.equals("f32") && !c.variant().contains("bf16") ? TOLERANCE : BF16_TOLERANCE;
    }

    private static double[] timed(DoubleSupplier call, int calls) {
        return IntStream.range(0, calls).mapToDouble(_ -> {
            long start = System.nanoTime();
            call.getAsDouble();
            return (System.nanoTime() - start) * 1e-9;
        }).toArray();
    }

    private static double processorTime() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean os
                ? os.getProcessCpuTime() * 1e-9 : Double.NaN;
    }
}
