package dev.sequent.transformer.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.model.CheckpointFamily;
import dev.sequent.model.HubKeys;
import dev.sequent.model.KeyMap;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * GPT-2 (Radford et al. 2019) as transformers stores it: learned positions, LayerNorm, biases everywhere, GELU. Projections are stored as
 * (in, out), those of queries, keys and values as one tensor. Source: transformers modeling_gpt2.py, configuration_gpt2.py.
 */
public final class Gpt2Family implements CheckpointFamily {
    private static final String NAME = "gpt2";
    private static final Set<String> CARRIED = HubKeys.with("n_ctx", "reorder_and_upcast_attn", "summary_activation",
            "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj");

    /** For the service loader. */
    public Gpt2Family() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public Set<String> carried() {
        return CARRIED;
    }

    @Override
    public LanguageModelConfig parse(Map<String, Object> values) {
        ConfigReader r = HubKeys.decoder(NAME, values, CARRIED);
        r.only("scale_attn_weights", true);
        r.only("scale_attn_by_inverse_layer_idx", false);
        int width = r.integer("n_embd", 1, Integer.MAX_VALUE);
        int heads = r.integer("n_head", 1, Integer.MAX_VALUE);
        if (width % heads != 0) {
            throw new ConfigException(NAME, "an n_embd that n_head divides", width + " and " + heads);
        }
        double std = r.number("initializer_range", 0.02);
        double dropout = r.number("resid_pdrop", 0.1);
        if (r.number("embd_pdrop", 0.1) != dropout) {
            throw new ConfigException(NAME, "equal resid_pdrop and embd_pdrop", dropout + " and " + r.number("embd_pdrop", 0.1));
        }
        AttentionConfig attention = new AttentionConfig(heads, heads, 0, 0, 1, true, false, 1e-6, 0, r.number("attn_pdrop", 0.1), std);
        r.only("activation_function", "gelu_new", "gelu_pytorch_tanh", "gelu");
        String activation = r.text("activation_function", "gelu_new").equals("gelu") ? "gelu" : "gelu_tanh";
        int inner = r.has("n_inner") ? r.integer("n_inner", 1, Integer.MAX_VALUE) : (int) Math.min(4L * width, Integer.MAX_VALUE);
        LayerSpec layer = new LayerSpec(attention, new MlpConfig(activation, inner, true));
        LanguageModelConfig config = new LanguageModelConfig(r.integer("vocab_size", 1, Integer.MAX_VALUE), width,
                LayerPattern.repeat(r.integer("n_layer", 1, LayerPattern.MAX_LAYERS), layer), "layer", r.number("layer_norm_epsilon", 1e-5),
                r.flag("tie_word_embeddings", true), r.integer("n_positions", 1, Integer.MAX_VALUE), dropout, std);
        r.done();
        return config;
    }

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        LayerSpec layer = config.uniformLayer().orElse(null);
        if (layer == null) {
            return Optional.of("layers that differ");
        }
        if (!(layer.mixer() instanceof AttentionConfig a) || layer.mlp() == null) {
            return Optional.of("a layer without attention or without a feed-forward part");
        }
        AttentionConfig standard = new AttentionConfig(a.num_attention_heads(), a.num_attention_heads(), 0, 0, 1, true, false,
                a.rms_norm_eps(), 0, a.attention_dropout(), a.initializer_range());
        if (!a.equals(standard)) {
            return Optional.of("attention other than multi-head with biases, without rotary embedding, window or norms: " + a);
        }
        if (layer.mlp().type().equals("gated") || !layer.mlp().bias()) {
            return Optional.of("a feed-forward part that is gated or has no biases");
        }
        if (!config.norm().equals("layer") || config.max_position_embeddings() == 0) {
            return Optional.of("a norm other than LayerNorm, or no table of positions");
        }
        return Optional.empty();
    }

    @Override
    public Map<String, Object> write(LanguageModelConfig config) {
        LayerSpec layer = config.layers().getFirst();
        AttentionConfig attention = (AttentionConfig) layer.mixer();
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("model_type", NAME);
        m.put("architectures", List.of("GPT2LMHeadModel"));
        m.put("vocab_size", config.vocab_size());
        m.put("n_positions", config.max_position_embeddings());
        m.put("n_embd", config.hidden_size());
        m.put("n_layer", config.layers().size());
        m.put("n_head", attention.num_attention_heads());
        m.put("n_inner", layer.mlp().intermediate_size());
        m.put("activation_function", layer.mlp().type().equals("gelu") ? "gelu" : "gelu_new");
        m.put("resid_pdrop", config.dropout());
        m.put("embd_pdrop", config.dropout());
        m.put("attn_pdrop", attention.attention_dropout());
        m.put("layer_norm_epsilon", config.norm_eps());
        m.put("initializer_range", config.initializer_range());
        m.put("scale_attn_weights", true);
        m.put("scale_attn_by_inverse_layer_idx", false);
        m.put("tie_word_embeddings", config.tie_word_embeddings());
        return m;
    }

    @Override
    public KeyMap keys(LanguageModelConfig config) {
        KeyMap.Builder keys = KeyMap.builder().optionalPrefix("transformer.")
                .same("embeddings.*", "transformer.wte.*")
                .same("position_embeddings.*", "transformer.wpe.*")
                .same("layers.#.norm.*", "transformer.h.#.ln_1.*")
                .same("layers.#.mlp_norm.*", "transformer.h.#.ln_2.*")
                .transposed("layers.#.mixer.o_proj.*", "transformer.h.#.attn.c_proj.*")
                .transposed("layers.#.mlp.*", "transformer.h.#.mlp.*")
                .same("norm_f.*", "transformer.ln_f.*")
                .same("lm_head.*", "lm_head.*")
                .ignored("transformer.h.#.attn.bias")
                .ignored("transformer.h.#.attn.masked_bias");
        for (String part : List.of("weight", "bias")) {
            keys.joinedTransposed("transformer.h.#.attn.c_attn." + part, "layers.#.mixer.q_proj." + part, "layers.#.mixer.k_proj." + part,
                    "layers.#.mixer.v_proj." + part);
        }
        return (config.tie_word_embeddings() ? keys.copy("lm_head.weight", "embeddings.weight") : keys).build();
    }
}
