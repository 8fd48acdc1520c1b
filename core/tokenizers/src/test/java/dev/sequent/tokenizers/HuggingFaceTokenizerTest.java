package dev.sequent.tokenizers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.Json;
import dev.sequent.io.TokenDecoder;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A byte-level BPE with two merges, and a word-level tokenizer, both written here. */
class HuggingFaceTokenizerTest {
    private static final int BYTES = 256;

    @TempDir
    Path directory;

    @Test
    void mergesAreApplied() throws IOException {
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(byteLevel())) {
            int[] ids = tokenizer.encode("ththe");
            assertThat(ids).containsExactly(BYTES, BYTES + 1);
            assertThat(tokenizer.decode(ids)).isEqualTo("ththe");
            assertThat(tokenizer.vocabularySize()).isEqualTo(BYTES + 3);
            assertThat(tokenizer.id("<|endoftext|>")).hasValue(BYTES + 2);
            assertThat(tokenizer.id("nowhere")).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a", " ", "the cat\n\tsat  there", "Ünïcode 😀😀 漢字", "\u0000\u0001", "x\uFFFDy", "<|endoftext|>",
            "the<|endoftext|>the"})
    void anyTextRoundTripsAndStreams(String text) throws IOException {
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(byteLevel())) {
            int[] ids = tokenizer.encode(text);
            assertThat(tokenizer.decode(ids)).isEqualTo(text);
            TokenDecoder decoder = tokenizer.decoder();
            StringBuilder streamed = new StringBuilder();
            for (int id : ids) {
                streamed.append(decoder.next(id));
            }
            assertThat(streamed.append(decoder.finish()).toString()).isEqualTo(text);
        }
    }

    @Test
    void halfACharacterWaits() throws IOException {
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(byteLevel())) {
            int[] ids = tokenizer.encode("a😀");
            TokenDecoder decoder = tokenizer.decoder();
            List<String> pieces = new ArrayList<>();
            for (int id : ids) {
                pieces.add(decoder.next(id));
            }
            assertThat(pieces).containsExactly("a", "", "", "", "😀");
        }
    }

    @Test
    void specialTokensAreSkippedOnRequest() throws IOException {
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(byteLevel())) {
            int[] ids = tokenizer.encode("the<|endoftext|>");
            assertThat(ids).containsExactly(BYTES + 1, BYTES + 2);
            assertThat(tokenizer.decode(true, ids)).isEqualTo("the");
        }
    }

    @Test
    void longTextsAreNotTruncatedWhateverTheFileSays() throws IOException {
        Path file = byteLevel();
        Files.writeString(file, Files.readString(file).replace("\"truncation\":null",
                "\"truncation\":{\"direction\":\"Right\",\"max_length\":4,\"strategy\":\"LongestFirst\",\"stride\":0}"));
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(file)) {
            assertThat(tokenizer.encode("a".repeat(5000))).hasSize(5000);
        }
    }

    @Test
    void threadsShareATokenizer() throws IOException {
        String before = System.getProperty("ai.djl.offline");
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(byteLevel())) {
            int[] expected = tokenizer.encode("the quick brown fox");
            assertThat(IntStream.range(0, 200).parallel().mapToObj(i -> tokenizer.encode("the quick brown fox")))
                    .allMatch(ids -> Arrays.equals(ids, expected));
        }
        assertThat(System.getProperty("ai.djl.offline")).isEqualTo(before);
    }

    @Test
    void directoriesAreSearchedForTheFile() throws IOException {
        byteLevel();
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(directory)) {
            assertThat(tokenizer.encode("a")).containsExactly('a');
        }
    }

    @Test
    void badInputIsATypedError() throws IOException {
        HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(byteLevel());
        assertThatThrownBy(() -> tokenizer.decode(BYTES + 3)).isInstanceOf(DataException.class).hasMessageContaining("id 259");
        assertThatThrownBy(() -> tokenizer.decode(-1)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> tokenizer.encode("\uD800")).isInstanceOf(DataException.class).hasMessageContaining("surrogate");
        tokenizer.close();
        tokenizer.close();
        assertThatThrownBy(() -> tokenizer.encode("a")).isInstanceOf(DataException.class).hasMessageContaining("closed");
        assertThatThrownBy(() -> tokenizer.decode(1)).isInstanceOf(DataException.class).hasMessageContaining("closed");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "{}", "{\"model\":{}}", "{\"model\":{\"vocab\":{}}}", "{\"model\":{\"vocab\":{\"a\":-1}}}",
            "{\"model\":{\"vocab\":{\"a\":0,\"a\":1}}}", "{\"model\":{\"vocab\":[[]]}}", "{\"model\":{\"vocab\":[[1, 2]]}}",
            "{\"model\":{\"type\":\"none\",\"vocab\":{\"a\":0}}}",
                    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"b c\"]}}", "{\"model\":{\"vocab\":{\"a\":0}}"})
    void malformedFilesAreTypedErrors(String json) throws IOException {
        Path file = Files.writeString(directory.resolve("tokenizer.json"), json);
        assertThatThrownBy(() -> HuggingFaceTokenizer.load(file)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("[tokenizer.json] expected ");
    }

    /** The id of a Unigram token is its place in the list, also behind one that is listed twice. */
    @Test
    void listedTokensHaveTheirPlacesAsIds() throws IOException {
        Path file = Files.writeString(directory.resolve("tokenizer.json"), Json.ofJava(unigram("<unk>", "a", "a", "b")).write());
        try (HuggingFaceTokenizer tokenizer = HuggingFaceTokenizer.load(file)) {
            assertThat(tokenizer.vocabularySize()).isEqualTo(4);
            assertThat(tokenizer.id("b")).hasValue(3);
            assertThat(tokenizer.encode("b")).containsExactly(3);
        }
    }

    private static Map<String, Object> unigram(String... tokens) {
        Map<String, Object> root = new LinkedHashMap<>();
        root.put("version", "1.0");
        root.put("added_tokens", List.of());
        root.put("model", Map.of("type", "Unigram", "unk_id", 0, "vocab", Arrays.stream(tokens).map(t -> List.of(t, -1.5)).toList()));
        return root;
    }

    @Test
    void missingFileIsATypedError() {
        assertThatThrownBy(() -> HuggingFaceTokenizer.load(directory)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("missing");
    }

    private Path byteLevel() throws IOException {
        Map<String, Object> vocabulary = new LinkedHashMap<>();
        for (int b = 0; b < BYTES; b++) {
            vocabulary.put(Character.toString(byteLevelChar(b)), b);
        }
        vocabulary.put("th", BYTES);
        vocabulary.put("the", BYTES + 1);
        Map<String, Object> model = new LinkedHashMap<>();
        model.put("type", "BPE");
        model.put("vocab", vocabulary);
        model.put("merges", List.of("t h", "th e"));
        Map<String, Object> root = new LinkedHashMap<>();
        root.put("version", "1.0");
        root.put("truncation", null);
        root.put("padding", null);
        root.put("added_tokens", List.of(Map.of("id", BYTES + 2, "content", "<|endoftext|>", "single_word", false, "lstrip", false,
                "rstrip", false,
                "normalized", false, "special", true)));
        root.put("normalizer", null);
        root.put("pre_tokenizer", Map.of("type", "ByteLevel", "add_prefix_space", false, "trim_offsets", true, "use_regex", true));
        root.put("post_processor", null);
        root.put("decoder", Map.of("type", "ByteLevel", "add_prefix_space", false, "trim_offsets", true, "use_regex", true));
        root.put("model", model);
        return Files.writeString(directory.resolve("tokenizer.json"), Json.ofJava(root).write());
    }

    /** GPT-2's printable stand-in for a byte: itself where printable, else 256 and up in order. */
    private static int byteLevelChar(int b) {
        int next = 256;
        for (int c = 0; c < 256; c++) {
            boolean printable = c >= '!' && c <= '~' || c >= 0xA1 && c <= 0xAC || c >= 0xAE;
            if (c == b) {
                return printable ? c : next;
            }
            next += printable ? 0 : 1;
        }
        throw new IllegalArgumentException();
    }
}
