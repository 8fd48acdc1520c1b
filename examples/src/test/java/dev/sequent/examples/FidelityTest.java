package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.Golden;
import dev.sequent.testkit.GoldenCheck;
import dev.sequent.type.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * Further configurations of the public families give the reference's logits, all of which is F64, and its greedy tokens; the program prints
 * what is measured.
 */
class FidelityTest {
    private static final List<String> CONFIGURATIONS = Golden.CONFIGURATIONS;

    @TempDir
    Path directory;

    private static GoldenCheck.Outputs outputs(String name, String backend, DType dtype) {
        try (Golden golden = Golden.open(name); Device device = Device.open(backend);
                LanguageModel model = LanguageModel.load(golden.directory(), device, dtype)) {
            return new GoldenCheck(golden, model).outputs();
        }
    }

    @ParameterizedTest
    @FieldSource("CONFIGURATIONS")
    void referenceAgreesInF64(String name) {
        // there transformers divides an integer tensor, which is F32 arithmetic, to find the base of the frequencies
        double bound = name.equals("llama-rope-dynamic-long") ? 1e-7 : 1e-12;
        outputs(name, "reference", DType.F64).expectWithin(bound);
    }

    @ParameterizedTest
    @FieldSource("CONFIGURATIONS")
    void cpuAgreesInF32(String name) {
        outputs(name, "cpu", DType.F32).expectWithin(1e-5);
    }

    @Test
    void theProgramPrintsAndWritesItsTables() throws IOException {
        Path file = directory.resolve("fidelity.md");
        Captured run = Captured.of(() -> Programs.run(new Fidelity(), "--families", "gpt2", "--backends", "cpu", "--write",
                file.toString()));
        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).contains("| gpt2 | cpu F32 |", "32 of 32", "| gpt2-odd |").doesNotContain("llama-");
        assertThat(file).content().isEqualTo(run.out());
    }

    @Test
    void unknownFamiliesAreNamed() {
        Captured run = Captured.of(() -> Programs.run(new Fidelity(), "--families", "gpt9"));
        assertThat(run.exitCode()).isEqualTo(Programs.WRONG_INPUT);
        assertThat(run.err()).contains("--families", "gpt9", "llama");
    }

    @Test
    void theKeptTablesNameEveryFamilyAndConfiguration() throws IOException {
        Path root = Path.of("").toAbsolutePath().endsWith("examples") ? Path.of("..") : Path.of("");
        String kept = Files.readString(root.resolve("docs/fidelity.md"));
        assertThat(kept).contains("| reference F64 |", "cpu F32");
        Golden.FAMILIES.forEach(f -> assertThat(kept).contains("| " + f + " | reference F64 |", "| " + f + " | cpu F32 |"));
        Golden.CONFIGURATIONS.forEach(c -> assertThat(kept).contains("| " + c + " |"));
    }
}
