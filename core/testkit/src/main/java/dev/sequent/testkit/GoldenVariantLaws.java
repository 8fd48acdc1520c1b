package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.type.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many small configurations give the logits that Hugging Face transformers gives for them, at once, and by prefill and steps, and come
 * back from files as they were. Inherit it once per module, with the families whose layers the module has.
 */
public abstract class GoldenVariantLaws {
    private final String[] families;

    @TempDir
    Path directory;

    /** Laws of the variants of these families, by {@code model_type}. */
    protected GoldenVariantLaws(String... families) {
        this.families = families;
    }

    @TestFactory
    final Stream<DynamicTest> logitsAgreeInF64() {
        return agree("reference", DType.F64, 1e-6);
    }

    @TestFactory
    final Stream<DynamicTest> logitsAgreeInF32() {
        return agree("cpu", DType.F32, 2e-5);
    }

    private Stream<DynamicTest> agree(String backend, DType dtype, double tolerance) {
        return GoldenVariant.all(families).map(variant -> DynamicTest.dynamicTest(variant.name(), () -> {
            Path checkpoint = Files.createDirectories(directory.resolve(backend).resolve(variant.name()));
            variant.write(checkpoint);
            try (Device device = Device.open(backend); LanguageModel model = LanguageModel.load(checkpoint, device, dtype)) {
                assertThat(variant.forward(model)).as("forward").isLessThan(tolerance);
                assertThat(variant.incremental(model)).as("prefill and steps").isLessThan(tolerance);
                model.save(checkpoint);
                try (LanguageModel again = LanguageModel.load(checkpoint, device, dtype)) {
                    assertThat(again.config()).isEqualTo(model.config());
                }
            }
        }));
    }
}
