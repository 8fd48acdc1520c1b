package dev.sequent.model;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.mixer.Mixers;
import dev.sequent.nn.Init;
import dev.sequent.nn.LayerNorm;
import dev.sequent.nn.Norm;
import dev.sequent.nn.RmsNorm;
import dev.sequent.type.ConfigException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A language model as data: embedding, a list of layers, final norm and output head.
 *
 * @param vocab_size V
 * @param hidden_size D
 * @param layers the layers, first to last
 * @param norm {@code rms} or {@code layer}
 * @param norm_eps added under the root
 * @param tie_word_embeddings whether the head uses the embedding table
 * @param max_position_embeddings length of a learned position table, or 0 for none
 * @param dropout probability for embeddings and residual branches in training
 * @param initializer_range standard deviation of embeddings and feed-forward weights
 */
public record LanguageModelConfig(int vocab_size, int hidden_size, List<LayerSpec> layers, String norm, double norm_eps,
        boolean tie_word_embeddings, int max_position_embeddings, double dropout, double initializer_range) {
    /** Checks the values. */
    public LanguageModelConfig {
        layers = List.copyOf(layers);
        if (vocab_size < 1 || hidden_size < 1 || layers.isEmpty()) {
            throw new ConfigException("model", "vocab_size >= 1, hidden_size >= 1 and at least one layer",
                    vocab_size + ", " + hidden_size + ", " + layers.size() + " layers");
        }
        if (!norm.equals("rms") && !norm.equals("layer")) {
            throw new ConfigException("model", "norm rms or layer", "'" + norm + "'");
        }
        if (!(norm_eps > 0 && norm_eps < Double.POSITIVE_INFINITY) || max_position_embeddings < 0 || !(dropout >= 0 && dropout < 1)
                || !(initializer_range > 0 && initializer_range < Double.POSITIVE_INFINITY)) {
            throw new ConfigException("model",
                    "finite norm_eps > 0, max_position_embeddings >= 0, 0 <= dropout < 1 and initializer_range > 0",
                    norm_eps + ", " + max_position_embeddings + ", " + dropout + ", " + initializer_range);
        }
    }

    /** RMSNorm, tied embeddings, no dropout, no learned positions. */
    public static LanguageModelConfig of(int vocabSize, int hiddenSize, List<LayerSpec> layers) {
        return new LanguageModelConfig(vocabSize, hiddenSize, layers, "rms", 1e-5, true, 0, 0, 0.02);
    }

    /** The same with another dropout probability. */
    public LanguageModelConfig withDropout(double p) {
        return new LanguageModelConfig(vocab_size, hidden_size, layers, norm, norm_eps, tie_word_embeddings, max_position_embeddings, p,
                initializer_range);
    }

    /** The layer that all layers equal; empty where they differ. */
    public Optional<LayerSpec> uniformLayer() {
        return layers.stream().allMatch(layers.getFirst()::equals) ? Optional.of(layers.getFirst()) : Optional.empty();
    }

    Norm createNorm(Init init) {
        return norm.equals("rms") ? new RmsNorm(init, hidden_size, norm_eps) : new LayerNorm(init, hidden_size, norm_eps);
    }

    /** The configuration as JSON-like values. */
    public Map<String, Object> toMap() {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("model_type", "sequent");
        m.put("vocab_size", vocab_size);
        m.put("hidden_size", hidden_size);
        m.put("norm", norm);
        m.put("norm_eps", norm_eps);
        m.put("tie_word_embeddings", tie_word_embeddings);
        m.put("max_position_embeddings", max_position_embeddings);
        m.put("dropout", dropout);
        m.put("initializer_range", initializer_range);
        List<Object> list = new ArrayList<>();
        for (LayerSpec layer : layers) {
            Map<String, Object> l = new LinkedHashMap<>();
            Map<String, Object> mixer = new LinkedHashMap<>();
            mixer.put("type", layer.mixer().type());
            mixer.putAll(layer.mixer().toMap());
            l.put("mixer", mixer);
            if (layer.mlp() != null) {
                l.put("mlp", layer.mlp().toMap());
            }
            list.add(l);
        }
        m.put("layers", list);
        return m;
    }

    /** The configuration that {@link #toMap} wrote; unknown keys are an error. */
    public static LanguageModelConfig parse(Map<String, Object> values) {
        ConfigReader r = new ConfigReader("model", values);
        String type = r.text("model_type", "sequent");
        if (!type.equals("sequent")) {
            throw new ConfigException("model", "model_type sequent", "'" + type + "'");
        }
        List<LayerSpec> layers = new ArrayList<>();
        if (!(r.raw("layers") instanceof List<?> list)) {
            throw new ConfigException("model", "a list under 'layers'", String.valueOf(r.raw("layers")));
        }
        for (Object item : list) {
            ConfigReader l = new ConfigReader("layer", object("layers", item));
            Map<String, Object> mixer = new LinkedHashMap<>(object("mixer", l.raw("mixer")));
            if (!(mixer.remove("type") instanceof String name)) {
                throw new ConfigException("layer", "the mixer's kind under 'type'", String.valueOf(item));
            }
            MlpConfig mlp = l.has("mlp") ? MlpConfig.parse(object("mlp", l.raw("mlp"))) : null;
            l.done();
            layers.add(new LayerSpec(Mixers.parse(name, mixer), mlp));
        }
        LanguageModelConfig c = new LanguageModelConfig(r.integer("vocab_size", 0), r.integer("hidden_size", 0), layers,
                r.text("norm", "rms"), r.number("norm_eps", 1e-5), r.flag("tie_word_embeddings", true),
                r.integer("max_position_embeddings", 0), r.number("dropout", 0), r.number("initializer_range", 0.02));
        r.done();
        return c;
    }

    private static Map<String, Object> object(String key, Object value) {
        if (!(value instanceof Map<?, ?> map)) {
            throw new ConfigException("model", "an object under '" + key + "'", String.valueOf(value));
        }
        Map<String, Object> m = new LinkedHashMap<>();
        map.forEach((k, v) -> m.put(String.valueOf(k), v));
        return m;
    }
}
