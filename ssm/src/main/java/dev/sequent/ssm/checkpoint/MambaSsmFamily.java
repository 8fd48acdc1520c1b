package dev.sequent.ssm.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.model.CheckpointFamily;
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
 * Mamba-1 as the original implementation (state-spaces/mamba) stores it: a {@code config.json} without {@code model_type}, with {@code d_model},
 * {@code n_layer} and {@code ssm_cfg}. The table of embeddings has {@code vocab_size} rows, rounded up to a multiple of
 * {@code pad_vocab_size_multiple}; the model's vocabulary is the rounded one. Source: mamba_ssm models/config_mamba.py, models/mixer_seq_simple.py,
 * modules/mamba_simple.py.
 */
public final class MambaSsmFamily implements CheckpointFamily {
    private static final String NAME = "mamba_ssm";
    private static final int MOST = Integer.MAX_VALUE;
    private static final double EPS = 1e-5;
    private static final Set<String> CARRIED = Set.of("model_type", "residual_in_fp32", "fused_add_norm");

    /** For the service loader. */
    public MambaSsmFamily() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public boolean reads(Map<String, Object> values) {
        return values.get("model_type") == null && values.containsKey("d_model") && values.containsKey("n_layer");
    }

    @Override
    public Set<String> carried() {
        return CARRIED;
    }

    @Override
    public LanguageModelConfig parse(Map<String, Object> values) {
        ConfigReader r = new ConfigReader(NAME, values);
        r.ignore(CARRIED);
        r.only("d_intermediate", 0L);
        r.only("attn_layer_idx", List.of());
        r.only("attn_cfg", Map.of());
        int multiple = r.integer("pad_vocab_size_multiple", 8, 1, MOST);
        long vocabulary = Math.ceilDiv(r.integer("vocab_size", 1, MOST), multiple) * (long) multiple;
        if (vocabulary > MOST) {
            throw new ConfigException(NAME, "a padded vocabulary below 2^31", vocabulary + "");
        }
        Map<String, Object> ssm = r.object("ssm_cfg");
        MambaConfig mixer = mixer(new ConfigReader(NAME + " ssm_cfg", ssm == null ? Map.of() : ssm));
        int width = r.integer("d_model", 1, MOST);
        if ((long) mixer.expand() * width > MOST) {
            throw new ConfigException(NAME, "expand times d_model below 2^31", mixer.expand() + " and " + width);
        }
        LanguageModelConfig config = new LanguageModelConfig((int) vocabulary, width,
                LayerPattern.repeat(r.integer("n_layer", 1, LayerPattern.MAX_LAYERS), LayerSpec.of(mixer)), r.flag("rms_norm", true) ? "rms" : "layer",
                EPS, r.flag("tie_embeddings", true), 0, 0, 0.02);
        r.done();
        return config;
    }

    private static MambaConfig mixer(ConfigReader r) {
        r.only("layer", "Mamba1");
        r.ignore(Set.of("use_fast_path"));
        int rank = "auto".equals(r.raw("dt_rank")) ? 0 : r.integer("dt_rank", 0, 0, MOST);
        MambaConfig config = new MambaConfig(r.integer("d_state", 16), r.integer("d_conv", 4), r.integer("expand", 2), 0, rank,
                r.number("dt_scale", 1), r.number("dt_min", 1e-3), r.number("dt_max", 1e-1), r.number("dt_init_floor", 1e-4),
                r.text("dt_init", "random"), r.flag("bias", false), r.flag("conv_bias", true), true);
        r.done();
        return config;
    }

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        LanguageModelConfig rms = new LanguageModelConfig(config.vocab_size(), config.hidden_size(), config.layers(), "rms", config.norm_eps(),
                config.tie_word_embeddings(), config.max_position_embeddings(), config.dropout(), config.initializer_range());
        Optional<String> reason = MambaFamily.refusal(rms, MambaConfig.class);
        if (reason.isPresent()) {
            return reason;
        }
        if (config.norm_eps() != EPS) {
            return Optional.of("norms with another epsilon than " + EPS);
        }
        MambaConfig mixer = (MambaConfig) config.layers().getFirst().mixer();
        boolean expands = mixer.intermediate_size() == 0 || mixer.intermediate_size() == mixer.expand() * config.hidden_size();
        return expands ? Optional.empty() : Optional.of("an inner width that is not a multiple of the model's");
    }

    @Override
    public Map<String, Object> write(LanguageModelConfig config) {
        MambaConfig mixer = (MambaConfig) config.layers().getFirst().mixer();
        Map<String, Object> ssm = new LinkedHashMap<>();
        ssm.put("layer", "Mamba1");
        ssm.put("d_state", mixer.state_size());
        ssm.put("d_conv", mixer.conv_kernel());
        ssm.put("expand", mixer.expand());
        ssm.put("dt_rank", mixer.time_step_rank() == 0 ? "auto" : (Object) mixer.time_step_rank());
        ssm.put("dt_scale", mixer.time_step_scale());
        ssm.put("dt_min", mixer.time_step_min());
        ssm.put("dt_max", mixer.time_step_max());
        ssm.put("dt_init_floor", mixer.time_step_floor());
        ssm.put("dt_init", mixer.time_step_init_scheme());
        ssm.put("bias", mixer.use_bias());
        ssm.put("conv_bias", mixer.use_conv_bias());
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("d_model", config.hidden_size());
        m.put("d_intermediate", 0);
        m.put("n_layer", config.layers().size());
        m.put("vocab_size", config.vocab_size());
        m.put("ssm_cfg", ssm);
        m.put("attn_layer_idx", List.of());
        m.put("attn_cfg", Map.of());
        m.put("rms_norm", config.norm().equals("rms"));
        m.put("residual_in_fp32", true);
        m.put("fused_add_norm", true);
        m.put("pad_vocab_size_multiple", 1);
        m.put("tie_embeddings", config.tie_word_embeddings());
        return m;
    }

    @Override
    public KeyMap keys(LanguageModelConfig config) {
        return MambaFamily.keys(config, "backbone.embedding.", "backbone.embeddings.");
    }
}
