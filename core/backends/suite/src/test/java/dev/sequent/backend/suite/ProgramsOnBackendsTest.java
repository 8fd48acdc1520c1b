package dev.sequent.backend.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.backend.Backends;
import dev.sequent.examples.Generate;
import dev.sequent.examples.Train;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** The train program trains a hybrid on every engine, and the generate program goes on from what it has stored. */
class ProgramsOnBackendsTest {
    @TempDir
    private Path directory;

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "nd4j", "djl", "djl:0"})
    void aModelIsTrainedAndContinuesAText(String backend) throws IOException {
        Path text = Files.writeString(directory.resolve("text.txt"), "the quick brown fox jumps over the lazy dog. ".repeat(40));
        Path out = directory.resolve("runs");
        run(new Train(), "--backend", backend, "--model", "hybrid", "--text", text.toString(), "--out", out.toString(), "--width", "16",
                "--layers", "3", "--heads", "2", "--state-size", "4", "--context", "16", "--batch", "2", "--steps", "4", "--eval-every",
                "2", "--sample-tokens", "4");
        assertThat(out.resolve("comparison.md")).content().contains("hybrid");
        run(new Generate(), "--backend", backend, "--model", out.resolve("hybrid").toString(), "--prompt", "the ", "--tokens", "5");
    }

    @Test
    void cudaOpensOrTheErrorSaysWhatIsMissingAndWhatToInstall() {
        Probe probe = Backends.providers().stream().filter(p -> p.name().equals("cuda")).findFirst().orElseThrow().probe();
        if (probe.isAvailable()) {
            Backends.openBackend("cuda").close();
            return;
        }
        assertThat(probe.remedy()).isNotBlank();
        assertThatThrownBy(() -> Backends.openBackend("cuda")).isInstanceOf(BackendException.class).hasMessageContaining(probe.message())
                .hasMessageContaining(probe.remedy());
    }

    private static void run(Object program, String... args) {
        StringWriter errors = new StringWriter();
        int code = new CommandLine(program).setErr(new PrintWriter(errors)).execute(args);
        assertThat(code).as(errors.toString()).isZero();
    }
}
