package dev.sequent.benchmarks.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.type.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The report of results whose exponents and crossover are known. */
class ReportTest {
    private static final String RECORD = """
            {"cpu": "a <fast> one", "peak_flops_per_second": 4e11, "peak_bytes_per_second": 2e10, "flags": ["-Xmx1g"]}
            """;

    @TempDir
    Path directory;

    private static String row(String benchmark, String parameters, double microseconds, double tokens, double flops) {
        return String.format(Locale.ROOT, """
                {"benchmark": "dev.sequent.benchmarks.%s", "params": {%s},
                 "primaryMetric": {"score": %.9g, "scoreError": "NaN", "scoreUnit": "us/op"},
                 "secondaryMetrics": {"tokens": {"score": %.1f}, "flops": {"score": %.6g}, "bytes": {"score": 1e6},
                  "backward.flops": {"score": 0}, "backward.bytes": {"score": 0},
                  "peak.memory": {"score": %.1f},
                 "state.bytes": {"score": 1024.0}}}""", benchmark, parameters, microseconds, tokens, flops, 1e6 * tokens);
    }

    private static List<String> mixer(String name, DoubleUnaryOperator microseconds) {
        List<String> rows = new ArrayList<>();
        for (int time = 256; time <= 65536; time *= 2) {
            String parameters = "\"mixer\": \"" + name + "\", \"time\": \"" + time + "\"";
            rows.add(row("MixerBenchmark.forward", parameters, microseconds.applyAsDouble(time), time, 1e5 * time));
            rows.add(row("MixerBenchmark.gradient", parameters, 3 * microseconds.applyAsDouble(time), time, 1e5 * time));
        }
        return rows;
    }

    private int report(List<String> rows, String... arguments) throws IOException {
        Files.writeString(directory.resolve("results.json"), "[" + String.join(",\n", rows) + "]");
        Files.writeString(directory.resolve("run.json"), RECORD);
        List<String> all = new ArrayList<>(List.of(directory.toString()));
        all.addAll(List.of(arguments));
        return new CommandLine(new Report()).execute(all.toArray(String[]::new));
    }

    @Test
    void exponentsAndCrossoversAreThoseOfTheData() throws IOException {
        List<String> rows = mixer("mamba", t -> 4 * t);
        rows.addAll(mixer("attention", t -> t * t / 1024));
        rows.add(row("TrainingStepBenchmark.step", "\"model\": \"mamba\", \"time\": \"1024\"", 1e6, 4096, 1e11));
        rows.add(row("KernelBenchmark.forward", "\"kernel\": \"matmul\", \"time\": \"2048\"", 1e3, 2048, 2e8));
        rows.add(row("DecodeBenchmark.token", "\"mixer\": \"mamba\", \"context\": \"1024\"", 50, 1, 1e6));
        for (int context = 1024; context <= 16_384; context *= 2) {
            String after = ", \"context\": \"" + context + "\"";
            rows.add(row("ModelDecodeBenchmark.token", "\"model\": \"s4d\"" + after, 80, 1, 1e6));
            rows.add(row("ModelDecodeBenchmark.token", "\"model\": \"transformer\"" + after, context / 51.2, 1, 1e6));
        }
        // 10 GB/s of 1024 bytes of state, half of the record's peak
        rows.add(row("LargeDecodeBenchmark.token", "\"model\": \"mamba2\", \"dtype\": \"BF16\"", 0.1024, 1, 1e6));
        assertThat(report(rows)).isZero();
        String page = Files.readString(directory.resolve("report.html"));
        assertThat(page.contains("<svg")).as("figures").isTrue();
        assertThat(page.replaceAll("(?s)<svg.*?</svg>", "")).contains("a &lt;fast&gt; one")
                .contains("<td>attention</td><td>2.00 ± 0.00</td>").contains("<td>mamba</td><td>1.00 ± 0.00</td>")
                .contains("<td>mamba is cheaper than attention</td><td>from 4,096 tokens on</td>").contains("<td>4,096</td>")
                .contains("25 %").contains("<td>s4d is cheaper than transformer</td><td>from 4,096 tokens on</td>")
                .contains("<td>mamba2</td><td>BF16</td><td>0</td><td>0.0</td><td>10.0</td><td>50 %</td>");
        assertThat(page.contains("src=") || page.contains("<link")).as("needs other files").isFalse();
        assertThat(directory.resolve("mixer-forward.png")).isNotEmptyFile();
        assertThat(directory.resolve("prediction.svg")).isNotEmptyFile();
        assertThat(directory.resolve("model-decode.png")).isNotEmptyFile();
        assertThat(directory.resolve("model-state.png")).isNotEmptyFile();
        assertThat(Files.readAllLines(directory.resolve("results.csv"))).hasSize(rows.size() + 1)
                .anyMatch(l -> l.startsWith("sequent,MixerBenchmark.forward,attention,\"{mixer=attention, time=256}\",6.4e-05")
                || l.contains("6.40000000e-05"));
    }

    @Test
    void peersStandBesideOurs() throws IOException {
        Path peer = directory.resolve("peer.json");
        Files.writeString(peer, "[" + String.join(",", mixer("attention", t -> t * t / 512))
                .replace("{\"benchmark\"", "{\"source\": \"PyTorch\", \"benchmark\"") + "]");
        assertThat(report(mixer("attention", t -> t * t / 1024), "--peers", peer.toString())).isZero();
        assertThat(Files.readString(directory.resolve("report.html"))).contains("attention (PyTorch)");
    }

    @Test
    void aPeerIsComparedWithWhatWasTakenBesideIt() throws IOException {
        String parameters = "\"kernel\": \"add\", \"time\": \"64\"";
        Path peer = directory.resolve("peer.json");
        Files.writeString(peer, "[" + row("KernelBenchmark.forward", parameters, 200, 64, 1) + ","
                + row("KernelBenchmark.forward", parameters, 300, 64, 1)
                        .replace("{\"benchmark\"", "{\"source\": \"a \\\"b\\\", c\", \"benchmark\"") + "]");
        assertThat(report(List.of(row("KernelBenchmark.forward", parameters, 100, 64, 1)), "--peers", peer.toString())).isZero();
        assertThat(Files.readString(directory.resolve("report.html"))).contains("<td>0.2000</td><td>0.3000</td><td>1.50</td>");
        assertThat(Files.readAllLines(directory.resolve("results.csv"))).as("ours once, fields quoted").hasSize(3)
                .anyMatch(l -> l.startsWith("\"a \"\"b\"\", c\",KernelBenchmark.forward,\"add (a \"\"b\"\", c)\","))
                .anyMatch(l -> l.contains(",0.000100000000,"));
    }

    @Test
    void theWorkOfABackwardPassIsNotThatOfTheForwardPass() throws IOException {
        Path file = directory.resolve("r.json");
        Files.writeString(file, "[" + row("KernelBenchmark.gradient", "", 1, 1, 8) + ","
                + row("KernelBenchmark.gradient", "", 1, 1, 8).replaceAll("\"backward[^}]*}, *", "") + "]");
        assertThat(Measurement.read(file).stream().map(Measurement::flops)).containsExactly(8.0, 0.0);
    }

    @Test
    void whereThereAreNoResultsTheFileIsNamed() {
        java.io.PrintStream console = System.err;
        java.io.ByteArrayOutputStream said = new java.io.ByteArrayOutputStream();
        System.setErr(new java.io.PrintStream(said, true));
        try {
            assertThat(new CommandLine(new Report()).execute(directory.toString())).isEqualTo(2);
        } finally {
            System.setErr(console);
        }
        assertThat(said.toString()).contains("results.json").doesNotContain("\tat ");
    }

    @Test
    void aFileThatIsNotAResultIsATypedError() throws IOException {
        Path file = directory.resolve("r.json");
        Files.writeString(file, "[{\"benchmark\": \"a.b.c\", \"primaryMetric\": {\"score\": 1, \"scoreUnit\": \"ops/s\"}}]");
        assertThatThrownBy(() -> Measurement.read(file)).isInstanceOf(DataException.class).hasMessageContaining("scoreUnit");
        Files.writeString(file, "{}");
        assertThatThrownBy(() -> Measurement.read(file)).isInstanceOf(DataException.class);
    }

    @Test
    void aPowerLawIsFoundAndItsConfidenceTold() {
        List<PowerLaw.Point> exact = List.of(new PowerLaw.Point(1, 3), new PowerLaw.Point(10, 3 * Math.pow(10, 1.5)),
                new PowerLaw.Point(100, 3e3));
        PowerLaw law = PowerLaw.fit(exact);
        assertThat(law.exponent()).isCloseTo(1.5, within(1e-9));
        assertThat(law.factor()).isCloseTo(3, within(1e-9));
        assertThat(PowerLaw.fit(exact.subList(0, 2)).halfWidth()).isNaN();
        PowerLaw noisy = PowerLaw.fit(List.of(new PowerLaw.Point(1, 1), new PowerLaw.Point(10, 12), new PowerLaw.Point(100, 90),
                new PowerLaw.Point(1000, 1100)));
        assertThat(noisy.halfWidth()).isBetween(0.01, 0.3);
    }

    @Test
    void theCrossoverLiesBetweenTheLengthsWhereTheOrderChanges() {
        List<PowerLaw.Point> linear = List.of(new PowerLaw.Point(1, 8), new PowerLaw.Point(4, 8), new PowerLaw.Point(16, 8));
        List<PowerLaw.Point> growing = List.of(new PowerLaw.Point(1, 2), new PowerLaw.Point(4, 4), new PowerLaw.Point(16, 16));
        assertThat(PowerLaw.crossover(linear, growing).orElseThrow().x()).isCloseTo(8, within(1e-9));
        assertThat(PowerLaw.crossover(linear, growing).orElseThrow().firstIsLess()).isTrue();
        assertThat(PowerLaw.crossover(growing, linear).orElseThrow().firstIsLess()).isFalse();
        assertThat(PowerLaw.crossover(linear, linear)).isEmpty();
    }

    @Test
    void whatHoldsFromALengthOnHoldsAtTheLargestCommonOne() {
        List<PowerLaw.Point> flat = List.of(new PowerLaw.Point(1, 8), new PowerLaw.Point(4, 8), new PowerLaw.Point(16, 8),
                new PowerLaw.Point(64, 40));
        List<PowerLaw.Point> noisy = List.of(new PowerLaw.Point(1, 10), new PowerLaw.Point(4, 4), new PowerLaw.Point(16, 16));
        PowerLaw.Crossover last = PowerLaw.crossover(flat, noisy).orElseThrow();
        assertThat(last.x()).as("where the order changes for the last time").isCloseTo(8, within(1e-9));
        assertThat(last.firstIsLess()).as("where both were measured").isTrue();
    }
}
