package dev.sequent.examples.golden;

import dev.sequent.io.Json;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.Mixers;
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
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/**
 * A tiny model of a family, with what the public PyTorch implementation computes with it: see {@code goldens/make_goldens.py}. Knows how the family's
 * configuration and checkpoint names read in this library.
 */
enum Golden {
    /** Mamba-1: {@code MambaForCausalLM}. */
    MAMBA {
        @Override
        LanguageModelConfig config(Map<String, Object> c) {
            Map<String, Object> mixer = new LinkedHashMap<>();
            for (String key : new String[] {"state_size", "conv_kernel", "expand", "intermediate_size", "time_step_rank", "time_step_scale", "time_step_min",
                "time_step_max", "time_step_floor", "time_step_init_scheme", "use_bias", "use_conv_bias", "rescale_prenorm_residual"}) {
                mixer.put(key, c.get(key));
            }
            return new LanguageModelConfig(integer(c, "vocab_size"), integer(c, "hidden_size"),
                    LayerPattern.repeat(integer(c, "num_hidden_layers"), LayerSpec.of(Mixers.parse("mamba", mixer))), "rms",
                    (Double) c.get("layer_norm_epsilon"), true, 0, 0, 0.02);
        }

        @Override
        Map<String, Tensor> convert(String name, Tensor t) {
            return Map.of(name.substring("backbone.".length()), t);
        }
    },

    /** Llama: {@code LlamaForCausalLM}. */
    LLAMA {
        @Override
        LanguageModelConfig config(Map<String, Object> c) {
            Map<String, Object> mixer = new LinkedHashMap<>();
            for (String key : new String[] {"num_attention_heads", "num_key_value_heads", "head_dim", "attention_bias"}) {
                mixer.put(key, c.get(key));
            }
            mixer.put("rope_theta", ((Map<?, ?>) c.get("rope_parameters")).get("rope_theta"));
            LayerSpec layer = new LayerSpec(Mixers.parse("attention", mixer), MlpConfig.gated(integer(c, "intermediate_size")));
            return new LanguageModelConfig(integer(c, "vocab_size"), integer(c, "hidden_size"), LayerPattern.repeat(integer(c, "num_hidden_layers"), layer), "rms",
                    (Double) c.get("rms_norm_eps"), false, 0, 0, 0.02);
        }

        @Override
        Map<String, Tensor> convert(String name, Tensor t) {
            String own = name.startsWith("model.") ? name.substring("model.".length()) : name;
            return Map.of(own.replace("embed_tokens", "embeddings").replace("input_layernorm", "norm").replace("self_attn", "mixer")
                    .replace("post_attention_layernorm", "mlp_norm").replaceFirst("^norm\\.", "norm_f."), t);
        }
    },

    /** GPT-2: {@code GPT2LMHeadModel}, whose projections are stored transposed and, in attention, joined. */
    GPT2 {
        @Override
        LanguageModelConfig config(Map<String, Object> c) {
            Map<String, Object> mixer = Map.of("num_attention_heads", c.get("n_head"), "rope_theta", 0, "attention_bias", true);
            int width = integer(c, "n_embd");
            LayerSpec layer = new LayerSpec(Mixers.parse("attention", mixer), new MlpConfig("gelu_tanh", 4 * width, true));
            return new LanguageModelConfig(integer(c, "vocab_size"), width, LayerPattern.repeat(integer(c, "n_layer"), layer), "layer",
                    (Double) c.get("layer_norm_epsilon"), true, integer(c, "n_positions"), 0, 0.02);
        }

        @Override
        Map<String, Tensor> convert(String name, Tensor stored) {
            String own = name.substring("transformer.".length()).replaceFirst("^h\\.", "layers.").replace("ln_1", "norm").replace("ln_2", "mlp_norm")
                    .replace("ln_f", "norm_f").replace("wte", "embeddings").replace("wpe", "position_embeddings").replace("attn.c_proj", "mixer.o_proj");
            Tensor t = own.matches(".*(c_attn|c_fc|c_proj|o_proj)\\.weight") ? stored.transpose(0, 1) : stored;
            if (!own.contains("c_attn")) {
                return Map.of(own, t);
            }
            Map<String, Tensor> split = new LinkedHashMap<>();
            long rows = t.dim(0) / 3;
            for (int i = 0; i < 3; i++) {
                split.put(own.replace("attn.c_attn", "mixer." + "qkv".charAt(i) + "_proj"), t.slice(0, i * rows, (i + 1) * rows));
            }
            return split;
        }
    };

    /**
     * Largest relative error of an F64 model. PyTorch computed GPT-2 in F64 throughout, and the two agree to the last digits; its Mamba and Llama compute
     * norms, rotary angles and A in F32 whatever the model's type, which leaves up to 6e-7.
     */
    double tolerance() {
        return this == GPT2 ? 1e-12 : 1e-6;
    }

    abstract LanguageModelConfig config(Map<String, Object> stored);

    /** A stored tensor (a parameter, or its gradient) as the tensors of this library's model. */
    abstract Map<String, Tensor> convert(String name, Tensor stored);

    private static int integer(Map<String, Object> config, String key) {
        return ((Long) config.get(key)).intValue();
    }

    private Path directory() {
        try {
            return Path.of(Objects.requireNonNull(Golden.class.getResource("/goldens/" + name().toLowerCase(Locale.ROOT) + "/config.json")).toURI())
                    .getParent();
        } catch (URISyntaxException e) {
            throw new AssertionError(e);
        }
    }

    /** The model with the stored weights. */
    LanguageModel model(Device device, DType dtype) {
        Map<String, Object> config = new LinkedHashMap<>();
        Json json = Json.read(directory().resolve("config.json"), 1 << 20, Json.Dialect.STRICT, ConfigException::new);
        ((Map<?, ?>) json.toJava()).forEach((k, v) -> config.put(String.valueOf(k), v));
        LanguageModel model = new LanguageModel(config(config), new Init(device, dtype, new Rng(1)));
        try (Scope _ = Scope.open(); WeightStore store = WeightStore.open(directory())) {
            Map<String, Parameter> left = model.namedParameters();
            TensorFiles.load(store, device, dtype).forEach((name, t) -> convert(name, t).forEach((own, value) -> {
                Parameter p = Objects.requireNonNull(left.remove(own), own);
                p.value().write(value.contiguous(), new long[value.rank()]);
            }));
            if (!left.isEmpty()) {
                throw new AssertionError("parameters without a stored value: " + left.keySet());
            }
        }
        return model;
    }

    /** The expected values; see the generator for their names. They join the innermost scope. */
    Map<String, Tensor> values(Device device) {
        try (WeightStore store = WeightStore.open(directory().resolve("golden.safetensors"))) {
            return TensorFiles.load(store, device);
        }
    }
}
