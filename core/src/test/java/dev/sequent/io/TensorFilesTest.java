package dev.sequent.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TensorFilesTest {
    @TempDir
    Path directory;

    private Device device;
    private Scope scope;

    @BeforeEach
    void open() {
        device = Device.open("reference");
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
        assertThat(device.memory().liveHandles()).isZero();
        device.close();
    }

    @Test
    void everyTypeRoundTripsBitExactly() throws IOException {
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (DType dtype : DType.values()) {
            if (dtype.isFloat()) {
                tensors.put("f." + dtype, new Rng(1).normal(device, dtype, 0, 1, 3, 5));
            }
        }
        tensors.put("scalar", Tensor.full(device, DType.F32, Math.PI));
        tensors.put("none", Tensor.zeros(device, DType.F64, 3, 0, 2));
        tensors.put("l", Tensor.of(device, new long[] {Long.MIN_VALUE, -1, Long.MAX_VALUE}));
        tensors.put("i", Tensor.of(device, new int[] {Integer.MIN_VALUE, 7}, 2, 1));
        tensors.put("b", Tensor.of(device, new boolean[] {true, false, true}));
        tensors.put("odd", Tensor.of(device, new float[] {Float.NaN, -0f, Float.MIN_VALUE, Float.NEGATIVE_INFINITY}, 2, 2));
        Path file = directory.resolve("m.safetensors");
        TensorFiles.save(file, Map.of("format", "pt"), tensors);
        Path again = directory.resolve("again.safetensors");
        try (WeightStore store = WeightStore.open(file)) {
            Map<String, Tensor> loaded = TensorFiles.load(store, device);
            assertThat(loaded.keySet()).containsExactlyInAnyOrderElementsOf(tensors.keySet());
            tensors.forEach((name, tensor) -> {
                assertThat(loaded.get(name).shape()).isEqualTo(tensor.shape());
                assertThat(loaded.get(name).toDoubles()).containsExactly(tensor.toDoubles());
            });
            TensorFiles.save(again, store.metadata(), loaded);
        }
        assertThat(Files.mismatch(file, again)).isEqualTo(-1);
    }

    @Test
    void floatsAreConvertedAndIntegersAreNot() {
        Path file = directory.resolve("m.safetensors");
        TensorFiles.save(file, Map.of(), Map.of("w", Tensor.of(device, new double[] {1.5, -2, 1e-3}), "i",
                Tensor.of(device, new int[] {3})));
        try (WeightStore store = WeightStore.open(file)) {
            Map<String, Tensor> loaded = TensorFiles.load(store, device, DType.BF16);
            assertThat(loaded.get("w").dtype()).isEqualTo(DType.BF16);
            assertThat(loaded.get("w").toFloats()).containsExactly(1.5f, -2f, 0.0009994507f);
            assertThat(loaded.get("i").dtype()).isEqualTo(DType.I32);
            assertThatThrownBy(() -> TensorFiles.load(store, device, DType.I32)).isInstanceOf(DTypeException.class);
            assertThatThrownBy(() -> TensorFiles.load(store, "none", device, DType.F32)).isInstanceOf(CheckpointException.class);
        }
    }

    @Test
    void largeTensorsMoveInPieces() {
        Path file = directory.resolve("m.safetensors");
        Tensor tensor = new Rng(7).unit(device, DType.F32, 7, 13);
        for (int piece : new int[] {4, 12, 100, 363, 364, 365}) {
            SafetensorsFile.write(file, Map.of(), List.of(TensorFiles.source("w", tensor, piece)));
            try (WeightStore store = WeightStore.open(file)) {
                Tensor loaded = TensorFiles.load(store, "w", device, DType.F64, piece);
                assertThat(loaded.shape()).isEqualTo(tensor.shape());
                assertThat(loaded.toDoubles()).containsExactly(tensor.toDoubles());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void filesWithoutAlignmentLoadOnEveryBackend(String backend) throws IOException {
        String header = "{\"a\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},"
                + "\"b\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[1,17]},"
                + "\"c\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[17,29]},"
                + "\"d\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[29,31]}}";
        ByteBuffer file = ByteBuffer.allocate(8 + header.length() + 31).order(ByteOrder.LITTLE_ENDIAN).putLong(header.length())
                .put(header.getBytes(StandardCharsets.US_ASCII));
        file.put((byte) 1).putDouble(Math.E).putDouble(-0.0).putFloat(1).putFloat(2).putFloat(Float.MAX_VALUE).putShort((short) 0x3F80);
        Path path = Files.write(directory.resolve("m.safetensors"), file.array());
        try (Device on = Device.open(backend); Scope _ = Scope.open(); WeightStore store = WeightStore.open(path)) {
            Map<String, Tensor> loaded = TensorFiles.load(store, on);
            assertThat(loaded.get("a").toLongs()).containsExactly(1);
            assertThat(loaded.get("b").toDoubles()).containsExactly(Math.E, -0.0);
            assertThat(loaded.get("c").toFloats()).containsExactly(1, 2, Float.MAX_VALUE);
            assertThat(loaded.get("d").toFloats()).containsExactly(1);
            assertThat(TensorFiles.load(store, "b", on, DType.F32, 8).toFloats()).containsExactly((float) Math.E, -0f);
        }
    }

    @Test
    void booleansMustBeZeroOrOne() {
        Path file = directory.resolve("m.safetensors");
        SafetensorsFile.write(file, Map.of(), List.of(SafetensorsFile.Source.of("b", DType.BOOL, Shape.of(3),
                MemorySegment.ofArray(new byte[] {0, 1, 2}))));
        try (WeightStore store = WeightStore.open(file)) {
            assertThatThrownBy(() -> TensorFiles.load(store, device)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("given 2 at 2");
        }
    }

    @Test
    void missingAndUnknownNamesAreListed() {
        Path file = directory.resolve("m.safetensors");
        TensorFiles.save(file, Map.of(), Map.of("a", Tensor.zeros(device, DType.F32, 1), "b", Tensor.zeros(device, DType.F32, 1)));
        try (WeightStore store = WeightStore.open(file)) {
            store.requireExactly(List.of("b", "a"));
            assertThatThrownBy(() -> store.requireExactly(List.of("a", "c"))).isInstanceOf(CheckpointException.class)
                    .hasMessage("[checkpoint] expected the 2 tensors of the model, "
                            + "given a checkpoint without [\"c\"] and the unknown [\"b\"]");
        }
    }
}
