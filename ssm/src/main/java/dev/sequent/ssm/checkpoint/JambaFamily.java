package dev.sequent.ssm.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.Mixers;
import dev.sequent.model.CheckpointFamily;
import dev.sequent.model.HubKeys;
import dev.sequent.model.KeyMap;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.type.ConfigException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/**
 * Jamba: Mamba-1 layers with norms of dt, B and C, every so often an attention layer without positions instead, and mixtures of experts in
 * some of the feed-forward parts. Attention is looked up by name, so that its module must be on the class path. The load-balancing loss
 * counts in training when {@code output_router_logits} is set, as in the reference. Source: transformers modeling_jamba.py,
 * configuration_jamba.py; Lieber et al. 2024.
 */
public final class JambaFamily implements CheckpointFamily {
    private static final String NAME = "jamba";
    private static final String ATTENTION = "attention";
    private static final int MOST = Integer.MAX_VALUE;
    private static final Set<String> CARRIED = HubKeys.with("max_position_embeddings", "use_mamba_kernels", "use_mambapy",
            "use_associative_scan", "num_logits_to_keep", "calc_logits_for_entire_prompt");

    /** For the service loader. */
    public JambaFamily() {}

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
        r.only("hidden_act", "silu", "swish");
        r.only("sliding_window");
        r.only("mamba_inner_layernorms", true);
        int width = r.integer("hidden_size", 1, MOST);
        int layers = r.integer("num_hidden_layers", 1, LayerPattern.MAX_LAYERS);
        double eps = r.number("rms_norm_eps", 1e-6);
        double std = r.number("initializer_range", 0.02);
        IntPredicate attends = periodic(r, "attn_layer", 8, 4);
        IntPredicate mixes = periodic(r, "expert_layer", 2, 1);
        MixerConfig mamba = mamba(r, width, eps);
        Map<String, Object> options = attentionOptions(r, values.containsKey("num_key_value_heads"), std);
        MixerConfig attention = IntStream.range(0, layers).anyMatch(attends) ? Mixers.parse(ATTENTION, options) : mamba;
        MlpConfig dense = MlpConfig.gated(r.integer("intermediate_size", 1, MOST));
        MlpConfig experts = experts(r, dense.intermediate_size());
        List<LayerSpec> list = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            list.add(new LayerSpec(attends.test(i) ? attention : mamba, mixes.test(i) ? experts : dense));
        }
        LanguageModelConfig config = new LanguageModelConfig(r.integer("vocab_size", 1, MOST), width, list, "rms", eps,
                r.flag("tie_word_embeddings", false), 0, 0, std);
        r.done();
        return config;
    }

    /** Which layers are special: those at {@code offset} in every {@code period}. */
    private static IntPredicate periodic(ConfigReader r, String name, int defaultPeriod, int defaultOffset) {
        int period = r.integer(name + "_period", defaultPeriod, 1, MOST);
        int offset = r.integer(name + "_offset", defaultOffset, 0, MOST);
        if (offset >= period) {
            throw new ConfigException(NAME, name + "_offset below " + name + "_period", offset + " and " + period);
        }
        return i -> i % period == offset;
    }

    private static MambaConfig mamba(ConfigReader r, int width, double eps) {
        MambaConfig d = MambaConfig.defaults();
        int rank = "auto".equals(r.raw("mamba_dt_rank")) ? 0 : r.integer("mamba_dt_rank", 0, 0, MOST);
        MambaConfig config = new MambaConfig(r.integer("mamba_d_state", d.state_size()), r.integer("mamba_d_conv", d.conv_kernel()),
                r.integer("mamba_expand", d.expand()), 0, rank, d.time_step_scale(), d.time_step_min(), d.time_step_max(),
                d.time_step_floor(), d.time_step_init_scheme(), r.flag("mamba_proj_bias", false), r.flag("mamba_conv_bias", true), false,
                eps);
        if ((long) config.expand() * width > MOST) {
            throw new ConfigException(NAME, "mamba_expand times hidden_size below 2^31", config.expand() + " and " + width);
        }
        return config;
    }

    /** {@code grouped} tells whether the number of key-value heads is given, if only as null, which means all heads. */
    private static Map<String, Object> attentionOptions(ConfigReader r, boolean grouped, double std) {
        int heads = r.integer("num_attention_heads", 32, 1, MOST);
        Map<String, Object> options = new LinkedHashMap<>();
        options.put("num_attention_heads", heads);
        options.put("num_key_value_heads", r.integer("num_key_value_heads", grouped ? heads : 8, 1, MOST));
        options.put("rope_theta", 0);
        options.put("attention_dropout", r.number("attention_dropout", 0));
        options.put("initializer_range", std);
        return options;
    }

    /** The feed-forward part of expert layers; a single expert is an ordinary MLP. */
    private static MlpConfig experts(ConfigReader r, int inner) {
        int count = r.integer("num_experts", 16, 1, MOST);
        int chosen = r.integer("num_experts_per_tok", 2, 1, MOST);
        double balancing = r.number("router_aux_loss_coef", 0.001);
        boolean balanced = r.flag("output_router_logits", false);
        return count == 1 ? MlpConfig.gated(inner) : new MlpConfig("gated", inner, false, count, chosen, false, balanced ? balancing : 0);
    }

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        for (LayerSpec layer : config.layers()) {
            if (!(layer.mixer() instanceof MambaConfig) && !layer.mixer().type().equals(ATTENTION)) {
                return Optional.of("a layer that is neither Mamba nor attention: " + layer.mixer());
            }
            if (layer.mlp() == null) {
                return Optional.of("a layer without a feed-forward part");
            }
        }
        if (!config.norm().equals("rms") || config.max_position_embeddings() > 0 || config.dropout() > 0) {
            return Optional.of("a norm other than RMSNorm, a table of positions, or dropout");
        }
        try {
            return computed(parse(write(config))).equals(computed(config)) ? Optional.empty()
                    : Optional.of("layers that do not repeat, or with options that Jamba does not have "
                            + "(such as positions, or no norms of dt, B and C)");
        } catch (ConfigException impossible) {
            return Optional.of(impossible.getMessage());
        }
    }

    /** The layers, without what only initial values depend on. */
    private static List<LayerSpec> computed(LanguageModelConfig config) {
        MambaConfig d = MambaConfig.defaults();
        return config.layers().stream().map(layer -> layer.mixer() instanceof MambaConfig m
                ? new LayerSpec(new MambaConfig(m.state_size(), m.conv_kernel(), m.expand(), m.intermediate_size(),
                m.rank(config.hidden_size()),
                        d.time_step_scale(), d.time_step_min(), d.time_step_max(), d.time_step_floor(), d.time_step_init_scheme(),
                        m.use_bias(), m.use_conv_bias(), d.rescale_prenorm_residual(), m.select_norm_eps()), layer.mlp())
                : layer).toList();
    }

    @Override
    public Map<String, Object> write(LanguageModelConfig config) {
        List<LayerSpec> layers = config.layers();
        MambaConfig mamba = layers.stream().map(LayerSpec::mixer).filter(MambaConfig.class::isInstance).map(MambaConfig.class::cast)
                .findFirst()
                .orElse(MambaConfig.defaults());
        Map<String, Object> attention = layers.stream().map(LayerSpec::mixer).filter(m -> m.type().equals(ATTENTION))
                .map(MixerConfig::toMap).findFirst()
                .orElse(Map.of("num_attention_heads", 1, "num_key_value_heads", 1, "attention_dropout", 0.0));
        MlpConfig dense = layers.getFirst().mlp();
        MlpConfig mixture = layers.stream().map(LayerSpec::mlp).filter(m -> m.num_experts() > 0).findFirst().orElse(null);
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("model_type", NAME);
        m.put("architectures", List.of("JambaForCausalLM"));
        m.put("vocab_size", config.vocab_size());
        m.put("hidden_size", config.hidden_size());
        m.put("intermediate_size", dense.intermediate_size());
        m.put("num_hidden_layers", layers.size());
        m.put("hidden_act", "silu");
        m.put("rms_norm_eps", config.norm_eps());
        m.put("initializer_range", config.initializer_range());
        m.put("tie_word_embeddings", config.tie_word_embeddings());
        for (String key : List.of("num_attention_heads", "num_key_value_heads", "attention_dropout")) {
            m.put(key, attention.get(key));
        }
        putPeriod(m, "attn_layer", layers.size(), i -> layers.get(i).mixer().type().equals(ATTENTION));
        putPeriod(m, "expert_layer", layers.size(), i -> layers.get(i).mlp().num_experts() > 0);
        m.put("num_experts", mixture == null ? 1 : mixture.num_experts());
        m.put("num_experts_per_tok", mixture == null ? 1 : mixture.num_experts_per_tok());
        m.put("router_aux_loss_coef", mixture == null ? 0.0 : mixture.router_aux_loss_coef());
        m.put("output_router_logits", mixture != null && mixture.router_aux_loss_coef() > 0);
        m.put("mamba_d_state", mamba.state_size());
        m.put("mamba_d_conv", mamba.conv_kernel());
        m.put("mamba_expand", mamba.expand());
        m.put("mamba_dt_rank", mamba.time_step_rank() == 0 ? "auto" : (Object) mamba.time_step_rank());
        m.put("mamba_conv_bias", mamba.use_conv_bias());
        m.put("mamba_proj_bias", mamba.use_bias());
        return m;
    }

    /**
     * The period and the offset of the special layers, if they have one: the distance of the first two, or one that is longer than the
     * model.
     */
    private static void putPeriod(Map<String, Object> m, String name, int layers, IntPredicate special) {
        int[] where = IntStream.range(0, layers).filter(special).limit(2).toArray();
        int offset = where.length == 0 ? layers : where[0];
        boolean repeats = where.length == 2 && where[1] - where[0] > offset;
        m.put(name + "_period", repeats ? where[1] - where[0] : layers + 1);
        m.put(name + "_offset", offset);
    }

    @Override
    public KeyMap keys(LanguageModelConfig config) {
        KeyMap.Builder keys = KeyMap.builder().optionalPrefix("model.")
                .same("embeddings.*", "model.embed_tokens.*")
                .same("layers.#.norm.*", "model.layers.#.input_layernorm.*")
                .same("layers.#.mlp_norm.*", "model.layers.#.pre_ff_layernorm.*")
                .same("layers.#.mlp.*", "model.layers.#.feed_forward.*");
        for (int i = 0; i < config.layers().size(); i++) {
            if (config.layers().get(i).mixer().type().equals(ATTENTION)) {
                keys.same("layers." + i + ".mixer.*", "model.layers." + i + ".self_attn.*");
            }
        }
        keys.same("layers.#.mixer.*", "model.layers.#.mamba.*").same("norm_f.*", "model.final_layernorm.*").same("lm_head.*", "lm_head.*");
        return (config.tie_word_embeddings() ? keys.copy("lm_head.weight", "embeddings.weight") : keys).build();
    }
}
