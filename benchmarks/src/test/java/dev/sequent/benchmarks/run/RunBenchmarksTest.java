package dev.sequent.benchmarks.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.Json;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** What a run leaves behind, and how it goes on. */
class RunBenchmarksTest {
    private static final String ROW = """
            [{"benchmark": "dev.sequent.benchmarks.MixerBenchmark.forward",
              "params": {"backend": "cpu", "mixer": "mamba", "threads": "0", "time": "256"},
              "primaryMetric": {"score": 12.5, "scoreError": "NaN", "scoreUnit": "us/op"}}]""";

    @TempDir
    Path directory;

    private int run(String... arguments) {
        return new CommandLine(new RunBenchmarks()).execute(arguments);
    }

    @Test
    void anInterruptedRunIsContinued() throws IOException {
        Files.writeString(directory.resolve(RunBenchmarks.RESULTS), ROW);
        ResultFile results = ResultFile.continued(directory);
        Case measured = Case.of("MixerBenchmark.forward", "mixer", "mamba", "time", 256);
        assertThat(results.contains(measured)).isTrue();
        assertThat(results.contains(measured.with("time", "512"))).isFalse();
        assertThat(results.contains(Case.of("MixerBenchmark.gradient", "mixer", "mamba", "time", 256))).isFalse();
        results.add(List.of());
        assertThat(ResultFile.continued(directory).contains(measured)).isTrue();
        assertThat(ResultFile.empty(directory).contains(measured)).isFalse();
    }

    @Test
    void aRunWithoutResultsIsContinuedFromItsBeginning() {
        assertThat(ResultFile.continued(directory).isEmpty()).isTrue();
    }

    @Test
    void measurementsUnderOtherConditionsDoNotMix() throws IOException {
        Json.Obj now = (Json.Obj) RunRecord.of("smoke", List.of("cpu"), 1, "");
        Path record = directory.resolve(RunBenchmarks.RECORD);
        Files.writeString(record, now.writePretty());
        RunRecord.requireSameConditions(record, (Json.Obj) RunRecord.of("smoke", List.of("cpu"), 1, "later"));
        Json.Obj other = now.with("threads", Json.of("64"));
        assertThatThrownBy(() -> RunRecord.requireSameConditions(record, other)).isInstanceOf(DataException.class)
                .hasMessageContaining("[bench] expected the threads of the run").hasMessageContaining("\"1\", given \"64\"");
    }

    @Test
    void aBackendThatIsMissingIsAnErrorAndLosesNothing() throws IOException {
        Files.writeString(directory.resolve(RunBenchmarks.RESULTS), ROW);
        assertThat(run("--smoke", "--backend", "none", "--out", directory.toString())).isEqualTo(2);
        assertThat(directory.resolve(RunBenchmarks.RESULTS)).hasContent(ROW);
        assertThat(directory.resolve(RunBenchmarks.RECORD)).doesNotExist();
    }

    @Test
    void brokenArgumentsAreErrors() throws IOException {
        assertThat(run("--smoke", "--full", "--out", directory.toString())).isEqualTo(2);
        assertThat(run("--only", "(", "--list")).isEqualTo(2);
        Path file = Files.createFile(directory.resolve("file"));
        assertThat(run("--smoke", "--out", file.toString())).isEqualTo(2);
        Files.writeString(directory.resolve(RunBenchmarks.RESULTS), "[{");
        assertThat(run("--smoke", "--resume", "--out", directory.toString())).isEqualTo(2);
    }
}
