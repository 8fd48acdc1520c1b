package dev.sequent.ssm.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.model.CheckpointFamily;
import dev.sequent.model.HubKeys;
import dev.sequent.model.KeyMap;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Mamba-1 as Hugging Face transformers stores it. {@code residual_in_fp32} changes nothing for F32 parameters; with BF16 parameters this
 * library adds residuals in BF16. Source: transformers modeling_mamba.py, configuration_mamba.py.
 */
public final class MambaFamily implements CheckpointFamily {
    private static final String NAME = "mamba";
    private static final int MOST = Integer.MAX_VALUE;
    private static final Set<String> CARRIED = HubKeys.with("residual_in_fp32", "use_mambapy", "use_associative_scan");
    private static final List<String> SHARED = List.of("state_size", "conv_kernel", "expand", "intermediate_size", "time_step_rank",
            "time_step_scale", "time_step_min", "time_step_max", "time_step_floor", "time_step_init_scheme", "use_bias", "use_conv_bias",
            "rescale_prenorm_residual");

    /** For the service loader. */
    public MambaFamily() {}

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
        ConfigReader r = new ConfigReader(NAME, values);
        r.ignore(CARRIED);
        r.only("hidden_act", "silu", "swish");
        r.only("is_encoder_decoder", false);
        r.only("add_cross_attention", false);
        r.only("pruned_heads", Map.of());
        int width = r.integer("hidden_size", 1, MOST);
        requirePositive(r, "intermediate_size", "auto".equals(r.raw("time_step_rank")) ? "state_size" : "time_step_rank");
        Map<String, Object> options = new LinkedHashMap<>(Map.of("rescale_prenorm_residual", false));
        SHARED.stream().filter(r::has).forEach(key -> options.put(key, r.raw(key)));
        MambaConfig mixer = MambaConfig.parse(options);
        if ((long) mixer.expand() * width > MOST) {
            throw new ConfigException(NAME, "expand times hidden_size below 2^31", mixer.expand() + " and " + width);
        }
        if (mixer.intermediate_size() == mixer.expand() * width) {
            options.remove("intermediate_size");
            mixer = MambaConfig.parse(options);
        }
        LanguageModelConfig config = new LanguageModelConfig(r.integer("vocab_size", 1, MOST), width,
                LayerPattern.repeat(r.integer("num_hidden_layers", 1, LayerPattern.MAX_LAYERS), LayerSpec.of(mixer)), "rms",
                r.number("layer_norm_epsilon", 1e-5), r.flag("tie_word_embeddings", true), 0, 0, r.number("initializer_range", 0.1));
        r.done();
        return config;
    }

    /** Zero, with which our configurations ask for the usual value, is none of Hugging Face's. */
    static void requirePositive(ConfigReader r, String... keys) {
        for (String key : keys) {
            r.integer(key, 1, 1, MOST);
        }
    }

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        return refusal(config, MambaConfig.class);
    }

    /** Why layers other than equal ones of one kind of mixer, with RMSNorm and nothing else, cannot be expressed. */
    static Optional<String> refusal(LanguageModelConfig config, Class<?> mixer) {
        LayerSpec layer = config.uniformLayer().orElse(null);
        if (layer == null) {
            return Optional.of("layers that differ");
        }
        if (!mixer.isInstance(layer.mixer()) || layer.mlp() != null) {
            return Optional.of("a layer with another mixer or with a feed-forward part: " + layer);
        }
        if (layer.mixer() instanceof MambaConfig m && m.select_norm_eps() > 0) {
            return Optional.of("norms of dt, B and C, which Jamba has");
        }
        if (!config.norm().equals("rms") || config.max_position_embeddings() > 0 || config.dropout() > 0) {
            return Optional.of("a norm other than RMSNorm, a table of positions, or dropout");
        }
        return Optional.empty();
    }

    @Override
    public Map<String, Object> write(LanguageModelConfig config) {
        MambaConfig mixer = (MambaConfig) config.layers().getFirst().mixer();
        int width = config.hidden_size();
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("model_type", NAME);
        m.put("architectures", List.of("MambaForCausalLM"));
        m.put("vocab_size", config.vocab_size());
        m.put("hidden_size", width);
        m.put("num_hidden_layers", config.layers().size());
        Map<String, Object> own = mixer.toMap();
        SHARED.forEach(key -> m.put(key, own.get(key)));
        m.put("intermediate_size", mixer.inner(width));
        m.put("time_step_rank", mixer.rank(width));
        m.put("hidden_act", "silu");
        m.put("layer_norm_epsilon", config.norm_eps());
        m.put("initializer_range", config.initializer_range());
        m.put("residual_in_fp32", true);
        m.put("tie_word_embeddings", config.tie_word_embeddings());
        return m;
    }

    @Override
    public KeyMap keys(LanguageModelConfig config) {
        return keys(config, "backbone.embeddings.", "backbone.embedding.");
    }

    /**
     * The keys of a model whose layers have the same names here and there.
     *
     * @param embedding start of the embedding's key
     * @param alternative another one that is read
     */
    static KeyMap keys(LanguageModelConfig config, String embedding, String alternative) {
        KeyMap.Builder keys = KeyMap.builder().optionalPrefix("backbone.")
                .same("embeddings.*", embedding + "*")
                .same("layers.#.*", "backbone.layers.#.*")
                .same("norm_f.*", "backbone.norm_f.*")
                .same("lm_head.*", "lm_head.*")
                .alias(embedding, alternative);
        return (config.tie_word_embeddings() ? keys.copy("lm_head.weight", "embeddings.weight") : keys).build();
    }
}
