package dev.sequent.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsIndexTest {
    private static final String GOOD =
            "{\"metadata\":{\"total_size\":12},\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\",\"c\":\"1.safetensors\"}}";

    @TempDir
    Path directory;

    @BeforeEach
    void writeShards() {
        shard("1.safetensors", "a", "c");
        shard("2.safetensors", "b");
    }

    @Test
    void shardsReadAsOneStore() throws IOException {
        Files.writeString(directory.resolve(WeightStore.INDEX), GOOD);
        try (WeightStore store = WeightStore.open(directory)) {
            assertThat(store.tensors().stream().map(StoredTensor::name)).containsExactly("a", "c", "b");
            assertThat(store.data("b").get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0)).isEqualTo('b');
            assertThat(store.tensor("c").shape()).isEqualTo(Shape.of(1));
            assertThat(store.metadata()).containsEntry("format", "pt");
            assertThat(store.contains("d")).isFalse();
            assertThatThrownBy(() -> store.data("d")).isInstanceOf(CheckpointException.class);
        }
    }

    /** The layout of the Hugging Face cache, whose snapshots consist of links to blobs; links to anywhere else are refused. */
    @Test
    void linksLeadToBlobsOfTheSameCacheOnly() throws IOException {
        Path snapshot = Files.createDirectories(directory.resolve("models--x").resolve("snapshots").resolve("r1"));
        Path blobs = Files.createDirectories(directory.resolve("models--x").resolve("blobs"));
        Files.writeString(snapshot.resolve(WeightStore.INDEX), GOOD);
        for (String name : List.of("1.safetensors", "2.safetensors")) {
            Files.copy(directory.resolve(name), blobs.resolve("hash-" + name));
            Files.createSymbolicLink(snapshot.resolve(name), Path.of("..", "..", "blobs", "hash-" + name));
        }
        try (WeightStore store = WeightStore.open(snapshot)) {
            assertThat(store.tensors()).hasSize(3);
        }
        Files.delete(snapshot.resolve("2.safetensors"));
        Files.createSymbolicLink(snapshot.resolve("2.safetensors"), directory.resolve("2.safetensors"));
        assertThatThrownBy(() -> WeightStore.open(snapshot)).isInstanceOf(CheckpointException.class).hasMessageContaining("a link");
    }

    @Test
    void singleFileWinsOverIndex() throws IOException {
        Files.writeString(directory.resolve(WeightStore.INDEX), GOOD);
        shard(WeightStore.SINGLE, "s");
        try (WeightStore store = WeightStore.open(directory)) {
            assertThat(store.tensors()).hasSize(1);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"/etc/passwd", "../2.safetensors", "..", ".", "", "sub/2.safetensors", "sub/../2.safetensors",
            "..\\2.safetensors", "C:\\2.safetensors", "C:2.safetensors",
            "\\\\server\\share", "./2.safetensors", "2.safetensors/", "//2.safetensors", "file:2.safetensors", "2.safetensors\\u0000",
                    "a\\nb", "~/../../x"})
    void pathTricksAreRefused(String file) {
        String json = GOOD.replace("2.safetensors", file.contains("\\u") || file.contains("\\n") ? file : file.replace("\\", "\\\\"));
        assertRefused(json, "the plain name of a file beside the index at weight_map.b");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "no JSON | 'null', given 'o'",
        "[] | an object",
        "{} | a member \"weight_map\"",
        "{\"weight_map\":[]} | an object at weight_map",
        "{\"weight_map\":null} | an object at weight_map",
        "{\"weight_map\":{}} | at least one tensor",
        "{\"weight_map\":{\"a\":1}} | a string at weight_map.a",
        "{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"2.safetensors\"}} | each member name once",
        "{\"weight_map\":{\"\":\"1.safetensors\"}} | tensors with names",
        "{\"weight_map\":{\"a\":\"3.safetensors\"}} | the missing ",
        "{\"weight_map\":{\"a\":\"1.safetensors\"}} | [\"c\"] besides",
        "{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"2.safetensors\"}} | [\"a\"] in \"2.safetensors\"",
        "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"1.safetensors\",\"d\":\"1.safetensors\"}} | [\"d\"] in",
        "{\"weight_map\":{\"b\":\"2.safetensors\"},\"weight_map\":{}} | each member name once"})
    void malformedIndexIsATypedError(String json, String reason) {
        assertRefused(json, reason);
    }

    @Test
    void tensorInTwoShardsIsRefused() {
        shard("3.safetensors", "a", "d");
        assertRefused("{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"1.safetensors\",\"d\":\"3.safetensors\"}}", "[\"a\"] besides");
    }

    @Test
    void brokenShardIsATypedErrorThatNamesIt() throws IOException {
        Path shard = directory.resolve("2.safetensors");
        byte[] all = Files.readAllBytes(shard);
        Files.write(shard, Arrays.copyOf(all, all.length - 1));
        assertRefused(GOOD, "[2.safetensors]");
    }

    private void assertRefused(String json, String reason) {
        Path index = directory.resolve(WeightStore.INDEX);
        AtomicFiles.write(index, json);
        assertThatThrownBy(() -> WeightStore.open(directory)).isInstanceOf(CheckpointException.class).hasMessageContaining(reason);
    }

    private void shard(String file, String... names) {
        List<SafetensorsFile.Source> sources = Arrays.stream(names)
                .map(name -> SafetensorsFile.Source.of(name, DType.F32, Shape.of(1), MemorySegment.ofArray(new float[] {name.charAt(0)})))
                        .toList();
        SafetensorsFile.write(directory.resolve(file), Map.of("format", "pt"), sources);
    }

    /** File names are for machines, whatever digits people use. */
    @Test
    void namesOfShardsDoNotDependOnTheLocale() {
        Locale before = Locale.getDefault();
        Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
        try {
            SafetensorsFile.Source one = SafetensorsFile.Source.of("a", DType.F32, Shape.of(1), MemorySegment.ofArray(new float[1]));
            SafetensorsFile.Source two = SafetensorsFile.Source.of("b", DType.F32, Shape.of(1), MemorySegment.ofArray(new float[1]));
            SafetensorsIndex.write(directory, Map.of(), List.of(one, two), 4);
        } finally {
            Locale.setDefault(before);
        }
        assertThat(directory.resolve("model-00001-of-00002.safetensors")).exists();
        try (WeightStore store = WeightStore.open(directory)) {
            assertThat(store.tensors()).hasSize(2);
        }
    }

    @Test
    void tensorsWithTheWrongNumberOfBytesAreRefused() {
        assertThatThrownBy(() -> new StoredTensor("a", DType.F32, Shape.of(2), 4)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("8 bytes");
        List<StoredTensor> huge = List.of(new StoredTensor("a", DType.BOOL, Shape.of(1L << 62), 1L << 62),
                new StoredTensor("b", DType.BOOL, Shape.of(1L << 62), 1L << 62));
        assertThatThrownBy(() -> SafetensorsHeader.layOut(Map.of(), huge)).isInstanceOf(CheckpointException.class);
    }
}
