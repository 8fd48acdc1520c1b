package dev.sequent.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.SequentException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stored models: the same to the bit when loaded, and one clear error for every way in which files can be wrong. */
class ModelFilesTest {
    @TempDir
    Path directory;

    private Device device;
    private Scope scope;

    @BeforeEach
    void open() {
        device = Device.open("cpu", Map.of("threads", "1", "poison", "true"));
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    private Path saved(LanguageModelConfig config) {
        try (LanguageModel model = ToyModels.create(config, device)) {
            ModelFiles.save(model, directory);
        }
        return directory;
    }

    private LanguageModel load() {
        return ModelFiles.load(directory, device, DType.F32);
    }

    /** What loading says; nothing of the model may be left. */
    private void refused(Class<? extends SequentException> type, String... texts) {
        long before = device.memory().liveHandles();
        assertThatThrownBy(this::load).isInstanceOf(type).satisfies(e -> {
            for (String text : texts) {
                assertThat(e).hasMessageContaining(text);
            }
        });
        assertThat(device.memory().liveHandles()).isEqualTo(before);
    }

    @SuppressWarnings("unchecked")
    private void changeConfig(Consumer<Map<String, Object>> change) {
        Path file = directory.resolve(ModelFiles.CONFIG);
        Map<String, Object> map = (Map<String, Object>) Json.read(file, 1 << 20, Json.Dialect.STRICT, CheckpointException::new).toJava();
        change.accept(map);
        AtomicFiles.write(file, Json.ofJava(map).writePretty());
    }

    private void changeTensors(Consumer<Map<String, Tensor>> change) {
        Map<String, Tensor> tensors;
        try (WeightStore store = WeightStore.open(directory)) {
            tensors = new LinkedHashMap<>(TensorFiles.load(store, device));
        }
        change.accept(tensors);
        TensorFiles.save(directory.resolve(WeightStore.SINGLE), Map.of(), tensors);
    }

    @Test
    void aLoadedModelIsTheSameToTheBit() {
        for (LanguageModelConfig config : List.of(ToyModels.config(), ToyModels.rich())) {
            try (LanguageModel model = ToyModels.create(config, device)) {
                ModelFiles.save(model, directory);
                assertThat(ModelFiles.config(directory)).isEqualTo(config);
                try (LanguageModel loaded = load()) {
                    assertThat(loaded.namedParameters().keySet()).isEqualTo(model.namedParameters().keySet());
                    model.namedParameters().forEach((name, p) -> assertThat(loaded.namedParameters().get(name).value().toFloats()).as(name)
                            .isEqualTo(p.value().toFloats()));
                    Tensor ids = model.ids(new int[] {1, 5, 12, 0, 3, 7}, 2, 3);
                    assertThat(loaded.forward(ids, SequenceInfo.of(ids)).toFloats())
                            .isEqualTo(model.forward(ids, SequenceInfo.of(ids)).toFloats());
                }
            }
        }
    }

    @Test
    void savingTwiceReplacesTheModel() {
        saved(ToyModels.rich());
        saved(ToyModels.config());
        try (LanguageModel loaded = load()) {
            assertThat(loaded.config()).isEqualTo(ToyModels.config());
        }
    }

    @Test
    void anF64CopyHoldsTheSameValues() {
        saved(ToyModels.config());
        try (LanguageModel narrow = load(); LanguageModel wide = ModelFiles.load(directory, device, DType.F64)) {
            wide.namedParameters().forEach((name, p) -> {
                assertThat(p.value().dtype()).isEqualTo(DType.F64);
                assertThat(p.value().toDoubles()).isEqualTo(narrow.namedParameters().get(name).value().toDoubles());
            });
        }
    }

    @Test
    void missingUnknownAndMisshapenTensorsAreNamed() {
        saved(ToyModels.config());
        changeTensors(t -> {
            t.remove("layers.1.mixer.a");
            t.put("layers.1.mixer.b", Tensor.zeros(device, DType.F32, 2));
        });
        refused(CheckpointException.class, "layers.1.mixer.a", "layers.1.mixer.b");
        saved(ToyModels.config());
        changeTensors(t -> t.put("norm_f.weight", Tensor.zeros(device, DType.F32, 9)));
        refused(CheckpointException.class, "norm_f.weight", "(8)", "(9)");
        saved(ToyModels.config());
        changeTensors(t -> t.put("embeddings.weight", Tensor.zeros(device, DType.F32, 14, 8)));
        refused(CheckpointException.class, "embeddings.weight", "(13, 8)", "(14, 8)");
    }

    @Test
    void missingFilesAreNamed() throws IOException {
        refused(CheckpointException.class, ModelFiles.CONFIG);
        saved(ToyModels.config());
        Files.delete(directory.resolve(WeightStore.SINGLE));
        refused(CheckpointException.class, WeightStore.SINGLE);
        saved(ToyModels.config());
        Files.delete(directory.resolve(ModelFiles.CONFIG));
        refused(CheckpointException.class, ModelFiles.CONFIG);
    }

    @Test
    void truncatedFilesAreRefused() throws IOException {
        saved(ToyModels.config());
        byte[] weights = Files.readAllBytes(directory.resolve(WeightStore.SINGLE));
        for (int length : new int[] {0, 7, 8, 100, weights.length / 2, weights.length - 1}) {
            Files.write(directory.resolve(WeightStore.SINGLE), Arrays.copyOf(weights, length));
            refused(CheckpointException.class);
        }
        Files.write(directory.resolve(WeightStore.SINGLE), weights);
        byte[] config = Files.readAllBytes(directory.resolve(ModelFiles.CONFIG));
        Files.write(directory.resolve(ModelFiles.CONFIG), Arrays.copyOf(config, config.length / 2));
        refused(CheckpointException.class, ModelFiles.CONFIG);
        Files.writeString(directory.resolve(ModelFiles.CONFIG), "[1, 2]");
        refused(CheckpointException.class, "object");
        Files.writeString(directory.resolve(ModelFiles.CONFIG), "{\"model_type\": \"sequent\", \"vocab\": 3}");
        refused(ConfigException.class);
    }

    @Test
    void aConfigurationMuchLargerThanTheFileIsRefusedBeforeMemoryIsTaken() {
        saved(ToyModels.config());
        long peak = device.memory().peakBytes();
        changeConfig(c -> c.put("vocab_size", Integer.MAX_VALUE));
        refused(CheckpointException.class, "embeddings.weight", Integer.MAX_VALUE + "");
        changeConfig(c -> {
            c.put("vocab_size", ToyModels.VOCABULARY);
            c.put("max_position_embeddings", 2_000_000_000);
        });
        refused(CheckpointException.class, "position_embeddings.weight");
        changeConfig(c -> {
            c.put("max_position_embeddings", 0);
            c.put("layers", List.of(Map.of("mixer", Map.of("type", "leaky", "channels", 200_000_000))));
        });
        refused(CheckpointException.class, "stored values");
        changeConfig(c -> c.put("layers", List.of(Map.of("mixer", Map.of("type", "leaky"), "mlp",
                Map.of("intermediate_size", Integer.MAX_VALUE)))));
        refused(CheckpointException.class, "stored values");
        assertThat(device.memory().peakBytes()).as("peak memory").isLessThan(peak + (1 << 20));
    }

    @Test
    void aModelThatDoesNotFitIntoMemoryLeavesNothingBehind() {
        saved(ToyModels.rich());
        try (Device small = Device.open("cpu", Map.of("threads", "1", "memoryLimit", "6000"))) {
            assertThatThrownBy(() -> ModelFiles.load(directory, small, DType.F32)).isInstanceOf(OutOfDeviceMemoryException.class);
            assertThat(small.memory().liveHandles()).isZero();
            assertThat(small.memory().liveBytes()).isZero();
        }
    }

    @Test
    void assigningForeignTensorsLeavesTheModelAsItWas() {
        saved(ToyModels.config());
        changeTensors(t -> t.put("norm_f.weight", Tensor.zeros(device, DType.F32, 9)));
        try (LanguageModel model = ToyModels.create(ToyModels.config(), device); WeightStore store = WeightStore.open(directory)) {
            Map<String, float[]> before = new LinkedHashMap<>();
            model.namedParameters().forEach((name, p) -> before.put(name, p.value().toFloats()));
            assertThatThrownBy(() -> ModelFiles.assign(model, store)).isInstanceOf(CheckpointException.class);
            model.namedParameters().forEach((name, p) -> assertThat(p.value().toFloats()).isEqualTo(before.get(name)));
        }
    }
}
