package dev.sequent.examples;

import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.model.ModelFiles;
import dev.sequent.type.CheckpointException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The tokens that end a text, as a checkpoint names them: {@code eos_token_id}, one id or several. */
final class EndTokens {
    private static final String KEY = "eos_token_id";
    private static final long MAX_BYTES = 1 << 22;

    private EndTokens() {}

    /** Of {@code generation_config.json} where it names some, else of {@code config.json}; none when neither does. */
    static Set<Integer> of(Path directory) {
        for (String file : List.of("generation_config.json", ModelFiles.CONFIG)) {
            Path path = directory.resolve(file);
            if (Files.exists(path)) {
                Json json = Json.read(path, MAX_BYTES, Json.Dialect.PYTHON, CheckpointException::new);
                Optional<JsonView> named = JsonView.of(json, file, CheckpointException::new).find(KEY)
                        .filter(v -> !(v.value() instanceof Json.Null));
                if (named.isPresent()) {
                    return ids(named.get());
                }
            }
        }
        return Set.of();
    }

    private static Set<Integer> ids(JsonView named) {
        Set<Integer> ids = new LinkedHashSet<>();
        List<JsonView> all = named.value() instanceof Json.Arr ? named.elements() : List.of(named);
        for (JsonView id : all) {
            ids.add(id.asInt(0, Integer.MAX_VALUE));
        }
        return ids;
    }
}
