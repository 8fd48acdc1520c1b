package dev.sequent.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.Json;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Configurations as data: round trips, unknown keys, bad values. */
class LanguageModelConfigTest {
    @SuppressWarnings("unchecked")
    private static Map<String, Object> throughJson(Map<String, Object> map) {
        String text = Json.ofJava(map).writePretty();
        return (Map<String, Object>) Json.parse(text, "test", ConfigException::new).toJava();
    }

    @Test
    void roundTripThroughJsonChangesNothing() {
        LayerSpec balanced = new LayerSpec(ToyModels.config().layers().getFirst().mixer(),
                new MlpConfig("gated", 6, false, 5, 1, false, 0.01));
        for (LanguageModelConfig config : List.of(ToyModels.config(), ToyModels.rich(), LanguageModelConfig.of(13, 8, List.of(balanced)))) {
            assertThat(LanguageModelConfig.parse(throughJson(config.toMap()))).isEqualTo(config);
        }
    }

    @Test
    void absentKeysHaveTheDefaultsOfThePlainModel() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("vocab_size", 13);
        map.put("hidden_size", 8);
        map.put("layers", ToyModels.config().toMap().get("layers"));
        assertThat(LanguageModelConfig.parse(throughJson(map))).isEqualTo(ToyModels.config());
    }

    @Test
    void unknownKeysAreNamedWhereverTheyStand() {
        Map<String, Object> top = throughJson(ToyModels.config().toMap());
        top.put("hiden_size", 8);
        assertThatThrownBy(() -> LanguageModelConfig.parse(top)).isInstanceOf(ConfigException.class).hasMessageContaining("[hiden_size]")
                .hasMessageContaining("hidden_size");
        for (String where : List.of("layer", "mixer", "mlp")) {
            Map<String, Object> map = throughJson(ToyModels.config().toMap());
            inside(map, where).put("surprise", 1);
            assertThatThrownBy(() -> LanguageModelConfig.parse(map)).as(where).isInstanceOf(ConfigException.class)
                    .hasMessageContaining("[surprise]");
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> inside(Map<String, Object> map, String where) {
        Map<String, Object> layer = (Map<String, Object>) ((List<Object>) map.get("layers")).get(1);
        return where.equals("layer") ? layer : (Map<String, Object>) layer.get(where);
    }

    @Test
    void unknownMixersAreRefusedWithTheKnownOnes() {
        Map<String, Object> map = throughJson(ToyModels.config().toMap());
        inside(map, "mixer").put("type", "leeky");
        assertThatThrownBy(() -> LanguageModelConfig.parse(map)).isInstanceOf(ConfigException.class).hasMessageContaining("'leeky'")
                .hasMessageContaining("leaky");
        inside(map, "mixer").remove("type");
        assertThatThrownBy(() -> LanguageModelConfig.parse(map)).isInstanceOf(ConfigException.class).hasMessageContaining("type");
    }

    @ParameterizedTest
    @CsvSource({"vocab_size,0", "vocab_size,-3", "vocab_size,1.5", "vocab_size,4000000000", "vocab_size,text", "hidden_size,0",
            "norm,batch", "norm_eps,0",
        "norm_eps,1e999", "dropout,1", "dropout,-0.1", "max_position_embeddings,-1", "initializer_range,0", "tie_word_embeddings,7",
        "layers,3", "model_type,mamba"})
    void badValuesAreRefused(String key, String value) {
        Map<String, Object> map = throughJson(ToyModels.config().toMap());
        Object v = value.matches("-?[0-9.]+(e\\d+)?") ? (Object) Double.valueOf(value) : value;
        map.put(key, v);
        assertThatThrownBy(() -> LanguageModelConfig.parse(map)).isInstanceOf(ConfigException.class);
    }

    @Test
    void aModelHasAtLeastOneLayer() {
        assertThatThrownBy(() -> LanguageModelConfig.of(13, 8, List.of())).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> new LayerSpec(null, null)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> new MlpConfig("relu", 8, false)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> MlpConfig.gated(0)).isInstanceOf(ConfigException.class);
    }
}
