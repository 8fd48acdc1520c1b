package dev.sequent.ssm.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.GoldenVariant;
import dev.sequent.type.DType;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Many small configurations give the logits that Hugging Face transformers gives for them, at once, and by prefill and steps. */
class SsmVariantsTest {
    static Stream<GoldenVariant> variants() {
        return GoldenVariant.all("mamba", "mamba2");
    }

    @TempDir
    Path directory;

    private void agrees(GoldenVariant variant, String backend, DType dtype, double tolerance) {
        variant.write(directory);
        try (Device device = Device.open(backend); LanguageModel model = LanguageModel.load(directory, device, dtype)) {
            assertThat(variant.forward(model)).as("forward").isLessThan(tolerance);
            assertThat(variant.incremental(model)).as("prefill and steps").isLessThan(tolerance);
            model.save(directory);
            try (LanguageModel again = LanguageModel.load(directory, device, dtype)) {
                assertThat(again.config()).isEqualTo(model.config());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    void logitsAgreeInF64(GoldenVariant variant) {
        agrees(variant, "reference", DType.F64, 1e-6);
    }

    @ParameterizedTest
    @MethodSource("variants")
    void logitsAgreeInF32(GoldenVariant variant) {
        agrees(variant, "cpu", DType.F32, 2e-5);
    }
}
