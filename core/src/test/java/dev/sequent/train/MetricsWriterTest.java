package dev.sequent.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.cost.Roofline;
import dev.sequent.io.Json;
import dev.sequent.type.DataException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Records of runs: what is written reads back, crashes and resumes leave one line per step. */
class MetricsWriterTest {
    @TempDir
    Path directory;

    private static TrainListener.Step step(long n) {
        return new TrainListener.Step(n, 100, Math.PI / n, 1e-3 / 3, 1.0 / 7, 128, 0.25, 5e8);
    }

    private static void write(Path file, long from, long to) {
        try (MetricsWriter writer = new MetricsWriter(file, from - 1)) {
            for (long n = from; n <= to; n++) {
                writer.step(step(n));
            }
            writer.validation(new TrainListener.Validation(to, 1.0 / 3, 999, 2.5));
        }
    }

    @Test
    void jsonLinesReadBack() throws IOException {
        Path file = directory.resolve("m.jsonl");
        write(file, 1, 2);
        List<String> lines = Files.readAllLines(file);
        assertThat(lines).hasSize(3);
        assertThat(Json.parse(lines.get(1), "line", DataException::new).toJava())
                .isEqualTo(Map.of("kind", "train", "step", 2L, "loss", Math.PI / 2, "learning_rate", 1e-3 / 3, "gradient_norm", 1.0 / 7,
                "tokens", 128L, "seconds", 0.25));
        assertThat(Json.parse(lines.get(2), "line", DataException::new).toJava())
                .isEqualTo(Map.of("kind", "validation", "step", 2L, "loss", 1.0 / 3, "tokens", 999L, "seconds", 2.5));
    }

    @Test
    void commaSeparatedValuesReadBack() throws IOException {
        Path file = directory.resolve("m.csv");
        write(file, 1, 2);
        List<String> lines = Files.readAllLines(file);
        assertThat(lines).hasSize(4);
        assertThat(lines.getFirst()).isEqualTo("kind,step,loss,learning_rate,gradient_norm,tokens,seconds");
        String[] train = lines.get(2).split(",", -1);
        assertThat(train).hasSize(7).startsWith("train", "2");
        assertThat(Double.parseDouble(train[2])).isEqualTo(Math.PI / 2);
        assertThat(Double.parseDouble(train[3])).isEqualTo(1e-3 / 3);
        assertThat(lines.get(3).split(",", -1)).containsExactly("validation", "2", 1.0 / 3 + "", "", "", "999", "2.5");
    }

    @ParameterizedTest
    @ValueSource(strings = {"m.csv", "m.jsonl"})
    void aResumedRunRepeatsNoLine(String name) throws IOException {
        Path straight = directory.resolve("straight-" + name);
        write(straight, 1, 4);
        write(straight, 5, 9);
        Path resumed = directory.resolve(name);
        write(resumed, 1, 4);
        write(resumed, 5, 7); // killed after 7, the last checkpoint is 4
        write(resumed, 5, 9);
        assertThat(Files.readString(resumed)).isEqualTo(Files.readString(straight));
    }

    @ParameterizedTest
    @ValueSource(strings = {"m.csv", "m.jsonl"})
    void aLineThatACrashCutOffIsRemoved(String name) throws IOException {
        Path file = directory.resolve(name);
        write(file, 1, 3);
        String whole = Files.readString(file);
        Files.writeString(file, whole + whole.substring(whole.length() - 20, whole.length() - 5));
        try (MetricsWriter writer = new MetricsWriter(file)) {
            writer.step(step(4));
        }
        assertThat(Files.readString(file)).startsWith(whole);
        assertThat(Files.readAllLines(file)).hasSize(whole.split("\n").length + 1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"m.csv", "m.jsonl"})
    void linesAreOnTheDiskAtOnce(String name) throws IOException {
        Path file = directory.resolve(name);
        try (MetricsWriter writer = new MetricsWriter(file)) {
            int before = Files.readAllLines(file).size();
            writer.step(step(1));
            assertThat(Files.readAllLines(file)).hasSize(before + 1);
        }
    }

    @Test
    void otherFilesAreRefused() throws IOException {
        assertThatThrownBy(() -> new MetricsWriter(directory.resolve("m.txt"))).isInstanceOf(DataException.class)
                .hasMessageContaining(".jsonl or .csv");
        Path csv = directory.resolve("other.csv");
        Files.writeString(csv, "a,b\n1,2\n");
        assertThatThrownBy(() -> new MetricsWriter(csv)).isInstanceOf(DataException.class).hasMessageContaining("kind,step");
        assertThat(Files.readString(csv)).isEqualTo("a,b\n1,2\n");
        Path jsonl = directory.resolve("other.jsonl");
        Files.writeString(jsonl, "{\"step\": 1}\nnonsense\n");
        assertThatThrownBy(() -> new MetricsWriter(jsonl, 3)).isInstanceOf(DataException.class).hasMessageContaining("line 2");
        assertThatThrownBy(() -> new MetricsWriter(directory.resolve("missing").resolve("m.csv"))).isInstanceOf(DataException.class);
    }

    @Test
    void writingAfterCloseIsATypedError() {
        MetricsWriter writer = new MetricsWriter(directory.resolve("m.csv"));
        writer.close();
        assertThatThrownBy(() -> writer.step(step(1))).isInstanceOf(DataException.class).hasMessageContaining("m.csv");
    }

    @Test
    void progressTellsTheFractionOfThePeak() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ProgressPrinter printer = new ProgressPrinter(new PrintStream(bytes, true, StandardCharsets.UTF_8), 2, new Roofline(200, 1));
        printer.step(new TrainListener.Step(1, 2, 1, 1e-3, 1, 100, 1, 50));
        printer.step(new TrainListener.Step(2, 2, 1, 1e-3, 1, 100, 1, 70));
        assertThat(bytes.toString(StandardCharsets.UTF_8).strip())
                .isEqualTo("step 2/2  loss 1.0000  100 tokens/s  30 % of peak  0:00 left");
    }

    @Test
    void progressIsPlainLines() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ProgressPrinter printer = new ProgressPrinter(new PrintStream(bytes, true, StandardCharsets.UTF_8), 2);
        for (long n = 1; n <= 4; n++) {
            printer.step(new TrainListener.Step(n, 5, n, 1e-3, 1, 100, 1, 50));
        }
        printer.step(new TrainListener.Step(5, 5, 7, 1e-3, 1, 100, 1, 50));
        printer.validation(new TrainListener.Validation(5, 2.5, 10, 1));
        assertThat(bytes.toString(StandardCharsets.UTF_8).lines()).containsExactly("step 2/5  loss 1.5000  100 tokens/s  0:03 left",
                "step 4/5  loss 3.5000  100 tokens/s  0:01 left", "step 5/5  loss 7.0000  100 tokens/s  0:00 left",
                "step 5  validation loss 2.5000");
    }
}
