package dev.sequent.io;

import dev.sequent.type.DataException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads text to train on. */
public final class TextFiles {
    private static final long MAX_BYTES = 1L << 30;

    private TextFiles() {
    }

    /**
     * The text of a UTF-8 file of at most 1 GiB.
     *
     * @throws DataException when it is missing, unreadable, empty, too large, or not UTF-8
     */
    public static String read(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new DataException("text", "a text file", AtomicFiles.describe(file));
        }
        try {
            long size = Files.size(file);
            if (size == 0 || size > MAX_BYTES) {
                throw new DataException("text", "a text of 1 to " + MAX_BYTES + " bytes", size + " bytes in " + file);
            }
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new DataException("[text] expected UTF-8, given other bytes in " + file, e);
        } catch (IOException e) {
            throw new DataException("[text] expected a readable file, given " + file + ": " + e, e);
        }
    }
}
