package dev.sequent.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.ByteTokenizer;
import dev.sequent.io.CharTokenizer;
import dev.sequent.io.TextFiles;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenDatasetTest {
    @TempDir
    Path directory;

    @Test
    void splitIsContiguousWithTheTailForValidation() {
        TokenDataset tokens = TokenDataset.of(IntStream.range(0, 100).toArray(), 100);
        TokenDataset.Split split = tokens.split(0.1);
        assertThat(all(split.train())).containsExactly(IntStream.range(0, 90).toArray());
        assertThat(all(split.validation())).containsExactly(IntStream.range(90, 100).toArray());
        assertThat(all(split.train().slice(10, 12).slice(1, 2))).containsExactly(11);
    }

    @Test
    void filesHoldWhatWasWritten() throws IOException {
        int[] ids = new Random(3).ints(700_001, 0, 60_000).toArray();
        for (TokenFile.Width width : TokenFile.Width.values()) {
            Path path = directory.resolve(width + ".bin");
            TokenFile.write(path, width, List.of(new int[0], Arrays.copyOf(ids, 17), Arrays.copyOfRange(ids, 17, ids.length)));
            assertThat(Files.size(path)).isEqualTo(ids.length * (width == TokenFile.Width.U16 ? 2L : 4L));
            try (TokenFile file = TokenFile.open(path, width, 60_000)) {
                file.requireIds();
                assertThat(all(file)).isEqualTo(ids);
                assertThat(all(file.split(0.25).validation())).hasSize(175_000);
            }
        }
        assertThat(TokenFile.Width.of(65_536)).isEqualTo(TokenFile.Width.U16);
        assertThat(TokenFile.Width.of(65_537)).isEqualTo(TokenFile.Width.I32);
    }

    @Test
    void sixteenBitIdsAreUnsigned() throws IOException {
        Path path = Files.write(directory.resolve("t.bin"), new byte[] {(byte) 0xFF, (byte) 0xFF, 1, 2});
        try (TokenFile file = TokenFile.open(path, TokenFile.Width.U16, 1 << 16)) {
            assertThat(all(file)).containsExactly(65_535, 513);
        }
    }

    @Test
    void badFilesAreTypedErrors() throws IOException {
        assertThatThrownBy(() -> TokenFile.open(directory, TokenFile.Width.U16, 10)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> TokenFile.open(directory.resolve("none"), TokenFile.Width.U16, 10)).isInstanceOf(DataException.class)
                .hasMessageContaining("missing");
        Path path = directory.resolve("t.bin");
        Files.write(path, new byte[0]);
        assertThatThrownBy(() -> TokenFile.open(path, TokenFile.Width.U16, 10)).isInstanceOf(DataException.class)
                .hasMessageContaining("0 bytes");
        Files.write(path, new byte[] {1, 0, 2});
        assertThatThrownBy(() -> TokenFile.open(path, TokenFile.Width.U16, 10)).isInstanceOf(DataException.class)
                .hasMessageContaining("3 bytes");
        Files.write(path, new byte[] {1, 0, 12, 0, 13, 0});
        TokenFile file = TokenFile.open(path, TokenFile.Width.U16, 10);
        assertThatThrownBy(file::requireIds)
                .hasMessage("[dataset] expected ids in [0, 10), given 2 of 3 outside, the first id 12 at token 1");
        assertThatThrownBy(() -> all(file)).isInstanceOf(DataException.class).hasMessageContaining("id 12 at token 1");
        file.close();
        file.close();
        assertThatThrownBy(() -> all(file)).isInstanceOf(DataException.class).hasMessageContaining("closed");
        assertThatThrownBy(() -> TokenFile.write(path, TokenFile.Width.U16, new int[] {65_536})).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> TokenFile.write(path, TokenFile.Width.I32, new int[] {-1})).isInstanceOf(DataException.class);
        assertThat(Files.size(path)).isEqualTo(6);
    }

    @Test
    void badDataIsATypedErrorWithCounts() {
        assertThatThrownBy(() -> TokenDataset.of(new ByteTokenizer(), "")).isInstanceOf(DataException.class)
                .hasMessageContaining("an empty text");
        assertThatThrownBy(() -> TokenDataset.of(CharTokenizer.of("ab"), "abc")).isInstanceOf(DataException.class)
                .hasMessageContaining("'c'");
        assertThatThrownBy(() -> TokenDataset.of(new int[0], 5)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> TokenDataset.of(new int[] {1, 5, -1}, 5)).isInstanceOf(DataException.class)
                .hasMessage("[dataset] expected ids in [0, 5), given 2 of 3 outside, the first id 5 at token 1");
        TokenDataset three = TokenDataset.of(new int[] {1, 2, 3}, 5);
        assertThatThrownBy(() -> three.split(0.5)).isInstanceOf(DataException.class).hasMessageContaining("given 1 and 2 of 3");
        assertThatThrownBy(() -> three.split(0)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> three.split(Double.NaN)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> three.slice(2, 2)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> three.copy(2, new int[2], 0, 2)).isInstanceOf(DataException.class);
        assertThatThrownBy(() -> three.copy(Long.MAX_VALUE, new int[2], 0, 2)).isInstanceOf(DataException.class);
    }

    @Test
    void textFilesAreStrictUtf8() throws IOException {
        Path file = directory.resolve("text.txt");
        Files.writeString(file, "Ünïcode 😀");
        assertThat(TextFiles.read(file)).isEqualTo("Ünïcode 😀");
        Files.write(file, new byte[] {'a', (byte) 0xE9});
        assertThatThrownBy(() -> TextFiles.read(file)).isInstanceOf(DataException.class).hasMessageContaining("UTF-8");
        Files.write(file, new byte[0]);
        assertThatThrownBy(() -> TextFiles.read(file)).isInstanceOf(DataException.class).hasMessageContaining("0 bytes");
        assertThatThrownBy(() -> TextFiles.read(directory)).isInstanceOf(DataException.class).hasMessageContaining("directory");
        assertThatThrownBy(() -> TextFiles.read(directory.resolve("none"))).isInstanceOf(DataException.class)
                .hasMessageContaining("missing");
    }

    private static int[] all(TokenDataset tokens) {
        int[] ids = new int[(int) tokens.size()];
        tokens.copy(0, ids, 0, ids.length);
        return ids;
    }
}
