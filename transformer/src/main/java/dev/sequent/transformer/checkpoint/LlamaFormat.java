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
 * What checkpoints of Llama and of models derived from it have in common. Source: transformers modeling_llama.py,
 * configuration_llama.py.
 */
abstract class LlamaFormat implements CheckpointFamily {
    private static final Set<String> CARRIED = HubKeys.with("max_position_embeddings", "pretraining_tp");
    private static final int MOST = Integer.MAX_VALUE;

    private final String name;
    private final String architecture;

    LlamaFormat(String name, String architecture) {
        this.name = name;
        this.architecture = architecture;
    }

    @Override
    public final String name() {
        return name;
    }

    @Override
    public final Set<String> carried() {
        return CARRIED;
    }

    /** Window of attention, or 0; {@code given} tells whether the key is there, if only as null. */
    abstract int window(ConfigReader r, boolean given);

    /** Whether projections of attention have biases. */
    abstract boolean attentionBias(ConfigReader r);

    /** Whether feed-forward projections have biases. */
    abstract boolean mlpBias(ConfigReader r);

    /** Key-value heads where the configuration does not say. */
    abstract int defaultKeyValueHeads(int heads);

    /** What this format cannot express of an otherwise suitable layer. */
    abstract Optional<String> refusal(AttentionConfig attention, MlpConfig mlp);

    /** Adds the keys that only this format has. */
    abstract void writeOwn(AttentionConfig attention, MlpConfig mlp, Map<String, Object> m);

    @Override
    public final LanguageModelConfig parse(Map<String, Object> values) {
        ConfigReader r = HubKeys.decoder(name, values, CARRIED);
        r.only("hidden_act", "silu", "swish");
        int width = r.integer("hidden_size", 1, MOST);
        int heads = r.integer("num_attention_heads", 1, MOST);
        if (!r.has("head_dim") && width % heads != 0) {
            throw new ConfigException(name, "a hidden_size that num_attention_heads divides, or head_dim", width + " and " + heads);
        }
        int headWidth = r.has("head_dim") ? r.integer("head_dim", 1, MOST) : width / heads;
        double std = r.number("initializer_range", 0.02);
        int positions = r.integer("max_position_embeddings", 2048, 1, MOST);
        RopeKeys rope = RopeKeys.read(r, name, positions);
        AttentionConfig attention = new AttentionConfig(heads, r.integer("num_key_value_heads", defaultKeyValueHeads(heads), 1, MOST),
                (long) headWidth * heads == width ? 0 : headWidth, rope.theta(), 1, attentionBias(r), false, 1e-6,
                window(r, values.containsKey("sliding_window")),
                r.number("attention_dropout", 0), std, rope.scaling());
        MlpConfig mlp = new MlpConfig("gated", r.integer("intermediate_size", 1, MOST), mlpBias(r));
        LanguageModelConfig config = new LanguageModelConfig(r.integer("vocab_size", 1, MOST), width,
                LayerPattern.repeat(r.integer("num_hidden_layers", 1, LayerPattern.MAX_LAYERS), new LayerSpec(attention, mlp)), "rms",
                r.number("rms_norm_eps", 1e-6), r.flag("tie_word_embeddings", false), 0, 0, std);
        r.done();
        return config;
    }

    @Override
    public final Optional<String> refusal(LanguageModelConfig config) {
        LayerSpec layer = config.uniformLayer().orElse(null);
        if (layer == null) {
            return Optional.of("layers that differ");
        }
        MlpConfig mlp = layer.mlp();
        if (!(layer.mixer() instanceof AttentionConfig a) || mlp == null
                || !mlp.equals(new MlpConfig("gated", mlp.intermediate_size(), mlp.bias()))) {
            return Optional.of("a layer without attention or without a gated feed-forward part");
        }
        if (a.rope_theta() == 0 || a.partial_rotary_factor() != 1 || a.qk_norm()) {
            return Optional.of("attention without rotary embedding of all channels, or with norms of queries and keys: " + a);
        }
        if (!config.norm().equals("rms") || config.max_position_embeddings() > 0 || config.dropout() > 0) {
            return Optional.of("a norm other than RMSNorm, a table of positions, or dropout of residual branches");
        }
        return refusal(a, mlp);
    }

    @Override
    public final Map<String, Object> write(LanguageModelConfig config) {
        LayerSpec layer = config.layers().getFirst();
        AttentionConfig attention = (AttentionConfig) layer.mixer();
        int heads = attention.num_attention_heads();
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("model_type", name);
        m.put("architectures", List.of(architecture));
        m.put("vocab_size", config.vocab_size());
        m.put("hidden_size", config.hidden_size());
        m.put("intermediate_size", layer.mlp().intermediate_size());
        m.put("num_hidden_layers", config.layers().size());
        m.put("num_attention_heads", heads);
        m.put("num_key_value_heads", attention.num_key_value_heads());
        m.put("head_dim", attention.head_dim() > 0 ? attention.head_dim() : config.hidden_size() / heads);
        m.put("hidden_act", "silu");
        m.put("rms_norm_eps", config.norm_eps());
        m.put("tie_word_embeddings", config.tie_word_embeddings());
        m.put("attention_dropout", attention.attention_dropout());
        m.put("initializer_range", config.initializer_range());
        RopeKeys.write(attention, m);
        writeOwn(attention, layer.mlp(), m);
        return m;
    }

    @Override
    public final KeyMap keys(LanguageModelConfig config) {
        KeyMap.Builder keys = KeyMap.builder().optionalPrefix("model.")
                .same("embeddings.*", "model.embed_tokens.*")
                .same("layers.#.norm.*", "model.layers.#.input_layernorm.*")
                .same("layers.#.mixer.*", "model.layers.#.self_attn.*")
                .same("layers.#.mlp_norm.*", "model.layers.#.post_attention_layernorm.*")
                .same("layers.#.mlp.*", "model.layers.#.mlp.*")
                .same("norm_f.*", "model.norm.*")
                .same("lm_head.*", "lm_head.*")
                .ignored("model.layers.#.self_attn.rotary_emb.inv_freq");
        return (config.tie_word_embeddings() ? keys.copy("lm_head.weight", "embeddings.weight") : keys).build();
    }
}
