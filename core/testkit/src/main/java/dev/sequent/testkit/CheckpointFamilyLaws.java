package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.io.StoredTensor;
import dev.sequent.io.WeightStore;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelFiles;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.type.DType;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What holds for every {@link dev.sequent.model.CheckpointFamily}: a model goes through files unchanged, and what is written has the key
 * list and shapes of the reference's own file. Inherit it once per family.
 */
public abstract class CheckpointFamilyLaws {
    private final String family;
    private Device device;
    private Golden golden;

    @TempDir
    Path directory;

    /** Laws of the family with a {@link Golden} of this name. */
    protected CheckpointFamilyLaws(String family) {
        this.family = family;
    }

    @BeforeEach
    final void open() {
        device = Device.open("cpu", Map.of("threads", "1", "poison", "true"));
        golden = Golden.open(family);
    }

    @AfterEach
    final void close() {
        golden.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    private LanguageModel load(Path from, DType dtype) {
        return LanguageModel.load(from, device, dtype);
    }

    /** Type, shape and bytes of every stored tensor. */
    private static Map<String, String> contents(Path checkpoint, boolean values) {
        Map<String, String> all = new TreeMap<>();
        try (WeightStore store = WeightStore.open(checkpoint)) {
            for (StoredTensor t : store.tensors()) {
                String bytes = values ? " " + Arrays.hashCode(store.data(t.name()).toArray(ValueLayout.JAVA_BYTE)) : "";
                all.put(t.name(), t.dtype() + " " + t.shape() + bytes);
            }
        }
        return all;
    }

    private static void assertEqual(LanguageModel actual, LanguageModel expected) {
        assertThat(actual.config()).isEqualTo(expected.config());
        assertThat(actual.namedParameters().keySet()).isEqualTo(expected.namedParameters().keySet());
        expected.namedParameters().forEach((name, p) -> {
            Tensor value = actual.namedParameters().get(name).value();
            assertThat(value.dtype()).as(name).isEqualTo(p.value().dtype());
            assertThat(value.toDoubles()).as(name).isEqualTo(p.value().toDoubles());
        });
    }

    @Test
    void theFormatIsRecognisedAndRemembered() {
        try (LanguageModel model = load(golden.directory(), DType.F32)) {
            assertThat(model.family().orElseThrow().name()).isEqualTo(family);
            assertThat(model.family().orElseThrow().refusal(model.config())).isEmpty();
        }
    }

    @Test
    void savingWritesTheSameTensorsToTheBit() {
        try (LanguageModel model = load(golden.directory(), DType.F32)) {
            model.save(directory);
            assertThat(contents(directory, true)).isEqualTo(contents(golden.directory(), true));
            try (LanguageModel again = load(directory, DType.F32)) {
                assertEqual(again, model);
                assertThat(again.family().orElseThrow().name()).isEqualTo(family);
            }
        }
    }

    @Test
    void narrowParametersGoThroughFilesUnchanged() {
        try (LanguageModel model = load(golden.directory(), DType.BF16)) {
            model.save(directory);
            assertThat(contents(directory, false).keySet()).isEqualTo(contents(golden.directory(), false).keySet());
            assertThat(contents(directory, false).values()).anyMatch(t -> t.startsWith("BF16"));
            try (LanguageModel again = load(directory, DType.BF16)) {
                assertEqual(again, model);
            }
            try (LanguageModel wide = load(directory, DType.F32)) {
                model.namedParameters().forEach((name, p) ->
                        assertThat(wide.namedParameters().get(name).value().toDoubles()).as(name).isEqualTo(p.value().toDoubles()));
            }
        }
    }

    @Test
    void aTrainedModelHasTheKeysAndShapesOfTheReference() {
        try (LanguageModel model = load(golden.directory(), DType.F32)) {
            double[] before = model.parameters().iterator().next().value().toDoubles();
            train(model, 2);
            assertThat(model.parameters().iterator().next().value().toDoubles()).isNotEqualTo(before);
            model.save(directory);
            assertThat(contents(directory, false)).isEqualTo(contents(golden.directory(), false));
            try (LanguageModel again = load(directory, DType.F32)) {
                assertEqual(again, model);
            }
        }
    }

    private void train(LanguageModel model, int steps) {
        int[][] rows = golden.inputIds();
        try (AdamW optimizer = new AdamW(model.namedParameters(), golden.optimizer())) {
            for (int i = 0; i < steps; i++) {
                try (Scope _ = Scope.open()) {
                    Tensor ids = model.ids(Arrays.stream(rows).flatMapToInt(Arrays::stream).toArray(), rows.length, rows[0].length);
                    long time = ids.dim(1);
                    Gradients g = Autograd.valueAndGrad(model.parameters(), () -> CrossEntropy.loss(
                            model.forward(ids, SequenceInfo.of(ids)).slice(1, 0, time - 1).reshape(-1, golden.vocabulary()),
                            ids.slice(1, 1, time).reshape(-1)));
                    Map<Parameter, Tensor> gradients = new HashMap<>();
                    model.parameters().forEach(p -> gradients.put(p, g.of(p)));
                    optimizer.step(gradients, Golden.LEARNING_RATE, 1);
                }
            }
        }
    }

    @Test
    void shardsHoldTheSameModelAndReplaceEachOther() throws IOException {
        try (LanguageModel model = load(golden.directory(), DType.F32)) {
            ModelFiles.save(model, directory, family, 20_000);
            assertThat(files()).contains(WeightStore.INDEX, String.format("model-00001-of-%05d.safetensors",
                    shards())).doesNotContain(WeightStore.SINGLE);
            assertThat(shards()).isGreaterThan(1);
            assertThat(contents(directory, true)).isEqualTo(contents(golden.directory(), true));
            try (LanguageModel again = load(directory, DType.F32)) {
                assertEqual(again, model);
            }
            model.save(directory);
            assertThat(files()).containsExactlyInAnyOrder(ModelFiles.CONFIG, WeightStore.SINGLE);
            ModelFiles.save(model, directory, family, 20_000);
            assertThat(files()).hasSize(shards() + 2).doesNotContain(WeightStore.SINGLE);
        }
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(f -> f.getFileName().toString()).sorted().toList();
        }
    }

    private int shards() throws IOException {
        return (int) files().stream().filter(n -> n.startsWith("model-")).count();
    }

    @Test
    void theOwnFormatHoldsTheSameModel() {
        try (LanguageModel model = load(golden.directory(), DType.F32)) {
            model.save(directory, ModelFiles.OWN);
            try (LanguageModel again = load(directory, DType.F32)) {
                assertEqual(again, model);
                again.save(directory, family);
                assertThat(contents(directory, true)).isEqualTo(contents(golden.directory(), true));
            }
        }
    }
}
