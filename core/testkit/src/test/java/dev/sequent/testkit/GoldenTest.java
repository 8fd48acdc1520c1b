package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.StoredTensor;
import dev.sequent.io.WeightStore;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerSpec;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

class GoldenTest {
    private static final List<String> FAMILIES = Golden.FAMILIES;
    private static final List<String> CONFIGURATIONS = Golden.CONFIGURATIONS;

    @ParameterizedTest
    @FieldSource("FAMILIES")
    void everyStoredTensorHasAGradientOfItsShape(String family) {
        Path directory;
        try (Golden golden = Golden.open(family); WeightStore store = WeightStore.open(golden.directory())) {
            directory = golden.directory();
            assertThat(golden.gradientNames()).containsExactlyInAnyOrderElementsOf(store.tensors().stream().map(StoredTensor::name)
                    .toList());
            for (String name : golden.gradientNames()) {
                assertThat(golden.gradientShape(name)).as(name).isEqualTo(store.tensor(name).shape().toArray());
                assertThat(Arrays.stream(golden.gradient(name)).map(Math::abs).max().orElseThrow()).as(name).isPositive().isFinite();
            }
            assertThat(golden.inputIds()).hasDimensions(2, 41);
            assertThat(golden.logits()).hasSize(2 * 41 * golden.vocabulary());
            assertThat(golden.losses()).hasSize(6);
            assertThat(golden.losses()[0]).isEqualTo(golden.loss());
            assertThat(golden.generated()).hasDimensions(2, 16);
            assertThat(golden.origin()).contains("transformers 5");
            assertThat(directory.resolve("config.json")).content().contains("\"model_type\": \"" + family + "\"");
        }
        assertThat(Files.exists(directory)).as("unpacked files remain").isFalse();
    }

    @ParameterizedTest
    @FieldSource("CONFIGURATIONS")
    void weightsOfFurtherConfigurationsFollowFromARule(String name) {
        try (Golden golden = Golden.open(name); WeightStore store = WeightStore.open(golden.directory())) {
            assertThat(golden.hasGradients()).isFalse();
            assertThat(store.tensors()).hasSizeGreaterThan(5);
            assertThat(golden.logits()).hasSize(2 * golden.inputIds()[0].length * golden.vocabulary());
            assertThat(golden.prompts()[0]).hasSize(1);
            assertThat(golden.prompts()[1]).hasSize(7);
            assertThat(golden.directory().resolve("config.json")).content().contains("\"model_type\": \"" + golden.family() + "\"");
        }
    }

    /** Numbers that make_variants.py prints for these names. */
    @Test
    void theRuleIsThatOfTheScript() {
        assertThat(GoldenWeights.values("model.norm.weight", 3)).containsExactly(0.5486878156661987f, 0.6378200650215149f,
                0.9020569324493408f);
        assertThat(GoldenWeights.values("lm_head.weight", 2, 3)).containsExactly(0.9855600595474243f, 0.96947181224823f,
                -0.9163014888763428f, -0.154443621635437f, 0.3443315029144287f, 0.9784152507781982f);
    }

    @Test
    void anUnknownFamilyIsATypedError() {
        assertThatThrownBy(() -> Golden.open("../gpt2")).isInstanceOf(CheckpointException.class).hasMessageContaining("mamba2");
    }

    @Test
    void relativeErrorIsTheLargestDifferenceOverTheLargestValue() {
        assertThat(GoldenCheck.relative(new double[] {1, -4.5, 0.25}, new double[] {1, -4, 0})).isEqualTo(0.125);
        assertThat(GoldenCheck.relative(new double[] {0}, new double[] {0})).isZero();
        assertThat(GoldenCheck.relative(new double[] {1e-30}, new double[] {0})).isInfinite();
        assertThat(GoldenCheck.relative(new double[] {Double.NaN, 1}, new double[] {1, 1})).isInfinite();
        assertThat(GoldenCheck.relative(new double[] {Double.POSITIVE_INFINITY, 1}, new double[] {1, 1})).isInfinite();
    }

    @Test
    void aModelThatComputesSomethingElseIsFound() {
        LanguageModelConfig config = LanguageModelConfig.of(97, 24, List.of(LayerSpec.of(new LeakyIntegratorTest.Config())));
        try (Golden golden = Golden.open("llama"); Device device = Device.open("reference");
                LanguageModel model = new LanguageModel(config, new Init(device, DType.F64, new Rng(1)))) {
            GoldenCheck check = new GoldenCheck(golden, model, name -> GoldenCheck.Place.whole("model." + name));
            assertThat(check.logits()).isGreaterThan(0.1);
            assertThat(check.incremental(false)).isGreaterThan(0.1);
            assertThat(check.incremental(true)).isGreaterThan(0.1);
            assertThat(check.equalTokens()).isLessThan(32);
            assertThat(check.loss()).isGreaterThan(1e-3);
            assertThatThrownBy(check::load).isInstanceOf(CheckpointException.class).hasMessageContaining("model.embeddings.weight");
            assertThatThrownBy(check::gradients).isInstanceOf(CheckpointException.class).hasMessageContaining("model.embeddings.weight");
            assertThat(check.losses()).isGreaterThan(1e-3);
        }
    }
}
