package dev.sequent.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.generate.Generator;
import dev.sequent.generate.Sampling;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.type.DType;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Two-layer Llama (grouped queries, rotary positions) and GPT-2 (learned positions, biases, tied head) models give what Hugging Face transformers
 * gives for them in F64 (versions in the metadata of the golden files): logits, loss, every gradient, the losses of five AdamW
 * steps, and a greedy continuation. Agreement of Llama in F64 ends where transformers computes norms and angles in F32.
 */
class TransformerGoldenTest {
    private static final int VOCABULARY = 97;
    private static final int WIDTH = 32;

    private enum Family {
        LLAMA {
            @Override
            LanguageModelConfig config() {
                LayerSpec layer = new LayerSpec(AttentionConfig.of(4).withKeyValueHeads(2), MlpConfig.gated(48));
                return new LanguageModelConfig(VOCABULARY, WIDTH, LayerPattern.repeat(2, layer), "rms", 1e-6, false, 0, 0, 0.02);
            }

            @Override
            Tensor find(Map<String, Tensor> stored, String prefix, String name) {
                String n = name.replace(".mixer.", ".self_attn.").replace(".mlp_norm.", ".post_attention_layernorm.")
                        .replaceFirst("^(layers\\.\\d+)\\.norm\\.", "$1.input_layernorm.").replace("norm_f.", "norm.").replace("embeddings.", "embed_tokens.");
                return stored.get(prefix + (n.startsWith("lm_head") ? n : "model." + n));
            }
        },
        GPT2 {
            @Override
            LanguageModelConfig config() {
                AttentionConfig attention = new AttentionConfig(4, 4, 0, 0, 1, true, false, 1e-6, 0, 0, 0.02);
                LayerSpec layer = new LayerSpec(attention, new MlpConfig("gelu_tanh", 4 * WIDTH, true));
                return new LanguageModelConfig(VOCABULARY, WIDTH, LayerPattern.repeat(2, layer), "layer", 1e-5, true, 64, 0, 0.02);
            }

            /** Projections are stored as (in, out), those of queries, keys and values side by side. */
            @Override
            Tensor find(Map<String, Tensor> stored, String prefix, String name) {
                String n = name.replaceFirst("^position_embeddings\\.", "wpe.").replaceFirst("^embeddings\\.", "wte.").replace("norm_f.", "ln_f.")
                        .replace("layers.", "h.").replace(".mlp_norm.", ".ln_2.").replace(".norm.", ".ln_1.").replace(".o_proj.", ".c_proj.")
                        .replace(".mixer.", ".attn.");
                int part = n.contains("q_proj") ? 0 : n.contains("k_proj") ? 1 : n.contains("v_proj") ? 2 : -1;
                Tensor t = stored.get(prefix + "transformer." + n.replaceFirst("[qkv]_proj", "c_attn"));
                Tensor own = part < 0 ? t : t.slice(t.rank() - 1, (long) part * WIDTH, (part + 1L) * WIDTH);
                return n.matches(".*\\.(attn|mlp)\\..*weight") ? own.transpose(0, 1) : own;
            }
        };

        abstract LanguageModelConfig config();

        /** A stored tensor in the layout of the parameter {@code name}. */
        abstract Tensor find(Map<String, Tensor> stored, String prefix, String name);

        Path file(String name) {
            try {
                return Path.of(TransformerGoldenTest.class.getResource("/goldens/" + name().toLowerCase(java.util.Locale.ROOT) + "/" + name).toURI());
            } catch (URISyntaxException e) {
                throw new AssertionError(e);
            }
        }

        LanguageModel load(Device device, DType dtype) {
            LanguageModel model = new LanguageModel(config(), new Init(device, dtype, new Rng(1)));
            try (WeightStore store = WeightStore.open(file("model.safetensors")); Scope _ = Scope.open()) {
                Map<String, Tensor> stored = TensorFiles.load(store, device);
                model.namedParameters().forEach((name, p) -> p.set(find(stored, "", name).cast(dtype).contiguous().alias()));
            }
            return model;
        }
    }

    private static Tensor loss(Tensor logits, Tensor ids) {
        long time = ids.dim(1);
        return CrossEntropy.loss(logits.slice(1, 0, time - 1).reshape(-1, VOCABULARY), ids.slice(1, 1, time).reshape(-1));
    }

    private static void close(String what, double[] actual, double[] expected, double tolerance) {
        assertThat(actual.length).as(what).isEqualTo(expected.length);
        double scale = 0;
        for (double e : expected) {
            scale = Math.max(scale, Math.abs(e));
        }
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).as("%s, element %d, scale %g", what, i, scale).isCloseTo(expected[i], within(tolerance * Math.max(scale, 1e-4)));
        }
    }

    @ParameterizedTest
    @CsvSource({"LLAMA,reference,F64,1e-6", "LLAMA,cpu,F32,2e-5", "GPT2,reference,F64,1e-9", "GPT2,cpu,F32,2e-5"})
    void modelAgreesWithTransformers(Family family, String backend, DType dtype, double tolerance) {
        try (Device device = Device.open(backend); Scope _ = Scope.open(); LanguageModel model = family.load(device, dtype);
                WeightStore golden = WeightStore.open(family.file("golden.safetensors"))) {
            Map<String, Tensor> expected = TensorFiles.load(golden, device);
            Tensor ids = expected.get("input_ids");
            Gradients g = Autograd.valueAndGrad(model.parameters(), () -> loss(model.forward(ids, SequenceInfo.of(ids)), ids));
            close("logits", model.forward(ids, SequenceInfo.of(ids)).toDoubles(), expected.get("logits").toDoubles(), tolerance);
            close("loss", g.loss().toDoubles(), expected.get("loss").toDoubles(), tolerance);
            model.namedParameters().forEach((name, p) ->
                    close("gradient of " + name, g.of(p).toDoubles(), family.find(expected, "grad.", name).toDoubles(), 5 * tolerance));
        }
    }

    @ParameterizedTest
    @CsvSource({"LLAMA,reference,F64,1e-6", "LLAMA,cpu,F32,1e-3", "GPT2,cpu,F32,1e-3"})
    void trainingAndGenerationAgreeWithTransformers(Family family, String backend, DType dtype, double tolerance) {
        try (Device device = Device.open(backend); Scope _ = Scope.open(); LanguageModel model = family.load(device, dtype);
                WeightStore golden = WeightStore.open(family.file("golden.safetensors"));
                AdamW optimizer = new AdamW(model.namedParameters(), new AdamW.Settings(0.9, 0.95, 1e-8, 0))) {
            Map<String, Tensor> expected = TensorFiles.load(golden, device);
            Tensor ids = expected.get("input_ids");
            long[] tokens = ids.slice(1, 0, 8).toLongs();
            int[][] prompts = new int[2][8];
            for (int i = 0; i < tokens.length; i++) {
                prompts[i / 8][i % 8] = (int) tokens[i];
            }
            int[][] generated = new Generator(model).generate(prompts, new Generator.Request(16, Sampling.greedy(), Set.of()), (_, _) -> true);
            long[] continuation = expected.get("generated").toLongs();
            for (int i = 0; i < continuation.length; i++) {
                assertThat(generated[i / 16][i % 16]).as("token %d", i).isEqualTo((int) continuation[i]);
            }
            double[] losses = expected.get("losses").toDoubles();
            for (int step = 0; step < losses.length; step++) {
                Gradients g = Autograd.valueAndGrad(model.parameters(), () -> loss(model.forward(ids, SequenceInfo.of(ids)), ids));
                assertThat(g.loss().item()).as("loss before step %d", step + 1).isCloseTo(losses[step], within(tolerance));
                Map<Parameter, Tensor> gradients = new HashMap<>();
                model.parameters().forEach(p -> gradients.put(p, g.of(p)));
                optimizer.step(gradients, 1e-2, 1);
            }
        }
    }
}
