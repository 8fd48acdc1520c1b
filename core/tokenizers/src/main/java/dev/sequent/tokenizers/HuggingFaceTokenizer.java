package dev.sequent.tokenizers;

import ai.djl.huggingface.tokenizers.Encoding;
import dev.sequent.io.Json;
import dev.sequent.io.JsonView;
import dev.sequent.io.Tokenizer;
import dev.sequent.type.BackendException;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DataException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;

/**
 * A tokenizer from a Hugging Face {@code tokenizer.json}: byte-pair encoding, WordPiece, Unigram and what else that
 * format describes, as computed by the reference implementation (native code, through DJL).
 *
 * <p>Texts are encoded whole: truncation and padding of the file are switched off, and special tokens are added only where the caller asks.
 * The file is local; nothing is downloaded. Safe for use by several threads; {@link #close} releases native memory, and later
 * use is a {@link DataException}.
 */
public final class HuggingFaceTokenizer implements Tokenizer, AutoCloseable {
    /** Name of the file in a checkpoint directory. */
    public static final String FILE = "tokenizer.json";

    private static final long MAX_BYTES = 1L << 28;
    private static final String OFFLINE = "ai.djl.offline";

    private final ai.djl.huggingface.tokenizers.HuggingFaceTokenizer tokenizer;
    private final Map<String, Integer> ids;
    private final int vocabularySize;
    /** Calls share it, closing excludes them: the native library would read freed memory. */
    private final ReadWriteLock inUse = new ReentrantReadWriteLock();
    private boolean closed;

    private HuggingFaceTokenizer(ai.djl.huggingface.tokenizers.HuggingFaceTokenizer tokenizer, Map<String, Integer> ids) {
        this.tokenizer = tokenizer;
        this.ids = ids;
        this.vocabularySize = ids.values().stream().mapToInt(id -> id + 1).max().orElse(0);
    }

    /**
     * Reads a {@code tokenizer.json}, or the one in a checkpoint directory.
     *
     * @throws CheckpointException when it is missing, unreadable or malformed
     * @throws BackendException    when the native library does not work on this machine
     */
    public static HuggingFaceTokenizer load(Path path) {
        Path file = Files.isDirectory(path) ? path.resolve(FILE) : path;
        Json json = Json.read(file, MAX_BYTES, Json.Dialect.STRICT, CheckpointException::new);
        Map<String, Integer> ids = vocabulary(JsonView.of(json, file.getFileName().toString(), CheckpointException::new));
        try {
            return new HuggingFaceTokenizer(open(json.write().getBytes(StandardCharsets.UTF_8)), ids);
        } catch (IOException | RuntimeException e) {
            throw new CheckpointException("[" + file.getFileName() + "] expected a tokenizer that the tokenizers library accepts, given "
                    + e.getMessage(), e);
        } catch (LinkageError e) {
            throw new BackendException("[tokenizers] expected a native tokenizers library for this machine, given " + e.getMessage()
                    + "; DJL has one for Linux and macOS on x86-64 and AArch64 and for Windows on x86-64", e);
        }
    }

    /**
     * DJL reports to its makers, and may download a native library, when a tokenizer is made, unless it is told to stay offline. It
     * can be told only by this property of the process, which is put back so that a program's own use of DJL is not affected.
     */
    private static ai.djl.huggingface.tokenizers.HuggingFaceTokenizer open(byte[] json) throws IOException {
        Map<String, String> options = Map.of("addSpecialTokens", "false", "truncation", "false", "padding", "false");
        synchronized (HuggingFaceTokenizer.class) {
            String before = System.getProperty(OFFLINE);
            System.setProperty(OFFLINE, "true");
            try {
                return ai.djl.huggingface.tokenizers.HuggingFaceTokenizer.newInstance(new ByteArrayInputStream(json), options);
            } finally {
                if (before == null) {
                    System.clearProperty(OFFLINE);
                } else {
                    System.setProperty(OFFLINE, before);
                }
            }
        }
    }

    @Override
    public int[] encode(String text) {
        return encode(text, false);
    }

    /**
     * The ids of {@code text}.
     *
     * @param special whether the tokenizer adds its special tokens, such as one for the beginning of a text
     */
    public int[] encode(String text, boolean special) {
        requireWhole(text);
        Encoding encoding = call("encode", () -> tokenizer.encode(text, special, false));
        long[] long64 = encoding.getIds();
        int[] out = new int[long64.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = Math.toIntExact(long64[i]);
        }
        return out;
    }

    @Override
    public String decode(int... ids) {
        return decode(false, ids);
    }

    /** The text of {@code ids}, with special tokens left out when {@code skipSpecial}. */
    public String decode(boolean skipSpecial, int... ids) {
        long[] long64 = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            Tokenizer.requireId(ids[i], vocabularySize);
            long64[i] = ids[i];
        }
        return call("decode", () -> tokenizer.decode(long64, skipSpecial));
    }

    /** One more than the greatest id, added tokens included. */
    @Override
    public int vocabularySize() {
        return vocabularySize;
    }

    /** The id of a token by its exact spelling in the file, such as {@code <|endoftext|>}. */
    public OptionalInt id(String token) {
        Integer id = ids.get(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /** Releases native memory. Idempotent. */
    @Override
    public void close() {
        inUse.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                tokenizer.close();
            }
        } finally {
            inUse.writeLock().unlock();
        }
    }

    private <T> T call(String op, Supplier<T> body) {
        inUse.readLock().lock();
        try {
            if (closed) {
                throw new DataException(op, "an open tokenizer", "one that was closed");
            }
            return body.get();
        } catch (DataException e) {
            throw e;
        } catch (RuntimeException e) {
            throw new DataException("[" + op + "] expected text and ids that the tokenizer accepts, given " + e.getMessage(), e);
        } finally {
            inUse.readLock().unlock();
        }
    }

    private static void requireWhole(String text) {
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
            throw new DataException("encode", "text of whole characters", "a lone surrogate");
        }
    }

    /** Ids by token: the model's vocabulary, a map or (Unigram) a list of pairs, and the added tokens. */
    private static Map<String, Integer> vocabulary(JsonView root) {
        Map<String, Integer> ids = new HashMap<>();
        JsonView vocabulary = root.at("model").at("vocab");
        if (vocabulary.value() instanceof Json.Arr) {
            int id = 0;
            for (JsonView pair : vocabulary.elements()) {
                ids.put(pair.elements().stream().findFirst().orElseThrow(() -> pair.mismatch("a token and its score")).asString(), id++);
            }
        } else {
            vocabulary.members().forEach((token, id) -> ids.put(token, id.asInt(0, Integer.MAX_VALUE - 1)));
        }
        root.find("added_tokens").ifPresent(added -> added.elements()
                .forEach(token -> ids.put(token.at("content").asString(), token.at("id").asInt(0, Integer.MAX_VALUE - 1))));
        if (ids.isEmpty()) {
            throw vocabulary.mismatch("at least one token");
        }
        return Map.copyOf(ids);
    }
}
