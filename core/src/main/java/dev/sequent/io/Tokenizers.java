package dev.sequent.io;

import dev.sequent.type.CheckpointException;
import dev.sequent.type.DataException;
import java.nio.file.Path;
import java.util.List;

/**
 * Keeps the built-in tokenizers beside a checkpoint, as a small JSON file. A Hugging Face {@code tokenizer.json} is another
 * format; it is read by {@code sequent-tokenizers}.
 */
public final class Tokenizers {
    /** Usual name of the file in a checkpoint directory. */
    public static final String FILE = "sequent_tokenizer.json";

    private static final long MAX_BYTES = 1 << 26;

    private Tokenizers() {
    }

    /**
     * A tokenizer as JSON.
     *
     * @throws DataException for a tokenizer of another kind than {@link ByteTokenizer} and {@link CharTokenizer}
     */
    public static Json toJson(Tokenizer tokenizer) {
        return switch (tokenizer) {
            case ByteTokenizer _ -> Json.object().with("type", Json.of("byte"));
            case CharTokenizer c -> Json.object().with("type", Json.of("char")).with("alphabet", Json.of(c.alphabet()));
            default -> throw new DataException("tokenizer", "a byte or character tokenizer", tokenizer.getClass().getName());
        };
    }

    /**
     * The tokenizer that {@link #toJson} wrote.
     *
     * @param source what the JSON is, for messages
     * @throws CheckpointException when it is something else
     */
    public static Tokenizer fromJson(Json json, String source) {
        JsonView view = JsonView.of(json, source, CheckpointException::new);
        if (view.find("model").isPresent() && view.find("type").isEmpty()) {
            throw new CheckpointException(source, "a tokenizer of this library",
                    "a Hugging Face tokenizer: read it with the module sequent-tokenizers");
        }
        String type = view.at("type").asString();
        return switch (type) {
            case "byte" -> {
                view.allowOnly(List.of("type"));
                yield new ByteTokenizer();
            }
            case "char" -> {
                JsonView alphabet = view.allowOnly(List.of("type", "alphabet")).at("alphabet");
                String text = alphabet.asString();
                if (text.isEmpty() || !CharTokenizer.of(text).alphabet().equals(text)) {
                    throw alphabet.mismatch("distinct characters in ascending order");
                }
                yield CharTokenizer.of(text);
            }
            default -> throw view.at("type").mismatch("\"byte\" or \"char\"");
        };
    }

    /** Writes {@code tokenizer} to {@code file}, which is replaced as a whole. */
    public static void save(Tokenizer tokenizer, Path file) {
        AtomicFiles.write(file, toJson(tokenizer).writePretty());
    }

    /**
     * Reads what {@link #save} wrote.
     *
     * @throws CheckpointException when the file is missing, unreadable or something else
     */
    public static Tokenizer load(Path file) {
        return fromJson(Json.read(file, MAX_BYTES, Json.Dialect.STRICT, CheckpointException::new), String.valueOf(file.getFileName()));
    }
}
