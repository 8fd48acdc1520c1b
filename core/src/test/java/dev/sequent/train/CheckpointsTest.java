package dev.sequent.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.ModelFiles;
import dev.sequent.model.ToyModels;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stored runs: resumed to the bit, safe against being killed while saving, one typed error for every file that is wrong. */
class CheckpointsTest {
    private static final LanguageModelConfig CONFIG = ToyModels.config().withDropout(0.2);

    @TempDir
    Path directory;

    private Device device;

    @BeforeEach
    void open() {
        device = Device.open("cpu", Map.of("threads", "2", "poison", "true"));
    }

    @AfterEach
    void close() {
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    /** A model, its optimizer and its trainer; {@code seed} is that of the initial values only. */
    private final class Bench implements AutoCloseable {
        final LanguageModel model;
        final Optimizer optimizer;
        final Trainer trainer;
        final List<Double> losses = new ArrayList<>();

        Bench(long seed, boolean sgd) {
            model = new LanguageModel(CONFIG, new Init(device, seed));
            optimizer = sgd ? new Sgd(model.namedParameters(), new Sgd.Settings(0.9, 0.1, true))
                    : new AdamW(model.namedParameters(), AdamW.Settings.defaults());
            trainer = new Trainer(model, optimizer, LrSchedule.warmupCosine(1e-2, 1e-3, 2, 8),
                    new RandomWindows(ToyModels.tokens(300), 3, 9, 5), Trainer.Settings.of(8, 7).withAccumulation(2));
            trainer.listen(new TrainListener() {
                @Override
                public void step(Step s) {
                    losses.add(s.loss());
                }
            });
        }

        Bench(long seed) {
            this(seed, false);
        }

        Path save(Checkpoints checkpoints) {
            return checkpoints.save(model, optimizer, trainer.position(), Map.of("data", "toy", "seed", 7));
        }

        /** Everything that a checkpoint must hold. */
        Map<String, List<Float>> contents() {
            Map<String, List<Float>> all = new LinkedHashMap<>();
            model.namedParameters().forEach((name, p) -> all.put(name, list(p.value())));
            optimizer.state().forEach((name, t) -> all.put(name, list(t)));
            return all;
        }

        private static List<Float> list(Tensor t) {
            List<Float> values = new ArrayList<>();
            for (float v : t.toFloats()) {
                values.add(v);
            }
            return values;
        }

        @Override
        public void close() {
            optimizer.close();
            model.close();
        }
    }

    @Test
    void aResumedRunRepeatsTheUninterruptedOneToTheBit() {
        for (boolean sgd : new boolean[] {false, true}) {
            Checkpoints checkpoints = new Checkpoints(directory.resolve(sgd ? "sgd" : "adamw"), 2);
            try (Bench straight = new Bench(1, sgd); Bench first = new Bench(1, sgd); Bench second = new Bench(99, sgd)) {
                straight.trainer.run();
                first.trainer.runUntil(3);
                Path saved = first.save(checkpoints);
                first.trainer.runUntil(5);
                second.trainer.resume(Checkpoints.restore(saved, second.model, second.optimizer));
                assertThat(second.trainer.position().step()).isEqualTo(3);
                assertThat(second.trainer.position().tokens()).isEqualTo(3 * 2 * 27);
                second.trainer.run();
                assertThat(second.losses).isEqualTo(straight.losses.subList(3, 8));
                assertThat(second.contents()).isEqualTo(straight.contents());
                assertThat(second.trainer.position()).isEqualTo(straight.trainer.position());
                assertThat(second.optimizer.steps()).isEqualTo(8);
            }
        }
    }

    @Test
    void savingDoesNotChangeTheRun() {
        Checkpoints checkpoints = new Checkpoints(directory, 1);
        try (Bench plain = new Bench(1); Bench saving = new Bench(1)) {
            plain.trainer.run();
            for (long n = 1; n <= 8; n++) {
                saving.trainer.runUntil(n);
                saving.save(checkpoints);
            }
            assertThat(saving.losses).isEqualTo(plain.losses);
            assertThat(saving.contents()).isEqualTo(plain.contents());
        }
    }

    @Test
    void aCheckpointIsAModelToo() {
        try (Bench bench = new Bench(1)) {
            bench.trainer.runUntil(2);
            Path saved = bench.save(new Checkpoints(directory, 1));
            try (LanguageModel loaded = ModelFiles.load(saved, device, DType.F32)) {
                assertThat(loaded.config()).isEqualTo(CONFIG);
                loaded.namedParameters().forEach((name, p) -> assertThat(p.value().toFloats())
                        .isEqualTo(bench.model.namedParameters().get(name).value().toFloats()));
            }
        }
    }

    @Test
    void theNewestAreKeptAndTheJustSavedAlways() {
        Checkpoints checkpoints = new Checkpoints(directory, 2);
        try (Bench bench = new Bench(1)) {
            for (long step : new long[] {9, 10, 100, 101}) {
                checkpoints.save(bench.model, bench.optimizer, new Trainer.Position(step, 0, 0), Map.of());
            }
            assertThat(names(checkpoints)).containsExactly("step-100", "step-101");
            checkpoints.save(bench.model, bench.optimizer, new Trainer.Position(5, 0, 0), Map.of());
            assertThat(names(checkpoints)).as("a run begun anew in the same directory").containsExactly("step-5", "step-101");
            checkpoints.save(bench.model, bench.optimizer, new Trainer.Position(5, 77, 0), Map.of());
            assertThat(Checkpoints.restore(directory.resolve("step-5"), bench.model, bench.optimizer).tokens()).as("saved again")
                    .isEqualTo(77);
            assertThat(names(checkpoints)).containsExactly("step-5", "step-101");
        }
        assertThatThrownBy(() -> new Checkpoints(directory, 0)).isInstanceOf(ConfigException.class);
    }

    private static List<String> names(Checkpoints checkpoints) {
        return checkpoints.list().stream().map(p -> p.getFileName().toString()).toList();
    }

    @Test
    void anInterruptedSaveLeavesThePreviousOneAsLatest() throws IOException {
        Checkpoints checkpoints = new Checkpoints(directory, 3);
        assertThat(checkpoints.latest()).isEmpty();
        try (Bench bench = new Bench(1); Bench other = new Bench(2)) {
            bench.trainer.runUntil(2);
            Path first = bench.save(checkpoints);
            Map<String, List<Float>> contents = bench.contents();
            bench.trainer.runUntil(4);
            // fails while run.json is written, as if the process had died there
            assertThatThrownBy(() -> checkpoints.save(bench.model, bench.optimizer, bench.trainer.position(), Map.of("bad", new Object())))
                    .isInstanceOf(DataException.class);
            // what other moments of death leave behind
            Files.createDirectories(directory.resolve(".step-7.tmp"));
            Files.writeString(directory.resolve(".step-7.tmp").resolve(ModelFiles.CONFIG), "{");
            Files.createDirectories(directory.resolve("step-9"));
            Files.createDirectories(directory.resolve("step-x"));
            assertThat(checkpoints.latest()).contains(first);
            other.trainer.resume(Checkpoints.restore(first, other.model, other.optimizer));
            assertThat(other.contents()).isEqualTo(contents);
            bench.save(checkpoints);
            try (Stream<Path> files = Files.list(directory)) {
                assertThat(files.map(p -> p.getFileName().toString())).containsExactlyInAnyOrder("step-2", "step-4", "step-9", "step-x");
            }
        }
    }

    @Test
    void provenanceIsStored() {
        try (Bench bench = new Bench(1)) {
            bench.trainer.runUntil(1);
            Path saved = bench.save(new Checkpoints(directory, 1));
            Map<?, ?> run = (Map<?, ?>) Json.read(saved.resolve("run.json"), 1 << 20, Json.Dialect.STRICT, CheckpointException::new)
                    .toJava();
            assertThat(run.get("provenance")).isEqualTo(Map.of("data", "toy", "seed", 7L));
            assertThat(run.get("backend")).isEqualTo("cpu:0");
            assertThat(run.get("java")).isEqualTo(Runtime.version().toString());
        }
    }

    /** Restoring a damaged copy is refused, and changes neither model nor optimizer. */
    private void refused(Consumer<Path> damage, String... texts) {
        try (Bench bench = new Bench(1); Bench target = new Bench(2)) {
            bench.trainer.runUntil(1);
            Path saved = bench.save(new Checkpoints(directory, 1));
            damage.accept(saved);
            Map<String, List<Float>> before = target.contents();
            assertThatThrownBy(() -> Checkpoints.restore(saved, target.model, target.optimizer)).isInstanceOf(CheckpointException.class)
                    .satisfies(e -> {
                for (String text : texts) {
                    assertThat(e).hasMessageContaining(text);
                }
            });
            assertThat(target.contents()).isEqualTo(before);
            assertThat(target.optimizer.steps()).isZero();
        }
    }

    private static void write(Path file, byte[] bytes) {
        try {
            Files.write(file, bytes);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] read(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void badRun(String key, Object value) {
        refused(saved -> {
            Path file = saved.resolve("run.json");
            Map<String, Object> map = new LinkedHashMap<>();
            ((Map<?, ?>) Json.read(file, 1 << 20, Json.Dialect.STRICT, CheckpointException::new).toJava())
                    .forEach((k, v) -> map.put(k + "", v));
            if (value == null) {
                map.remove(key);
            } else {
                map.put(key, value);
            }
            AtomicFiles.write(file, Json.ofJava(map).writePretty());
        }, "run.json", key);
    }

    @Test
    void hostileRunRecordsAreRefused() {
        for (String key : List.of("step", "tokens", "dropout_position", "optimizer_steps")) {
            for (Object bad : new Object[] {-1, 1.5, "3", true, 1e300, List.of(), Map.of("a", 1)}) {
                badRun(key, bad);
            }
            badRun(key, null);
        }
        refused(saved -> write(saved.resolve("run.json"), "[".repeat(100_000).getBytes()), "run.json");
        refused(saved -> write(saved.resolve("run.json"), new byte[0]), "run.json");
        refused(saved -> write(saved.resolve("run.json"), "{\"step\": 1, \"step\": 2}".getBytes()), "run.json");
    }

    @Test
    void aPositionBeyondTheRunIsRefusedByTheTrainer() {
        try (Bench bench = new Bench(1)) {
            Path saved = new Checkpoints(directory, 1).save(bench.model, bench.optimizer, new Trainer.Position(1_000_000, 0, 0), Map.of());
            Trainer.Position position = Checkpoints.restore(saved, bench.model, bench.optimizer);
            assertThatThrownBy(() -> bench.trainer.resume(position)).isInstanceOf(ConfigException.class).hasMessageContaining("1000000");
        }
    }

    @Test
    void damagedTensorFilesAreRefused() {
        for (String name : List.of(WeightStore.SINGLE, "optimizer.safetensors")) {
            refused(saved -> write(saved.resolve(name), Arrays.copyOf(read(saved.resolve(name)), 900)));
            refused(saved -> {
                try {
                    Files.delete(saved.resolve(name));
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }, name);
            refused(saved -> change(saved.resolve(name), t -> t.remove(t.keySet().iterator().next())), "without");
            refused(saved -> change(saved.resolve(name), t -> t.put("more", Tensor.zeros(device, DType.F32, 3))), "more");
            refused(saved -> change(saved.resolve(name), t -> t.put(t.keySet().iterator().next(), Tensor.zeros(device, DType.F32, 3))),
                    "(3)");
        }
        refused(saved -> change(saved.resolve("optimizer.safetensors"),
                t -> t.put("exp_avg.norm_f.weight", Tensor.zeros(device, DType.F64, 8))), "exp_avg.norm_f.weight", "F64");
    }

    private void change(Path file, Consumer<Map<String, Tensor>> change) {
        try (Scope _ = Scope.open()) {
            Map<String, Tensor> tensors;
            try (WeightStore store = WeightStore.open(file)) {
                tensors = new LinkedHashMap<>(TensorFiles.load(store, device));
            }
            change.accept(tensors);
            TensorFiles.save(file, Map.of(), tensors);
        }
    }

    @Test
    void anotherOptimizerOrModelIsRefused() {
        try (Bench adamw = new Bench(1); Bench sgd = new Bench(1, true); LanguageModel larger =
                ToyModels.create(ToyModels.rich(), device)) {
            Path saved = adamw.save(new Checkpoints(directory, 1));
            assertThatThrownBy(() -> Checkpoints.restore(saved, sgd.model, sgd.optimizer)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("momentum_buffer");
            assertThatThrownBy(() -> Checkpoints.restore(saved, larger, adamw.optimizer)).isInstanceOf(CheckpointException.class);
        }
    }

    @Test
    void aDirectoryThatCannotBeWrittenIsACheckpointError() throws IOException {
        Path file = directory.resolve("file");
        Files.writeString(file, "not a directory");
        try (Bench bench = new Bench(1)) {
            assertThatThrownBy(() -> bench.save(new Checkpoints(file, 1))).isInstanceOf(CheckpointException.class);
            assertThat(new Checkpoints(file, 1).latest()).isEmpty();
        }
    }
}
