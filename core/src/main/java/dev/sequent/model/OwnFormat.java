package dev.sequent.model;

import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The library's own format, which expresses every model: the configuration as it is, and parameters under their names. */
final class OwnFormat implements CheckpointFamily {
    static final String NAME = "sequent";

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public boolean reads(Map<String, Object> values) {
        return NAME.equals(values.get("model_type")) || !values.containsKey("model_type") && values.containsKey("layers");
    }

    @Override
    public LanguageModelConfig parse(Map<String, Object> values) {
        return LanguageModelConfig.parse(values);
    }

    @Override
    public Set<String> carried() {
        return Set.of();
    }

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        return Optional.empty();
    }

    @Override
    public Map<String, Object> write(LanguageModelConfig config) {
        return config.toMap();
    }

    @Override
    public KeyMap keys(LanguageModelConfig config) {
        return KeyMap.builder().same("*", "*").build();
    }
}
