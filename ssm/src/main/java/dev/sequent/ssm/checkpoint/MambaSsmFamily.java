package dev.sequent.ssm.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.model.CheckpointFamily;
import dev.sequent.model.KeyMap;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Mamba-1 and Mamba-2 as the original implementation (state-spaces/mamba) stores them: a {@code config.json} without {@code model_type},
 * with {@code d_model}, {@code n_layer} and {@code ssm_cfg}. The table of embeddings has {@code vocab_size} rows, rounded up to a multiple
 * of {@code pad_vocab_size_multiple}; the model's vocabulary is the rounded one. Source: mamba_ssm models/config_mamba.py,
 * models/mixer_seq_simple.py, modules/mamba_simple.py, modules/mamba2.py.
 */
public final class MambaSsmFamily implements CheckpointFamily {
    private static final String NAME = "mamba_ssm";
    private static final String FIRST = "Mamba1";
    private static final String SECOND = "Mamba2";
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
        int width = r.integer("d_model", 1, MOST);
        MixerConfig mixer = mixer(new ConfigReader(NAME + " ssm_cfg", ssm == null ? Map.of() : ssm), width);
        LanguageModelConfig config = new LanguageModelConfig((int) vocabulary, width,
                LayerPattern.repeat(r.integer("n_layer", 1, LayerPattern.MAX_LAYERS), LayerSpec.of(mixer)),
                r.flag("rms_norm", true) ? "rms" : "layer", EPS, r.flag("tie_embeddings", true), 0, 0, 0.02);
        r.done();
        return config;
    }

    private static MixerConfig mixer(ConfigReader r, int width) {
        r.only("layer", FIRST, SECOND);
        r.ignore(Set.of("use_fast_path", "use_mem_eff_path"));
        int expand = r.integer("expand", 2, 1, Math.max(MOST / width, 1));
        MixerConfig config = r.text("layer", FIRST).equals(SECOND) ? second(r, width, expand) : first(r, expand);
        r.done();
        return config;
    }

    private static MambaConfig first(ConfigReader r, int expand) {
        int rank = "auto".equals(r.raw("dt_rank")) ? 0 : r.integer("dt_rank", 0, 0, MOST);
        return new MambaConfig(r.integer("d_state", 16), r.integer("d_conv", 4), expand, 0, rank, r.number("dt_scale", 1),
                r.number("dt_min", 1e-3), r.number("dt_max", 1e-1), r.number("dt_init_floor", 1e-4), r.text("dt_init", "random"),
                r.flag("bias", false), r.flag("conv_bias", true), true);
    }

    private static Mamba2Config second(ConfigReader r, int width, int expand) {
        r.only("D_has_hdim", false);
        r.only("norm_before_gate", false);
        r.only("d_ssm", (long) expand * width);
        r.ignore(Set.of("conv_init", "A_init_range"));
        Map<String, Object> options = new LinkedHashMap<>(Map.of("state_size", r.integer("d_state", 128), "head_dim",
                r.integer("headdim", 64), "n_groups", r.integer("ngroups", 1), "conv_kernel", r.integer("d_conv", 4), "chunk_size",
                r.integer("chunk_size", 256), "expand", expand, "time_step_min", r.number("dt_min", 1e-3), "time_step_max",
                r.number("dt_max", 1e-1), "time_step_floor", r.number("dt_init_floor", 1e-4), "rms_norm", r.flag("rmsnorm", true)));
        if (r.has("dt_limit")) {
            options.put("time_step_limit", r.raw("dt_limit"));
        }
        options.put("use_bias", r.flag("bias", false));
        options.put("use_conv_bias", r.flag("conv_bias", true));
        Mamba2Config config = Mamba2Config.parse(options);
        config.heads(width);
        return config;
    }

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        LanguageModelConfig rms = new LanguageModelConfig(config.vocab_size(), config.hidden_size(), config.layers(), "rms",
                config.norm_eps(), config.tie_word_embeddings(), config.max_position_embeddings(), config.dropout(),
                config.initializer_range());
        boolean second = config.layers().getFirst().mixer() instanceof Mamba2Config;
        Optional<String> reason = MambaFormat.refusal(rms, second ? Mamba2Config.class : MambaConfig.class);
        if (reason.isPresent()) {
            return reason;
        }
        if (config.norm_eps() != EPS) {
            return Optional.of("norms with another epsilon than " + EPS);
        }
        return second ? secondRefusal(config) : firstRefusal(config);
    }

    private static Optional<String> firstRefusal(LanguageModelConfig config) {
        MambaConfig mixer = (MambaConfig) config.layers().getFirst().mixer();
        boolean expands = mixer.inner(config.hidden_size()) == (long) mixer.expand() * config.hidden_size();
        return expands ? Optional.empty() : Optional.of("an inner width that is not a multiple of the model's");
    }

    private static Optional<String> secondRefusal(LanguageModelConfig config) {
        Mamba2Config mixer = (Mamba2Config) config.layers().getFirst().mixer();
        if (mixer.n_groups() > 1 && !mixer.norm_per_group() || mixer.layer_norm_epsilon() != EPS) {
            return Optional.of("outputs that are not normalised per group, or with another epsilon than " + EPS);
        }
        return mixer.inner(config.hidden_size()) == (long) mixer.expand() * config.hidden_size() ? Optional.empty()
                : Optional.of("an inner width that is not a multiple of the model's");
    }

    @Override
    public Map<String, Object> write(LanguageModelConfig config) {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("d_model", config.hidden_size());
        m.put("d_intermediate", 0);
        m.put("n_layer", config.layers().size());
        m.put("vocab_size", config.vocab_size());
        m.put("ssm_cfg", config.layers().getFirst().mixer() instanceof Mamba2Config second ? written(second)
                : written((MambaConfig) config.layers().getFirst().mixer()));
        m.put("attn_layer_idx", List.of());
        m.put("attn_cfg", Map.of());
        m.put("rms_norm", config.norm().equals("rms"));
        m.put("residual_in_fp32", true);
        m.put("fused_add_norm", true);
        m.put("pad_vocab_size_multiple", 1);
        m.put("tie_embeddings", config.tie_word_embeddings());
        return m;
    }

    private static Map<String, Object> written(MambaConfig mixer) {
        Map<String, Object> ssm = new LinkedHashMap<>();
        ssm.put("layer", FIRST);
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
        return ssm;
    }

    private static Map<String, Object> written(Mamba2Config mixer) {
        Map<String, Object> ssm = new LinkedHashMap<>();
        ssm.put("layer", SECOND);
        ssm.put("d_state", mixer.state_size());
        ssm.put("d_conv", mixer.conv_kernel());
        ssm.put("expand", mixer.expand());
        ssm.put("headdim", mixer.head_dim());
        ssm.put("ngroups", mixer.n_groups());
        ssm.put("chunk_size", mixer.chunk_size());
        ssm.put("dt_min", mixer.time_step_min());
        ssm.put("dt_max", mixer.time_step_max());
        ssm.put("dt_init_floor", mixer.time_step_floor());
        if (!mixer.time_step_limit().equals(Mamba2Config.Limit.NONE)) {
            ssm.put("dt_limit", List.of(mixer.time_step_limit().low(), mixer.time_step_limit().high()));
        }
        ssm.put("rmsnorm", mixer.rms_norm());
        ssm.put("bias", mixer.use_bias());
        ssm.put("conv_bias", mixer.use_conv_bias());
        return ssm;
    }

    @Override
    public KeyMap keys(LanguageModelConfig config) {
        return MambaFormat.keys(config, "backbone.embedding.", "backbone.embeddings.");
    }
}
