package dev.sequent.ssm.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.StoredTensor;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.ModelFiles;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.Golden;
import dev.sequent.type.CheckpointException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The original implementation's format: its configuration, its padded vocabulary, its name of the embedding. */
class MambaSsmFamilyTest {
    /** {@code config.json} of state-spaces/mamba-130m, with the sizes of a tiny model. */
    private static final String FIRST = """
            {"d_model": 8, "n_layer": 2, "vocab_size": 13, "ssm_cfg": {}, "rms_norm": true, "residual_in_fp32": true,
            "fused_add_norm": true,
             "pad_vocab_size_multiple": 8}
            """;
    private static final String SECOND = """
            {"d_model": 8, "d_intermediate": 0, "n_layer": 2, "vocab_size": 13, "ssm_cfg": {"layer": "Mamba2", "headdim": 4, "d_state": 6,
            "ngroups": 2},
             "attn_layer_idx": [], "attn_cfg": {}, "rms_norm": true, "residual_in_fp32": true, "fused_add_norm": true,
             "pad_vocab_size_multiple": 16, "tie_embeddings": true}
            """;

    @TempDir
    Path directory;

    private static LanguageModelConfig config(LayerSpec layer) {
        return new LanguageModelConfig(16, 8, LayerPattern.repeat(2, layer), "rms", 1e-5, true, 0, 0, 0.02);
    }

    @Test
    void configurationsHaveTheDefaultsOfTheOriginal() {
        AtomicFiles.write(directory.resolve(ModelFiles.CONFIG), FIRST);
        assertThat(ModelFiles.config(directory)).isEqualTo(config(LayerSpec.of(MambaConfig.defaults())));
        AtomicFiles.write(directory.resolve(ModelFiles.CONFIG), SECOND);
        assertThat(ModelFiles.config(directory)).isEqualTo(config(LayerSpec.of(Mamba2Config.defaults().withStates(6).withHeads(4, 2))));
    }

    /** A checkpoint with a tied head under its own name, as torch.save leaves it. */
    @Test
    void modelsGoThroughFilesUnchanged() {
        for (String json : List.of(FIRST, SECOND)) {
            AtomicFiles.write(directory.resolve(ModelFiles.CONFIG), json);
            try (Device device = Device.open("cpu"); LanguageModel made = new LanguageModel(ModelFiles.config(directory),
                    new Init(device, 1))) {
                made.save(directory, "mamba_ssm");
                Map<String, Tensor> tensors = new LinkedHashMap<>();
                try (WeightStore store = WeightStore.open(directory); Scope _ = Scope.open()) {
                    tensors.putAll(TensorFiles.load(store, device));
                    assertThat(tensors).containsKey("backbone.embedding.weight").doesNotContainKey("lm_head.weight");
                    tensors.put("lm_head.weight", tensors.get("backbone.embedding.weight"));
                    TensorFiles.save(directory.resolve("with_head"), Map.of(), tensors);
                }
                assertThat(directory.resolve("with_head").toFile().renameTo(directory.resolve(WeightStore.SINGLE).toFile())).isTrue();
                AtomicFiles.write(directory.resolve(ModelFiles.CONFIG), json);
                try (LanguageModel loaded = LanguageModel.load(directory, device)) {
                    assertThat(loaded.family().orElseThrow().name()).isEqualTo("mamba_ssm");
                    assertThat(loaded.config()).isEqualTo(made.config());
                    made.namedParameters().forEach((name, p) ->
                            assertThat(loaded.namedParameters().get(name).value().toFloats()).as(name).isEqualTo(p.value().toFloats()));
                    loaded.save(directory);
                    assertThat(ModelFiles.config(directory)).isEqualTo(made.config());
                    Map<?, ?> written = (Map<?, ?>) Json.read(directory.resolve(ModelFiles.CONFIG), 1 << 20, Json.Dialect.STRICT,
                            CheckpointException::new).toJava();
                    assertThat(written.get("fused_add_norm")).isEqualTo(true);
                    assertThat(written.containsKey("torch_dtype")).as("a key that the original refuses").isFalse();
                }
            }
        }
    }

    /** The same weights in the format of transformers: other names of the embedding and of the configuration. */
    @Test
    void aModelOfTransformersCanBeStoredInTheOriginalsFormat() {
        for (String family : List.of("mamba", "mamba2")) {
            try (Golden golden = Golden.open(family); Device device = Device.open("cpu");
                    LanguageModel model = LanguageModel.load(golden.directory(), device)) {
                model.save(directory, "mamba_ssm");
                try (WeightStore store = WeightStore.open(directory)) {
                    assertThat(store.tensors().stream().map(StoredTensor::name)).contains("backbone.embedding.weight",
                            "backbone.layers.1.mixer.A_log");
                }
                try (LanguageModel again = LanguageModel.load(directory, device)) {
                    again.save(directory, family);
                    try (LanguageModel back = LanguageModel.load(directory, device)) {
                        model.namedParameters().forEach((name, p) ->
                                assertThat(back.namedParameters().get(name).value().toFloats()).as(name).isEqualTo(p.value().toFloats()));
                    }
                }
            }
        }
    }
}
