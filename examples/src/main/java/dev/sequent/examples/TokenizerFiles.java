package dev.sequent.examples;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.ByteTokenizer;
import dev.sequent.io.CharTokenizer;
import dev.sequent.io.TextFiles;
import dev.sequent.io.Tokenizer;
import dev.sequent.io.Tokenizers;
import dev.sequent.tokenizers.HuggingFaceTokenizer;
import dev.sequent.type.CheckpointException;
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

    /**
     * The tokenizer in a model's directory.
     *
     * @throws CheckpointException when there is none
     */
    static Tokenizer load(Path directory) {
        Path built = directory.resolve(Tokenizers.FILE);
        Path other = directory.resolve(HuggingFaceTokenizer.FILE);
        if (!Files.exists(built) && !Files.exists(other)) {
            throw new CheckpointException("tokenizer",
                    HuggingFaceTokenizer.FILE + " or " + Tokenizers.FILE + " beside the model, or another one by --tokenizer",
                            directory + " without");
        }
        return Files.exists(other) && !Files.exists(built) ? HuggingFaceTokenizer.load(other) : Tokenizers.load(built);
    }

    /**
     * Requires that {@code tokenizer} has no more ids than the model, and one of ours, which are made for one model, exactly as many;
     * vocabularies of public checkpoints are often padded.
     *
     * @throws CheckpointException when it does not
     */
    static void requireFit(Tokenizer tokenizer, int vocabulary, Path directory) {
        boolean padded = tokenizer instanceof HuggingFaceTokenizer || tokenizer instanceof ByteTokenizer;
        int ids = tokenizer.vocabularySize();
        if (padded ? ids > vocabulary : ids != vocabulary) {
            throw new CheckpointException("generate",
                    "a tokenizer of " + (padded ? "at most " : "") + vocabulary + " ids, the model's vocabulary",
                    ids + " ids in " + directory);
        }
    }
}
