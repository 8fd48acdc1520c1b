package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.io.WeightStore;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.CheckpointFamilies;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.model.ModelDescription;
import dev.sequent.model.ModelState;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.Golden;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Checkpoints of public families, described from their headers, against the loaded models. */
class DescribeTest {
    private static final long[] LENGTHS = {1, 33, 64};

    static List<String> families() {
        return Golden.FAMILIES.stream().filter(CheckpointFamilies.known()::containsKey).toList();
    }

    @ParameterizedTest
    @MethodSource("families")
    void headersSayWhatTheLoadedModelAllocates(String family) {
        try (Golden golden = Golden.open(family); Device device = Device.open("cpu")) {
            ModelDescription described = ModelDescription.of(golden.directory(), DType.F32, 3, LENGTHS);
            assertThat(described.family()).isEqualTo(family);
            long before = device.memory().liveBytes();
            try (LanguageModel model = LanguageModel.load(golden.directory(),
                    device); WeightStore store = WeightStore.open(golden.directory())) {
                assertThat(described.parameters()).isEqualTo(model.parameterCount());
                assertThat(described.bytes()).isEqualTo(4 * model.parameterCount());
                assertThat(described.parts()).isEqualTo(ModelDescription.of(model).parts());
                assertThat(described.stored().orElseThrow().tensors()).isEqualTo(store.tensors().size());
                for (ModelDescription.Load load : described.loads()) {
                    try (ModelState state = model.newState(new StateSpec(3, (int) load.tokens(), DType.F32, device))) {
                        assertThat(load.stateBytes()).as("%d tokens", load.tokens()).isEqualTo(state.bytes());
                    }
                }
            }
            assertThat(device.memory().liveBytes()).isEqualTo(before);
        }
    }

    @Test
    void aModelThatNoMachineHoldsIsDescribedAtOnce() {
        LayerSpec mamba = LayerSpec.of(MambaConfig.defaults());
        LayerSpec s4d = new LayerSpec(S4dConfig.defaults(), MlpConfig.gated(1 << 16));
        LayerSpec attention = new LayerSpec(AttentionConfig.of(128), MlpConfig.mixture(1 << 16, 64, 2));
        List<LayerSpec> layers = LayerPattern.parse("(MSMA)32", Map.of('M', mamba, 'S', s4d, 'A', attention));
        try (Device shapes = Device.shapes();
                LanguageModel model = new LanguageModel(LanguageModelConfig.of(256_000, 1 << 14, layers), Init.blank(shapes, DType.BF16))) {
            ModelDescription d = ModelDescription.of(model);
            assertThat(d.parameters()).isEqualTo(model.parameterCount()).isGreaterThan(1_000_000_000_000L);
            // two tensors of 2^14 values in two bytes for every token and attention layer
            long cache = 32L * 2 * (1 << 14) * 2;
            assertThat(d.loads().get(3).stateBytes() - d.loads().get(0).stateBytes()).isEqualTo(cache * ((1 << 20) - (1 << 10)));
            assertThat(d.loads().get(0).parameterBytes()).as("two experts of 64").isLessThan(d.bytes() / 10);
            assertThat(d.toString()).contains("128 layers of width 16384", "layers 0, 2, 4, ... 126, each", "mixer (mamba)", "mixer (s4d)",
                    "mlp (experts)");
        }
    }
}
