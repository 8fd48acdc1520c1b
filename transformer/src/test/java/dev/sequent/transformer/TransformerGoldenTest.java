package dev.sequent.transformer;

import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.Golden;
import dev.sequent.testkit.GoldenCheck;
import dev.sequent.type.DType;
import java.util.Locale;
import java.util.function.UnaryOperator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Two-layer Llama (grouped queries, rotary positions) and GPT-2 (learned positions, biases, tied head) models give what Hugging Face transformers
 * gives for them in F64: logits, loss, every gradient, the losses of five AdamW steps, and a greedy continuation. Agreement of Llama in F64 ends
 * where transformers computes norms and angles in F32; GPT-2 is F64 throughout.
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
            GoldenCheck.Place place(String name) {
                String n = name.replace(".mixer.", ".self_attn.").replace(".mlp_norm.", ".post_attention_layernorm.")
                        .replaceFirst("^(layers\\.\\d+)\\.norm\\.", "$1.input_layernorm.").replace("norm_f.", "norm.").replace("embeddings.", "embed_tokens.");
                return GoldenCheck.Place.whole(n.startsWith("lm_head") ? n : "model." + n);
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
            GoldenCheck.Place place(String name) {
                String n = name.replaceFirst("^position_embeddings\\.", "wpe.").replaceFirst("^embeddings\\.", "wte.").replace("norm_f.", "ln_f.")
                        .replace("layers.", "h.").replace(".mlp_norm.", ".ln_2.").replace(".norm.", ".ln_1.").replace(".o_proj.", ".c_proj.")
                        .replace(".mixer.", ".attn.");
                int part = n.contains("q_proj") ? 0 : n.contains("k_proj") ? 1 : n.contains("v_proj") ? 2 : -1;
                UnaryOperator<Tensor> third = t -> part < 0 ? t : t.slice(t.rank() - 1, (long) part * WIDTH, (part + 1L) * WIDTH);
                boolean transposed = n.matches(".*\\.(attn|mlp)\\..*weight");
                return new GoldenCheck.Place("transformer." + n.replaceFirst("[qkv]_proj", "c_attn"),
                        t -> transposed ? third.apply(t).transpose(0, 1) : third.apply(t));
            }
        };

        abstract LanguageModelConfig config();

        abstract GoldenCheck.Place place(String parameter);
    }

    @ParameterizedTest
    @CsvSource({"LLAMA,reference,F64,5e-7,1e-6,1e-8", "LLAMA,cpu,F32,1e-6,2e-6,2e-7", "GPT2,reference,F64,1e-12,1e-12,1e-12", "GPT2,cpu,F32,1e-6,2e-6,2e-7"})
    void modelAgreesWithTransformers(Family family, String backend, DType dtype, double outputs, double gradients, double losses) {
        try (Golden golden = Golden.open(family.name().toLowerCase(Locale.ROOT)); Device device = Device.open(backend);
                LanguageModel model = new LanguageModel(family.config(), new Init(device, dtype, new Rng(1)))) {
            GoldenCheck check = new GoldenCheck(golden, model, family::place);
            check.load();
            check.errors().expectWithin(outputs, gradients, losses);
        }
    }
}
