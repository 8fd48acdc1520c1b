package dev.sequent.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsFileTest {
    private static Path scratch;

    @TempDir
    Path directory;

    @BeforeContainer
    static void createScratch() throws IOException {
        scratch = Files.createTempDirectory("safetensors");
    }

    @AfterContainer
    static void deleteScratch() throws IOException {
        Files.deleteIfExists(scratch.resolve("p.safetensors"));
        Files.delete(scratch);
    }

    @Property(tries = 200)
    void whatIsWrittenIsRead(@ForAll long seed, @ForAll @IntRange(max = 12) int count) throws IOException {
        Random random = new Random(seed);
        List<SafetensorsFile.Source> sources = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            long[] dims = random.longs(random.nextInt(4), 0, 6).toArray();
            DType dtype = DType.values()[random.nextInt(DType.values().length)];
            byte[] data = new byte[(int) Shape.of(dims).size() * dtype.bytes()];
            random.nextBytes(data);
            sources.add(SafetensorsFile.Source.of("layer\n\"é😀." + i, dtype, Shape.of(dims), MemorySegment.ofArray(data)));
        }
        Map<String, String> metadata = random.nextBoolean() ? Map.of() : Map.of("format", "pt", "note", "line\nbreak \u0001");
        Path file = scratch.resolve("p.safetensors");
        SafetensorsFile.write(file, metadata, sources);
        try (SafetensorsFile read = SafetensorsFile.open(file)) {
            assertThat(read.metadata()).isEqualTo(metadata);
            assertThat(read.tensors()).containsExactlyInAnyOrderElementsOf(sources.stream().map(SafetensorsFile.Source::tensor).toList());
            for (SafetensorsFile.Source source : sources) {
                MemorySegment data = read.data(source.tensor().name());
                assertThat(read.tensor(source.tensor().name())).isEqualTo(source.tensor());
                assertThat(data.isReadOnly()).isTrue();
                assertThat(data.address() % source.tensor().dtype().bytes()).isZero();
                source.transferTo(expected -> assertThat(data.mismatch(expected)).isEqualTo(-1));
            }
        }
        assertThat(Files.size(file) % 8 == 0 || count > 0).isTrue();
    }

    @Test
    void layoutIsTheReferences() throws IOException {
        Path file = directory.resolve("m.safetensors");
        SafetensorsFile.write(file, Map.of("format", "pt"), List.of(
                SafetensorsFile.Source.of("z", DType.F16, Shape.of(1), MemorySegment.ofArray(new byte[] {1, 2})),
                SafetensorsFile.Source.of("b", DType.F32, Shape.of(1), MemorySegment.ofArray(new float[] {1})),
                SafetensorsFile.Source.of("a", DType.F32, Shape.of(), MemorySegment.ofArray(new float[] {2})),
                SafetensorsFile.Source.of("y", DType.I64, Shape.of(1, 1), MemorySegment.ofArray(new long[] {3}))));
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        int length = (int) bytes.getLong();
        byte[] header = new byte[length];
        bytes.get(header);
        String expected = "{\"__metadata__\":{\"format\":\"pt\"},\"y\":{\"dtype\":\"I64\",\"shape\":[1,1],\"data_offsets\":[0,8]},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]},"
                + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]},"
                + "\"z\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[16,18]}}";
        assertThat(new String(header, StandardCharsets.UTF_8).stripTrailing()).isEqualTo(expected);
        assertThat(length % 8).isZero();
        assertThat(bytes.getLong()).isEqualTo(3);
        assertThat(bytes.getFloat()).isEqualTo(2);
        assertThat(bytes.getFloat()).isEqualTo(1);
        assertThat(bytes.remaining()).isEqualTo(2);
    }

    @Test
    void emptyFileOfTensorsIsValid() {
        Path file = directory.resolve("m.safetensors");
        SafetensorsFile.write(file, Map.of(), List.of());
        try (SafetensorsFile read = SafetensorsFile.open(file)) {
            assertThat(read.tensors()).isEmpty();
        }
    }

    @Test
    void fileBeyondTwoGibibytesOpensWithoutReadingIt() throws IOException {
        Path file = directory.resolve("big.safetensors");
        long elements = 700_000_000L;
        String header = "{\"big\":{\"dtype\":\"F32\",\"shape\":[" + elements + "],\"data_offsets\":[0," + elements * 4 + "]}}";
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.write(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(header.length()).array());
            sparse.write(header.getBytes(StandardCharsets.UTF_8));
            sparse.setLength(8 + header.length() + elements * 4);
            sparse.seek(8 + header.length() + elements * 4 - 1);
            sparse.write(0x40);
        }
        try (WeightStore read = WeightStore.open(file)) {
            assertThat(read.data("big").get(ValueLayout.JAVA_BYTE, elements * 4 - 1)).isEqualTo((byte) 0x40);
        }
    }

    @Test
    void failedWriteKeepsTheOldFileAndLeavesNothingBehind() throws IOException {
        Path file = directory.resolve("m.safetensors");
        SafetensorsFile.write(file, Map.of("version", "old"), List.of());
        SafetensorsFile.Source tooShort = source("a", 8, sink -> sink.accept(MemorySegment.ofArray(new byte[7])));
        SafetensorsFile.Source failing = source("a", 8, sink -> {
            sink.accept(MemorySegment.ofArray(new byte[4]));
            throw new IllegalStateException("device lost");
        });
        assertThatThrownBy(() -> SafetensorsFile.write(file, Map.of(), List.of(tooShort))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("expected 8 bytes of \"a\", given 7 bytes");
        assertThatThrownBy(() -> SafetensorsFile.write(file, Map.of(), List.of(failing))).isInstanceOf(IllegalStateException.class);
        try (SafetensorsFile read = SafetensorsFile.open(file); var files = Files.list(directory)) {
            assertThat(read.metadata()).containsEntry("version", "old");
            assertThat(files).containsExactly(file);
        }
    }

    @Test
    void chunksOfAnySizeAreConcatenated() throws IOException {
        Path file = directory.resolve("m.safetensors");
        byte[] content = new byte[3_000_000];
        new Random(1).nextBytes(content);
        SafetensorsFile.write(file, Map.of(), List.of(source("a", content.length, sink -> {
            MemorySegment all = MemorySegment.ofArray(content);
            sink.accept(all.asSlice(0, 1));
            sink.accept(all.asSlice(1, 0));
            sink.accept(all.asSlice(1, 2_500_000));
            sink.accept(all.asSlice(2_500_001));
        })));
        try (SafetensorsFile read = SafetensorsFile.open(file)) {
            assertThat(read.data("a").mismatch(MemorySegment.ofArray(content))).isEqualTo(-1);
        }
    }

    @Test
    void badWritesAreTypedErrors() {
        Path file = directory.resolve("m.safetensors");
        SafetensorsFile.Source a = source("a", 0, sink -> { });
        assertThatThrownBy(() -> SafetensorsFile.write(file, Map.of(), List.of(a, a))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("distinct");
        assertThatThrownBy(() -> SafetensorsFile.write(file, Map.of(), List.of(source("", 0, sink -> { }))))
                .isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> SafetensorsFile.write(file, Map.of(), List.of(source("__metadata__", 0, sink -> { }))))
                .isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> SafetensorsFile.write(directory, Map.of(), List.of())).isInstanceOf(CheckpointException.class);
        assertThatThrownBy(() -> SafetensorsFile.write(directory.resolve("no/m.safetensors"), Map.of(), List.of()))
                .isInstanceOf(CheckpointException.class)
                .hasMessageContaining("directory that exists");
        assertThat(file).doesNotExist();
    }

    @Test
    void useAfterCloseAndUnknownNamesAreTypedErrors() {
        Path file = directory.resolve("m.safetensors");
        SafetensorsFile.write(file, Map.of(), List.of(SafetensorsFile.Source.of("a", DType.F32, Shape.of(2),
                MemorySegment.ofArray(new float[2]))));
        SafetensorsFile read = SafetensorsFile.open(file);
        MemorySegment data = read.data("a");
        assertThatThrownBy(() -> read.data("b")).isInstanceOf(CheckpointException.class).hasMessageContaining("\"b\"")
                .hasMessageContaining("\"a\"");
        read.close();
        read.close();
        assertThatThrownBy(() -> read.data("a")).isInstanceOf(CheckpointException.class).hasMessageContaining("closed");
        assertThatThrownBy(() -> data.get(ValueLayout.JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
    }

    private static SafetensorsFile.Source source(String name, long bytes, Consumer<Consumer<MemorySegment>> content) {
        return new SafetensorsFile.Source() {
            @Override
            public StoredTensor tensor() {
                return new StoredTensor(name, DType.BOOL, Shape.of(bytes), bytes);
            }

            @Override
            public void transferTo(Consumer<MemorySegment> sink) {
                content.accept(sink);
            }
        };
    }
}
