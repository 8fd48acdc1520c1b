package dev.sequent.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.cost.Workload;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Descriptions against what is allocated. The mixers and families of other modules are in the tests of the examples. */
class ModelDescriptionTest {
    @TempDir
    Path directory;

    @Test
    void aDescriptionCountsWhatIsAllocated() {
        try (Device device = Device.open("reference");
                LanguageModel model = new LanguageModel(ToyModels.rich(), new Init(device, DType.F64, new Rng(1)))) {
            ModelDescription d = ModelDescription.of(model, 3, 1, 17, 24);
            assertThat(d.parameters()).isEqualTo(model.parameterCount());
            assertThat(d.bytes()).isEqualTo(8 * model.parameterCount());
            assertThat(d.dtype()).isEqualTo(DType.F64);
            assertThat(d.stored()).isEmpty();
            assertThat(d.loads()).extracting(ModelDescription.Load::tokens).containsExactly(1L, 17L, 24L);
            for (ModelDescription.Load load : d.loads()) {
                StateSpec spec = new StateSpec(3, (int) load.tokens(), DType.F64, device);
                try (ModelState state = model.newState(spec)) {
                    assertThat(load.stateBytes()).isEqualTo(state.bytes());
                }
                StateCost cost = model.cost(spec);
                assertThat(load.flopsPerToken()).isEqualTo(model.work(Workload.decode(1, load.tokens(), DType.F64)).flops());
                assertThat(load.parameterBytes()).isEqualTo(cost.parameterBytes());
            }
        }
    }

    @Test
    void partsAddUpToTheModel() {
        try (Device device = Device.open("reference"); LanguageModel model = ToyModels.create(ToyModels.rich(), device)) {
            ModelDescription d = ModelDescription.of(model);
            StateCost whole = model.cost(new StateSpec(1, 1, DType.F32, device));
            StateCost sum = d.parts().stream().map(ModelDescription.Part::cost).reduce(new StateCost(0, 0, 0), StateCost::plus);
            assertThat(sum.fixedBytes()).isEqualTo(whole.fixedBytes());
            assertThat(sum.bytesPerToken()).isEqualTo(whole.bytesPerToken());
            assertThat(sum.parameterBytes()).isEqualTo(whole.parameterBytes());
            double flops = d.parts().stream().mapToDouble(p -> p.work().flops()).sum();
            assertThat(flops).isCloseTo(model.work(Workload.decode(1, 0, DType.F32)).flops(), within(1e-6));
            assertThat(d.parts()).extracting(ModelDescription.Part::name).containsExactly("embeddings", "position_embeddings", "layers.0",
                    "layers.1", "layers.2", "layers.3", "layers.4", "layers.5", "norm_f", "lm_head");
            for (ModelDescription.Part part : d.parts()) {
                if (!part.parts().isEmpty()) {
                    assertThat(part.parts().stream().mapToLong(ModelDescription.Part::parameters).sum()).isEqualTo(part.parameters());
                }
            }
            assertThat(d.parts().get(3).parts()).extracting(ModelDescription.Part::kind)
                    .containsExactly("layer", "leaky", "layer", "gelu_tanh");
        }
    }

    @Test
    void aCheckpointIsDescribedFromItsHeadersAsTheLoadedModel() throws IOException {
        try (Device device = Device.open("reference"); LanguageModel model = ToyModels.create(ToyModels.rich(), device)) {
            ModelFiles.save(model, directory);
            ModelDescription loaded = ModelDescription.of(model, 2, 5);
            ModelDescription stored = ModelDescription.of(directory, DType.F32, 2, 5);
            assertThat(stored.parts()).isEqualTo(loaded.parts());
            assertThat(stored.loads()).isEqualTo(loaded.loads());
            assertThat(stored.family()).isEqualTo("sequent");
            ModelDescription.Stored files = stored.stored().orElseThrow();
            assertThat(files.tensors()).isEqualTo(model.namedParameters().size());
            assertThat(files.bytes()).isEqualTo(4 * model.parameterCount());
            assertThat(files.values()).isEqualTo(Map.of(DType.F32, model.parameterCount()));
            assertThat(ModelDescription.of(directory, DType.BF16, 2, 5).bytes()).isEqualTo(2 * model.parameterCount());
        }
    }

    @Test
    void layersThatAreAlikeAreShownOnce() {
        try (Device device = Device.open("reference"); LanguageModel model = ToyModels.create(ToyModels.rich(), device)) {
            assertThat(ModelDescription.of(model).loads()).extracting(ModelDescription.Load::tokens).containsExactly(24L);
            String text = ModelDescription.of(model, 1, 1 << 10).toString();
            assertThat(text).contains("sequent: 6 layers of width 8, vocabulary 13, at most 24 positions", "layers 0, 2, each",
                    "layers 1, 3, each", "layer 4 ",
                    "mixer (leaky)", "mlp (gelu_tanh)", "leaky: channels 1", "leaky: channels 3", "lm_head (linear)",
                            "1,024 tokens (beyond its positions)");
            assertThat(text.lines().mapToInt(String::length).max().orElseThrow()).isLessThan(120);
            assertThat(text).doesNotContain("null").doesNotContain("NaN");
        }
    }

    @Test
    void brokenCheckpointsAreTypedErrors() throws IOException {
        assertThatThrownBy(() -> ModelDescription.of(directory.resolve("missing"))).isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> ModelDescription.of(directory)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("config.json");
        try (Device device = Device.open("reference"); LanguageModel model = ToyModels.create(ToyModels.rich(), device)) {
            ModelFiles.save(model, directory);
            assertThatThrownBy(() -> ModelDescription.of(model, 0, 1)).isInstanceOf(ConfigException.class);
            assertThatThrownBy(() -> ModelDescription.of(model, 1, 0)).isInstanceOf(ConfigException.class);
            assertThatThrownBy(() -> ModelDescription.of(model, 1, 1L << 31)).isInstanceOf(ConfigException.class);
        }
        assertThatThrownBy(() -> ModelDescription.of(directory, DType.I32, 1, 1)).isInstanceOf(DTypeException.class);
        Path config = directory.resolve(ModelFiles.CONFIG);
        String whole = Files.readString(config);
        Files.writeString(config, whole.replaceFirst("\"channels\": *3", "\"channels\": 4"));
        assertThatThrownBy(() -> ModelDescription.of(directory)).isInstanceOf(CheckpointException.class).hasMessageContaining("mixer");
        Files.writeString(config, whole.replaceFirst("\"channels\": *3", "\"channels\": 100000000"));
        assertThatThrownBy(() -> ModelDescription.of(directory)).isInstanceOf(CheckpointException.class);
        Files.writeString(config, whole);
        Path weights = directory.resolve(WeightStore.SINGLE);
        byte[] bytes = Files.readAllBytes(weights);
        Files.write(weights, java.util.Arrays.copyOf(bytes, bytes.length - 1));
        assertThatThrownBy(() -> ModelDescription.of(directory)).isInstanceOf(CheckpointException.class);
        Files.delete(weights);
        assertThatThrownBy(() -> ModelDescription.of(directory)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining(WeightStore.SINGLE);
    }
}
