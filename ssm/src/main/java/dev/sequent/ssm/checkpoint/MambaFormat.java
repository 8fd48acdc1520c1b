package dev.sequent.ssm.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.mixer.MixerConfig;
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
 * What checkpoints of Mamba-1 and Mamba-2 in transformers have in common: equal layers of one mixer, most of whose options have the same
 * names there and here. {@code residual_in_fp32} changes nothing for F32 parameters; with BF16 parameters this library adds residuals in
 * BF16.
 *
 * @param <C> the mixer's configuration
 */
abstract class MambaFormat<C extends MixerConfig> implements CheckpointFamily {
    private static final int MOST = Integer.MAX_VALUE;
    private static final String INNER = "intermediate_size";

    private final String name;
    private final String architecture;
    private final Set<String> carried;
    private final List<String> shared;
    private final boolean tied;

    /**
     * A format.
     *
     * @param name {@code model_type}
     * @param architecture transformers' class
     * @param carried keys without influence on numbers
     * @param shared keys with the same name and meaning as the mixer's options
     * @param tied whether the head is the table of embeddings where the configuration does not say
     */
    MambaFormat(String name, String architecture, Set<String> carried, List<String> shared, boolean tied) {
        this.name = name;
        this.architecture = architecture;
        this.carried = carried;
        this.shared = shared;
        this.tied = tied;
    }

    @Override
    public final String name() {
        return name;
    }

    @Override
    public final Set<String> carried() {
        return carried;
    }

    /** Reads what only this format has, and gives the mixer's options that are not transformers' defaults, or are not shared. */
    abstract Map<String, Object> ownOptions(ConfigReader r, double eps);

    /** The mixer's configuration of these options. */
    abstract C mixer(Map<String, Object> options);

    /** How many times wider the mixer is than the model. */
    abstract int expand(C mixer);

    /** The width that the mixer's configuration names, or 0. */
    abstract int namedInner(C mixer);

    /** Fails when the mixer does not fit the model's width. */
    abstract void checkWidth(C mixer, int width);

    /** Adds the keys that only this format has, or writes in another way. */
    abstract void writeOwn(C mixer, int width, Map<String, Object> m);

    @Override
    public final LanguageModelConfig parse(Map<String, Object> values) {
        ConfigReader r = HubKeys.decoder(name, values, carried);
        r.only("hidden_act", "silu", "swish");
        int width = r.integer("hidden_size", 1, MOST);
        double eps = r.number("layer_norm_epsilon", 1e-5);
        Map<String, Object> options = new LinkedHashMap<>(Map.of("rescale_prenorm_residual", false));
        options.putAll(ownOptions(r, eps));
        shared.stream().filter(r::has).forEach(key -> options.put(key, r.raw(key)));
        C mixer = mixer(options);
        if ((long) expand(mixer) * width > MOST) {
            throw new ConfigException(name, "expand times hidden_size below 2^31", expand(mixer) + " and " + width);
        }
        if (namedInner(mixer) == expand(mixer) * width) {
            options.remove(INNER);
            mixer = mixer(options);
        }
        checkWidth(mixer, width);
        LanguageModelConfig config = new LanguageModelConfig(r.integer("vocab_size", 1, MOST), width,
                LayerPattern.repeat(r.integer("num_hidden_layers", 1, LayerPattern.MAX_LAYERS), LayerSpec.of(mixer)), "rms", eps,
                r.flag("tie_word_embeddings", tied), 0, 0, r.number("initializer_range", 0.1));
        r.done();
        return config;
    }

    /** Zero, with which our configurations ask for the usual value, is none of Hugging Face's. */
    static void requirePositive(ConfigReader r, String... keys) {
        for (String key : keys) {
            r.integer(key, 1, 1, MOST);
        }
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
    public final Map<String, Object> write(LanguageModelConfig config) {
        @SuppressWarnings("unchecked") // nothing is written that refusal() has not let through
        C mixer = (C) config.layers().getFirst().mixer();
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("model_type", name);
        m.put("architectures", List.of(architecture));
        m.put("vocab_size", config.vocab_size());
        m.put("hidden_size", config.hidden_size());
        m.put("num_hidden_layers", config.layers().size());
        Map<String, Object> own = mixer.toMap();
        shared.forEach(key -> m.put(key, own.get(key)));
        writeOwn(mixer, config.hidden_size(), m);
        m.put("hidden_act", "silu");
        m.put("layer_norm_epsilon", config.norm_eps());
        m.put("initializer_range", config.initializer_range());
        m.put("residual_in_fp32", true);
        m.put("tie_word_embeddings", config.tie_word_embeddings());
        return m;
    }

    @Override
    public final KeyMap keys(LanguageModelConfig config) {
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
