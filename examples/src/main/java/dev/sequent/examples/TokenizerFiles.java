package dev.sequent.examples;

import dev.sequent.io.ByteTokenizer;
import dev.sequent.io.CharTokenizer;
import dev.sequent.io.Tokenizer;
import dev.sequent.io.Tokenizers;
import java.nio.file.Path;

/** Tokenizers by the name that a user gives, and beside a checkpoint. */
final class TokenizerFiles {
    private TokenizerFiles() {}

    /** {@code char}: the characters of {@code text}; {@code byte}. */
    static Tokenizer open(String name, String text) {
        return name.equals("byte") ? new ByteTokenizer() : CharTokenizer.of(text);
    }

    /** Stores a tokenizer in a model's directory. */
    static void save(Tokenizer tokenizer, Path directory) {
        Tokenizers.save(tokenizer, directory.resolve(Tokenizers.FILE));
    }

    /** The tokenizer in a model's directory. */
    static Tokenizer load(Path directory) {
        return Tokenizers.load(directory.resolve(Tokenizers.FILE));
    }
}
