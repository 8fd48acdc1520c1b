package dev.sequent.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.CheckpointException;
import dev.sequent.type.DataException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerTest {
    @TempDir
    Path directory;

    @Provide
    Arbitrary<String> texts() {
        return Arbitraries.integers().between(1, 0x10FFFF).filter(c -> c < 0xD800 || c > 0xDFFF).list().ofMaxSize(40)
                .map(list -> list.stream().collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append).toString());
    }

    @Property(tries = 300)
    void bytesRoundTrip(@ForAll("texts") String text) {
        Tokenizer tokenizer = new ByteTokenizer();
        assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
        assertThat(stream(tokenizer.decoder(), tokenizer.encode(text))).isEqualTo(text);
        assertThat(stream(new WindowDecoder(tokenizer), tokenizer.encode(text))).isEqualTo(text);
    }

    @Property(tries = 300)
    void charactersRoundTrip(@ForAll("texts") String text) {
        CharTokenizer tokenizer = CharTokenizer.of(text + "x");
        assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
        assertThat(stream(tokenizer.decoder(), tokenizer.encode(text))).isEqualTo(text);
        assertThat(stream(new WindowDecoder(tokenizer), tokenizer.encode(text))).isEqualTo(text);
        assertThat(Arrays.stream(tokenizer.encode(text))).allMatch(id -> id < tokenizer.vocabularySize());
    }

    @Property(tries = 500)
    void anyBytesStreamToWhatTheyDecodeTo(@ForAll long seed) {
        Random random = new Random(seed);
        int[] ids = random.ints(random.nextInt(30), 0x60, 256).toArray();
        Tokenizer tokenizer = new ByteTokenizer();
        assertThat(stream(tokenizer.decoder(), ids)).isEqualTo(tokenizer.decode(ids));
    }

    @Test
    void halfACharacterWaits() {
        TokenDecoder decoder = new ByteTokenizer().decoder();
        int[] ids = new ByteTokenizer().encode("a😀b");
        String[] pieces = Arrays.stream(ids).mapToObj(decoder::next).toArray(String[]::new);
        assertThat(pieces).containsExactly("a", "", "", "", "😀", "b");
        assertThat(decoder.next(0xE2)).isEmpty();
        assertThat(decoder.finish()).isEqualTo("\uFFFD");
        assertThat(decoder.next('c')).isEqualTo("c");
    }

    @Test
    void windowDecoderKeepsTheContextThatDecodingNeeds() {
        Tokenizer words = new Tokenizer() {
            @Override
            public int[] encode(String text) {
                throw new UnsupportedOperationException();
            }

            @Override
            public String decode(int... ids) {
                StringBuilder text = new StringBuilder();
                for (int id : ids) {
                    text.append(text.isEmpty() ? "" : " ").append("w").append(id);
                }
                return text.toString();
            }

            @Override
            public int vocabularySize() {
                return 100;
            }
        };
        assertThat(stream(words.decoder(), 1, 2, 3)).isEqualTo("w1 w2 w3");
    }

    @Test
    void alphabetIsSortedByCodePoint() {
        CharTokenizer tokenizer = CharTokenizer.of("hello 😀 \uFFE5");
        assertThat(tokenizer.alphabet()).isEqualTo(" ehlo\uFFE5😀");
        assertThat(tokenizer.encode("😀 h")).containsExactly(6, 0, 2);
    }

    @Test
    void unknownCharactersAreNamedWithTheirPosition() {
        CharTokenizer tokenizer = CharTokenizer.of("ab😀");
        assertThatThrownBy(() -> tokenizer.encode("a😀c")).isInstanceOf(DataException.class)
                .hasMessage("[encode] expected characters of an alphabet of 3, given 'c' (U+0063) at position 2");
        assertThatThrownBy(() -> tokenizer.encode("\n")).isInstanceOf(DataException.class)
                .hasMessageContaining("a control character (U+000A) at position 0");
    }

    @Test
    void badInputIsATypedError() {
        assertThatThrownBy(() -> CharTokenizer.of("")).isInstanceOf(DataException.class).hasMessageContaining("an empty text");
        assertThatThrownBy(() -> CharTokenizer.of("a\uD800")).isInstanceOf(DataException.class).hasMessageContaining("U+D800");
        assertThatThrownBy(() -> new ByteTokenizer().encode("a\uDC00b")).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> new ByteTokenizer().decode(65, 256)).isInstanceOf(DataException.class)
                .hasMessage("[decode] expected ids in [0, 256), given id 256");
        assertThatThrownBy(() -> new ByteTokenizer().decoder().next(-1)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> CharTokenizer.of("ab").decode(2)).isInstanceOf(DataException.class);
    }

    @Test
    void savedTokenizersAreEqual() {
        for (Tokenizer tokenizer : new Tokenizer[] {new ByteTokenizer(), CharTokenizer.of("to be\n\t\"\\😀\u0000\u2028é")}) {
            Path file = directory.resolve(Tokenizers.FILE);
            Tokenizers.save(tokenizer, file);
            assertThat(Tokenizers.load(file)).isEqualTo(tokenizer).hasSameHashCodeAs(tokenizer);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "[]", "{}", "{\"type\":\"bpe\"}", "{\"type\":1}", "{\"type\":\"char\"}",
            "{\"type\":\"char\",\"alphabet\":\"\"}", "{\"type\":\"char\",\"alphabet\":\"ba\"}",
            "{\"type\":\"char\",\"alphabet\":\"aa\"}", "{\"type\":\"byte\",\"size\":256}",
                    "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\"}}"})
    void malformedTokenizerFilesAreTypedErrors(String json) throws Exception {
        Path file = Files.writeString(directory.resolve(Tokenizers.FILE), json);
        assertThatThrownBy(() -> Tokenizers.load(file)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("[sequent_tokenizer.json] expected ");
    }

    private static String stream(TokenDecoder decoder, int... ids) {
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            String piece = decoder.next(id);
            assertThat(piece.isEmpty() || !Character.isHighSurrogate(piece.charAt(piece.length() - 1))).isTrue();
            text.append(piece);
        }
        return text.append(decoder.finish()).toString();
    }
}
