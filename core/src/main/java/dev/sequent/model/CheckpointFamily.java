package dev.sequent.model;

import dev.sequent.type.ConfigException;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A public format of checkpoints, such as {@code gpt2} or {@code llama}: what its {@code config.json} means as a
 * {@link LanguageModelConfig}, and under which names its files keep our parameters. Found by {@link java.util.ServiceLoader}.
 *
 * <p>Implementations are stateless. The rule for {@link #parse}: whatever could change a model's numbers is either understood or an error;
 * keys that cannot are listed in {@link #carried}.
 */
public interface CheckpointFamily {
    /** Name of the format, usually its {@code model_type}. */
    String name();

    /** Whether {@code values}, read from a {@code config.json}, are of this format. */
    default boolean reads(Map<String, Object> values) {
        return name().equals(values.get("model_type"));
    }

    /**
     * The model that {@code values} describe.
     *
     * @throws ConfigException for a missing or unknown key, a wrong value, or one that this library does not implement
     */
    LanguageModelConfig parse(Map<String, Object> values);

    /** Keys of {@code config.json} that do not matter for the numbers; a model that was loaded keeps their values when it is saved. */
    Set<String> carried();

    /** Why this format cannot express {@code config}; empty when it can. */
    Optional<String> refusal(LanguageModelConfig config);

    /** The values of {@code config.json} for a configuration that is not refused; {@link #parse} reads them back. */
    Map<String, Object> write(LanguageModelConfig config);

    /** Where the parameters of a model of this configuration stand in its files. */
    KeyMap keys(LanguageModelConfig config);
}
