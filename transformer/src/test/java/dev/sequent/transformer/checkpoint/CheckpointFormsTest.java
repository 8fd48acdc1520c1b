package dev.sequent.transformer.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.model.CheckpointFamilies;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.model.ModelFiles;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.Golden;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The forms in which checkpoints of one family are found in the wild, and what may not be stored. */
class CheckpointFormsTest {
    @TempDir
    Path directory;

    private Device device;
    private Scope scope;

    @BeforeEach
    void open() {
        device = Device.open("cpu", Map.of("threads", "1"));
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    /** A copy of a golden checkpoint with other tensors and another configuration. */
    private void copy(String family, UnaryOperator<String> rename, Consumer<Map<String, Tensor>> tensors, Consumer<Map<String,
            Object>> config) {
        try (Golden golden = Golden.open(family); WeightStore store = WeightStore.open(golden.directory())) {
            Map<String, Tensor> renamed = new LinkedHashMap<>();
            TensorFiles.load(store, device).forEach((name, t) -> renamed.put(rename.apply(name), t));
            tensors.accept(renamed);
            TensorFiles.save(directory.resolve(WeightStore.SINGLE), Map.of(), renamed);
            Map<String, Object> values = values(golden.directory());
            config.accept(values);
            AtomicFiles.write(directory.resolve(ModelFiles.CONFIG), Json.ofJava(values).write());
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> values(Path checkpoint) {
        return (Map<String, Object>) Json.read(checkpoint.resolve(ModelFiles.CONFIG), 1 << 20, Json.Dialect.PYTHON,
                CheckpointException::new).toJava();
    }

    /** The golden's parameters in the copy. */
    private void assertSame(String family) {
        try (Golden golden = Golden.open(family); LanguageModel expected = LanguageModel.load(golden.directory(), device);
                LanguageModel actual = LanguageModel.load(directory, device)) {
            expected.namedParameters().forEach((name, p) ->
                    assertThat(actual.namedParameters().get(name).value().toFloats()).as(name).isEqualTo(p.value().toFloats()));
        }
    }

    /** The first GPT-2 checkpoints: no prefix, masks among the tensors. */
    @Test
    void aBareModelWithBuffersIsRead() {
        copy("gpt2", n -> n.replace("transformer.", ""), t -> {
            t.put("h.0.attn.bias", Tensor.ones(device, DType.F32, 1, 1, 64, 64));
            t.put("h.1.attn.masked_bias", Tensor.zeros(device, DType.F32));
        }, _ -> {});
        assertSame("gpt2");
    }

    @Test
    void buffersOfRotaryEmbeddingsAreIgnored() {
        copy("llama", n -> n, t -> t.put("model.layers.0.self_attn.rotary_emb.inv_freq", Tensor.ones(device, DType.F32, 4)), _ -> {});
        assertSame("llama");
    }

    @Test
    void aTiedHeadMayBeStoredWhenItEqualsTheEmbedding() {
        copy("gpt2", n -> n, t -> t.put("lm_head.weight", t.get("transformer.wte.weight")), _ -> {});
        assertSame("gpt2");
        copy("gpt2", n -> n, t -> t.put("lm_head.weight", t.get("transformer.wte.weight").add(1)), _ -> {});
        assertThatThrownBy(() -> LanguageModel.load(directory,
                device)).isInstanceOf(CheckpointException.class).hasMessageContaining("lm_head.weight")
                .hasMessageContaining("tie_word_embeddings");
        copy("gpt2", n -> n, t -> t.put("lm_head.weight", t.get("transformer.wte.weight").slice(0, 0, 96).contiguous()), _ -> {});
        assertThatThrownBy(() -> LanguageModel.load(directory,
                device)).isInstanceOf(CheckpointException.class).hasMessageContaining("(96, 32)");
    }

    @Test
    void storedTypesBecomeTheOneThatWasAskedFor() {
        copy("llama", n -> n, t -> t.replaceAll((_, x) -> x.cast(DType.BF16)), _ -> {});
        try (LanguageModel wide = LanguageModel.load(directory, device); LanguageModel narrow = LanguageModel.load(directory, device,
                DType.BF16)) {
            wide.namedParameters().forEach((name, p) -> {
                assertThat(p.value().dtype()).isEqualTo(DType.F32);
                assertThat(narrow.namedParameters().get(name).value().toFloats()).as(name).isEqualTo(p.value().toFloats());
            });
        }
        for (DType other : List.of(DType.I32, DType.BOOL, DType.F16)) {
            assertThatThrownBy(() -> LanguageModel.load(directory, device,
                    other)).isInstanceOf(DTypeException.class).hasMessageContaining("F32, BF16 or F64");
        }
    }

    @Test
    void valuesThatDoNotMatterForTheNumbersAreKept() {
        copy("llama", n -> n, _ -> {}, c -> {
            c.put("eos_token_id", List.of(2, 7));
            c.put("max_position_embeddings", 4096);
        });
        try (LanguageModel model = LanguageModel.load(directory, device, DType.BF16)) {
            model.save(directory);
        }
        Map<String, Object> written = values(directory);
        assertThat(written).containsEntry("eos_token_id", List.of(2L, 7L)).containsEntry("max_position_embeddings", 4096L)
                .containsEntry("torch_dtype", "bfloat16").containsEntry("architectures",
                        List.of("LlamaForCausalLM")).doesNotContainKey("dtype");
    }

    @Test
    void aFormatRefusesWhatItCannotExpress() {
        LayerSpec layer = new LayerSpec(AttentionConfig.of(2), MlpConfig.gated(6));
        LanguageModelConfig uniform = LanguageModelConfig.of(11, 8, LayerPattern.repeat(2, layer));
        LanguageModelConfig mixed = LanguageModelConfig.of(11, 8, List.of(layer, LayerSpec.of(AttentionConfig.of(1))));
        try (LanguageModel model = new LanguageModel(uniform, new Init(device, 1)); LanguageModel hybrid = new LanguageModel(mixed,
                new Init(device, 1))) {
            assertThatThrownBy(() -> model.save(directory, "gpt2")).isInstanceOf(ConfigException.class).hasMessageContaining("gpt2");
            assertThatThrownBy(() -> hybrid.save(directory,
                    "llama")).isInstanceOf(ConfigException.class).hasMessageContaining("layers that differ");
            assertThatThrownBy(() -> model.save(directory, "bert")).isInstanceOf(ConfigException.class).hasMessageContaining("llama");
            assertThat(directory).isEmptyDirectory();
            assertThat(CheckpointFamilies.known()).containsKeys("gpt2", "llama", "mistral", ModelFiles.OWN);
            model.save(directory, "mistral");
            try (LanguageModel loaded = LanguageModel.load(directory, device)) {
                assertThat(loaded.family().orElseThrow().name()).isEqualTo("mistral");
                assertThat(loaded.config().layers()).isEqualTo(uniform.layers());
            }
            hybrid.save(directory);
            try (LanguageModel loaded = LanguageModel.load(directory, device)) {
                assertThat(loaded.config()).isEqualTo(mixed);
            }
        }
    }

    @Test
    void theWindowOfMistralIsTransformersUnlessTheConfigurationSaysOtherwise() {
        Map<String, Object> values = new LinkedHashMap<>(Map.of("hidden_size", 8, "num_attention_heads", 2, "num_key_value_heads", 2,
                "intermediate_size", 8, "vocab_size", 5, "num_hidden_layers", 1));
        assertThat(window(values)).as("absent").isEqualTo(4096);
        values.put("sliding_window", null);
        assertThat(window(values)).as("null").isZero();
        values.put("sliding_window", 5);
        assertThat(window(values)).isEqualTo(5);
    }

    private static int window(Map<String, Object> values) {
        return ((AttentionConfig) new MistralFamily().parse(values).layers().getFirst().mixer()).sliding_window();
    }
}
