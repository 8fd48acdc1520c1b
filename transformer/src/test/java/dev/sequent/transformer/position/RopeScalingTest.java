package dev.sequent.transformer.position;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.mixer.Mixers;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.ModelFiles;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.GoldenVariant;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.CapacityException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class RopeScalingTest {
    private static final RopeScaling.LongRope LONG = new RopeScaling.LongRope(4, 16, List.of(1.0, 1.5), List.of(2.0, 8.0), 0, 0);

    static Stream<GoldenVariant> variants() {
        return GoldenVariant.all("llama", "mistral").filter(v -> v.inverseFrequencies().length > 0);
    }

    static Stream<RopeScaling> kinds() {
        return Stream.of(new RopeScaling.Linear(2), new RopeScaling.Dynamic(2, 16, 0), new RopeScaling.Dynamic(2, 16, 64),
                new RopeScaling.Yarn(4, 16, 0, 32, 1, 0, 0, true), new RopeScaling.Yarn(4, 16, 0.5, 8, 2, 0.7, 0.3, false), LONG,
                new RopeScaling.LongRope(4, 16, LONG.short_factor(), LONG.long_factor(), 1.5, 64), new RopeScaling.Llama3(8, 64, 1, 4));
    }

    /** transformers computes in F32. */
    @ParameterizedTest
    @MethodSource("variants")
    void frequenciesEqualThoseOfTransformers(GoldenVariant variant, @TempDir Path directory) {
        variant.write(directory);
        LanguageModelConfig config = ModelFiles.config(directory);
        AttentionConfig a = (AttentionConfig) config.layers().getFirst().mixer();
        int channels = a.head_dim() > 0 ? a.head_dim() : config.hidden_size() / a.num_attention_heads();
        RotaryFrequencies f = a.rope_scaling() == null ? RotaryFrequencies.standard(channels, a.rope_theta())
                : a.rope_scaling().frequencies(channels, a.rope_theta());
        double[] expected = variant.inverseFrequencies();
        assertThat(f.pairs()).isEqualTo(expected.length);
        for (int i = 0; i < expected.length; i++) {
            assertThat(f.inverse(0)[i]).as("pair %d", i).isCloseTo(expected[i], within(5e-7 * expected[i]));
        }
        assertThat(f.attentionFactor()).isCloseTo(variant.attentionFactor(), within(1e-12));
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void aKindIsReadBackFromItsValues(RopeScaling kind) {
        assertThat(RopeScaling.parse(kind.toMap())).isEqualTo(kind);
        AttentionConfig config = AttentionConfig.of(2).withRopeScaling(kind);
        assertThat(Mixers.parse(AttentionConfig.TYPE, config.toMap())).isEqualTo(config);
    }

    /** The kernel reads a table, the decomposition computes each angle: within the training length, at its end, and far beyond. */
    @ParameterizedTest
    @MethodSource("kinds")
    void theKernelEqualsTheDecomposition(RopeScaling kind) {
        RotaryFrequencies frequencies = kind.frequencies(4, 10_000);
        try (Device device = Device.open("cpu", Map.of("poison", "true")); Scope _ = Scope.open()) {
            RotaryEmbedding rotary = new RotaryEmbedding(frequencies);
            int[] positions = Arrays.stream(new int[] {0, 1, 14, 15, 16, 17, 255, 256,
                    700}).filter(p -> p < frequencies.positions()).toArray();
            Tensor x = new Rng(1).uniform(device, DType.F32, -1.0, 1.0, 1, positions.length, 3, 5);
            float[] fused = rotary.apply(x, positions).toFloats();
            assertThat(fused).usingComparatorWithPrecision(2e-5f).containsExactly(rotary.decomposed(x, positions).toFloats());
        }
    }

    @Test
    void dynamicFrequenciesChangeWithThePositionBeyondTheTrainingLength() {
        RotaryFrequencies f = new RopeScaling.Dynamic(2, 16, 0).frequencies(8, 10_000);
        assertThat(f.inverse(15)).isEqualTo(RotaryFrequencies.standard(8, 10_000).inverse(0));
        assertThat(f.inverse(16)[3]).isLessThan(f.inverse(15)[3]);
        assertThat(f.inverse(31)).isEqualTo(new RopeScaling.Dynamic(2, 16, 32).frequencies(8, 10_000).inverse(0));
    }

    @Test
    void shortFactorsEndWithAnErrorThatNamesTheRemedy() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Tensor x = Tensor.zeros(device, DType.F32, 1, 1, 1, 4);
            RotaryEmbedding rotary = new RotaryEmbedding(LONG.frequencies(4, 10_000));
            rotary.apply(x, new int[] {15});
            assertThatThrownBy(() -> rotary.apply(x, new int[] {16})).isInstanceOf(CapacityException.class).hasMessageContaining("below 16")
                    .hasMessageContaining("sequence_length").hasMessageContaining("position 16");
        }
    }

    @Test
    void wrongValuesAreErrors() {
        for (Map<String, Object> bad : List.<Map<String, Object>>of(Map.of(), Map.of("rope_type", "spiral"), Map.of("rope_type", "linear"),
                Map.of("rope_type", "linear", "factor", -2.0), Map.of("rope_type", "linear", "factor", "2"),
                Map.of("rope_type", "linear", "type", "yarn"), Map.of("rope_type", "linear", "factor", 2.0, "speed", 3), Map.of("rope_type",
                "dynamic", "factor", 2.0), Map.of("rope_type", "yarn", "factor", 2.0), Map.of("rope_type", "longrope", "factor", 2.0,
                        "original_max_position_embeddings", 16),
                Map.of("rope_type", "llama3", "factor", 2.0, "original_max_position_embeddings", 16, "low_freq_factor", 4,
                        "high_freq_factor", 4))) {
            assertThatThrownBy(() -> RopeScaling.parse(bad)).as(bad.toString()).isInstanceOf(ConfigException.class);
        }
        assertThatThrownBy(() -> LONG.requireFit(6, 10_000)).isInstanceOf(ConfigException.class).hasMessageContaining("3");
        assertThatThrownBy(() -> new RopeScaling.Dynamic(2, 16, 0).requireFit(2, 10_000)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> new RopeScaling.Yarn(2, 16, 0, 32, 1, 0, 0, true).requireFit(4, 1)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> AttentionConfig.of(2).withRopeTheta(0).withRopeScaling(LONG)).isInstanceOf(ConfigException.class);
    }
}
