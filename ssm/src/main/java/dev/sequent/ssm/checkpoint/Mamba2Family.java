package dev.sequent.ssm.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.model.CheckpointFamily;
import dev.sequent.model.HubKeys;
import dev.sequent.model.KeyMap;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Mamba-2 as Hugging Face transformers stores it. transformers normalises the gated output over all channels together, the authors'
 * implementation per group: a model with several groups that was loaded here computes what transformers does. {@code residual_in_fp32}
 * changes nothing for F32 parameters; with BF16 parameters this library adds residuals in BF16. Source: transformers modeling_mamba2.py,
 * configuration_mamba2.py.
 */
public final class Mamba2Family implements CheckpointFamily {
    private static final String NAME = "mamba2";
    private static final int MOST = Integer.MAX_VALUE;
    private static final Set<String> CARRIED = HubKeys.with("residual_in_fp32", "time_step_rank", "norm_before_gate");
    private static final List<String> SHARED = List.of("state_size", "num_heads", "head_dim", "n_groups", "conv_kernel", "chunk_size",
            "expand", "intermediate_size", "time_step_min", "time_step_max", "time_step_floor", "time_step_limit", "use_bias",
            "use_conv_bias", "rescale_prenorm_residual");

    /** For the service loader. */
    public Mamba2Family() {}

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
        r.only("rms_norm", true);
        r.only("is_encoder_decoder", false);
        r.only("add_cross_attention", false);
        r.only("pruned_heads", Map.of());
        int width = r.integer("hidden_size", 1, MOST);
        MambaFamily.requirePositive(r, "num_heads", "intermediate_size");
        double eps = r.number("layer_norm_epsilon", 1e-5);
        Map<String, Object> options = new LinkedHashMap<>(Map.of("num_heads", 128, "n_groups", 8, "rescale_prenorm_residual", false,
                "layer_norm_epsilon", eps, "norm_per_group", false));
        SHARED.stream().filter(r::has).forEach(key -> options.put(key, r.raw(key)));
        Mamba2Config mixer = Mamba2Config.parse(options);
        if ((long) mixer.expand() * width > MOST) {
            throw new ConfigException(NAME, "expand times hidden_size below 2^31", mixer.expand() + " and " + width);
        }
        if (mixer.intermediate_size() == mixer.expand() * width) {
            options.remove("intermediate_size");
            mixer = Mamba2Config.parse(options);
        }
        mixer.heads(width);
        LanguageModelConfig config = new LanguageModelConfig(r.integer("vocab_size", 1, MOST), width,
                LayerPattern.repeat(r.integer("num_hidden_layers", 1, LayerPattern.MAX_LAYERS), LayerSpec.of(mixer)), "rms", eps,
                r.flag("tie_word_embeddings", false), 0, 0, r.number("initializer_range", 0.1));
        r.done();
        return config;
    }

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        Optional<String> reason = MambaFamily.refusal(config, Mamba2Config.class);
        if (reason.isPresent()) {
            return reason;
        }
        Mamba2Config mixer = (Mamba2Config) config.layers().getFirst().mixer();
        if (!mixer.rms_norm() || mixer.n_groups() > 1 && mixer.norm_per_group()) {
            return Optional.of("outputs that are not normalised, or normalised per group");
        }
        if (mixer.layer_norm_epsilon() != config.norm_eps()) {
            return Optional.of("different epsilons of the norms of layers and of outputs");
        }
        return mixer.inner(config.hidden_size()) == (long) mixer.expand() * config.hidden_size() ? Optional.empty()
                : Optional.of("an inner width that is not a multiple of the model's");
    }

    @Override
    public Map<String, Object> write(LanguageModelConfig config) {
        Mamba2Config mixer = (Mamba2Config) config.layers().getFirst().mixer();
        int width = config.hidden_size();
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("model_type", NAME);
        m.put("architectures", List.of("Mamba2ForCausalLM"));
        m.put("vocab_size", config.vocab_size());
        m.put("hidden_size", width);
        m.put("num_hidden_layers", config.layers().size());
        Map<String, Object> own = mixer.toMap();
        SHARED.forEach(key -> m.put(key, own.get(key)));
        m.remove("intermediate_size");
        m.put("num_heads", mixer.heads(width));
        m.put("hidden_act", "silu");
        m.put("rms_norm", true);
        m.put("layer_norm_epsilon", config.norm_eps());
        m.put("initializer_range", config.initializer_range());
        m.put("residual_in_fp32", true);
        m.put("tie_word_embeddings", config.tie_word_embeddings());
        return m;
    }

    @Override
    public KeyMap keys(LanguageModelConfig config) {
        return MambaFamily.keys(config, "backbone.embeddings.", "backbone.embedding.");
    }
}
