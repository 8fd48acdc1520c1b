package dev.sequent.examples;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.ByteTokenizer;
import dev.sequent.io.CharTokenizer;
import dev.sequent.io.TextFiles;
import dev.sequent.io.Tokenizer;
import dev.sequent.io.Tokenizers;
import dev.sequent.tokenizers.HuggingFaceTokenizer;
import dev.sequent.type.ConfigException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Tokenizers by the name that a user gives, and beside a model. */
final class TokenizerFiles {
    private TokenizerFiles() {}

    /**
     * {@code char}: the characters of {@code text}; {@code byte}; or the path of a Hugging Face {@code tokenizer.json}.
     *
     * @throws ConfigException for another name
     */
    static Tokenizer open(String name, String text) {
        return switch (name) {
            case "char" -> CharTokenizer.of(text);
            case "byte" -> new ByteTokenizer();
            default -> {
                if (!name.endsWith(".json")) {
                    throw new ConfigException("tokenizer", "char, byte, or the path of a tokenizer.json", "'" + name + "'");
                }
                yield HuggingFaceTokenizer.load(Path.of(name));
            }
        };
    }

    /** Stores a tokenizer, opened under {@code name}, in a model's directory. */
    static void save(Tokenizer tokenizer, String name, Path directory) {
        if (tokenizer instanceof HuggingFaceTokenizer) {
            AtomicFiles.write(directory.resolve(HuggingFaceTokenizer.FILE), TextFiles.read(Path.of(name)));
        } else {
            Tokenizers.save(tokenizer, directory.resolve(Tokenizers.FILE));
        }
    }

    /** The tokenizer in a model's directory. */
    static Tokenizer load(Path directory) {
        Path built = directory.resolve(Tokenizers.FILE);
        Path other = directory.resolve(HuggingFaceTokenizer.FILE);
        return Files.exists(other) && !Files.exists(built) ? HuggingFaceTokenizer.load(other) : Tokenizers.load(built);
    }
}
