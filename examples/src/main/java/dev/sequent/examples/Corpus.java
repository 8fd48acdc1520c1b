package dev.sequent.examples;

import dev.sequent.io.TextFiles;
import dev.sequent.io.Tokenizer;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.type.DataException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/**
 * A text as tokens: the first nine tenths to train on, the last tenth for validation.
 *
 * @param file where the text came from
 * @param checksum of the text, to recognise it when a run is resumed
 * @param tokenizerName as the user gave it
 * @param charactersPerToken mean over the validation part: losses per token are divided by it to compare tokenizers
 */
record Corpus(Path file, String checksum, String tokenizerName, Tokenizer tokenizer, TokenDataset train, TokenDataset validation,
        double charactersPerToken) {
    private static final double VALIDATION_FRACTION = 0.1;

    /**
     * Reads a text.
     *
     * @param context T: both parts must hold at least one window of T tokens and one more to predict
     */
    static Corpus read(Path file, String tokenizerName, int context) {
        String text = TextFiles.read(file);
        Tokenizer tokenizer = TokenizerFiles.open(tokenizerName, text);
        TokenDataset tokens = TokenDataset.of(tokenizer, text);
        long needed = (long) Math.ceil((context + 1) / VALIDATION_FRACTION);
        if (tokens.size() < needed) {
            throw new DataException("text", "at least " + needed + " tokens, so that a tenth of them holds a context of " + context
                    + " and one more", tokens.size() + " tokens in " + file + "; give a longer text or a smaller --context");
        }
        TokenDataset.Split split = tokens.split(VALIDATION_FRACTION);
        int[] held = ids(split.validation(), split.validation().size());
        double characters = tokenizer.decode(held).codePoints().count();
        return new Corpus(file, checksum(text), tokenizerName, tokenizer, split.train(), split.validation(), characters / held.length);
    }

    /** The first {@code count} validation tokens, or all. */
    int[] validationStart(int count) {
        return ids(validation, Math.min(count, validation.size()));
    }

    private static int[] ids(TokenDataset tokens, long count) {
        int[] ids = new int[Math.toIntExact(count)];
        tokens.copy(0, ids, 0, ids.length);
        return ids;
    }

    private static String checksum(String text) {
        CRC32C crc = new CRC32C();
        crc.update(text.getBytes(StandardCharsets.UTF_8));
        return Long.toHexString(crc.getValue());
    }
}
