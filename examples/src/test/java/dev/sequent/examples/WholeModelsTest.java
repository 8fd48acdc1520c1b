package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.generate.BeamSearch;
import dev.sequent.generate.Continuation;
import dev.sequent.generate.Generator;
import dev.sequent.generate.Sampling;
import dev.sequent.io.AtomicFiles;
import dev.sequent.io.Json;
import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.model.ModelFiles;
import dev.sequent.model.ModelState;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.train.Checkpoints;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.BatchSource;
import dev.sequent.train.data.PackedDocuments;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.CapacityException;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.SequentException;
import dev.sequent.type.ShapeException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole models of every family, and a hybrid of all: training that repeats and resumes to the bit, generation, memory, hostile files. */
class WholeModelsTest {
    private static final int VOCABULARY = 17;
    private static final int WIDTH = 16;

    @TempDir
    Path directory;

    /** One layer a letter: M Mamba, D Mamba-2, S S4D, A attention with dropout and grouped heads; everything drops out. */
    private static LanguageModelConfig config(String pattern) {
        AttentionConfig grouped = new AttentionConfig(4, 2, 0, 10_000, 1, false, true, 1e-6, 0, 0.1, 0.02);
        Map<Character, LayerSpec> letters = Map.of('M', LayerSpec.of(MambaConfig.defaults().withStates(4)),
                'D', LayerSpec.of(Mamba2Config.defaults().withStates(6).withHeads(8, 2)),
                'S', new LayerSpec(S4dConfig.defaults().withStateSize(6), MlpConfig.gated(20)), 'A',
                new LayerSpec(grouped, MlpConfig.gated(20)));
        return LanguageModelConfig.of(VOCABULARY, WIDTH, LayerPattern.parse(pattern, letters)).withDropout(0.1);
    }

    private static Device cpu() {
        return Device.open("cpu", Map.of("threads", "2", "poison", "true"));
    }

    private static BatchSource windows(int batch) {
        int[] ids = new int[500];
        Arrays.setAll(ids, i -> (i * i + i / 7) % VOCABULARY);
        return new RandomWindows(TokenDataset.of(ids, VOCABULARY), batch, 21, 3);
    }

    /** Documents of all lengths, cut and packed. */
    private static BatchSource packed() {
        List<int[]> documents = new ArrayList<>();
        for (int length : new int[] {5, 1, 40, 2, 17, 30, 3}) {
            int[] document = new int[length];
            Arrays.setAll(document, i -> (i * 3 + length) % VOCABULARY);
            documents.add(document);
        }
        return PackedDocuments.of(documents, VOCABULARY, 2, 21, 4);
    }

    private static Map<String, float[]> values(LanguageModel model) {
        Map<String, float[]> values = new LinkedHashMap<>();
        model.namedParameters().forEach((name, p) -> values.put(name, p.value().toFloats()));
        return values;
    }

    private static void same(Map<String, float[]> actual, Map<String, float[]> expected) {
        assertThat(actual.keySet()).isEqualTo(expected.keySet());
        expected.forEach((name, value) -> assertThat(actual.get(name)).as(name).isEqualTo(value));
    }

    /** A run with its model and optimizer. */
    private static final class Bench implements AutoCloseable {
        final LanguageModel model;
        final AdamW optimizer;
        final Trainer trainer;
        final List<Double> losses = new ArrayList<>();

        Bench(Device device, String pattern, long seed, BatchSource batches, boolean recompute) {
            model = new LanguageModel(config(pattern), new Init(device, seed));
            optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults());
            Trainer.Settings settings = Trainer.Settings.of(6, 1);
            trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-2), batches,
                    recompute ? settings.withRecomputation() : settings);
            trainer.listen(new TrainListener() {
                @Override
                public void step(Step s) {
                    losses.add(s.loss());
                }
            });
        }

        @Override
        public void close() {
            optimizer.close();
            model.close();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"MM", "SS", "AA", "DD", "MSDA"})
    void runsRepeatResumeAndRecomputeToTheBit(String pattern) {
        for (BatchSource batches : List.of(windows(2), packed())) {
            try (Device device = cpu()) {
                try (Bench straight = new Bench(device, pattern, 1, batches, false); Bench again =
                        new Bench(device, pattern, 1, batches, true);
                        Bench resumed = new Bench(device, pattern, 99, batches, false)) {
                    straight.trainer.runUntil(3);
                    Path saved = new Checkpoints(directory, 1).save(straight.model, straight.optimizer, straight.trainer.position(),
                            Map.of());
                    straight.trainer.run();
                    again.trainer.run();
                    assertThat(again.losses).as("recomputed").isEqualTo(straight.losses);
                    same(values(again.model), values(straight.model));
                    resumed.trainer.resume(Checkpoints.restore(saved, resumed.model, resumed.optimizer));
                    resumed.trainer.run();
                    assertThat(resumed.losses).as("resumed").isEqualTo(straight.losses.subList(3, 6));
                    same(values(resumed.model), values(straight.model));
                    assertThat(straight.losses.getLast()).isLessThan(straight.losses.getFirst());
                }
                assertThat(device.memory().liveHandles()).as("live tensors").isZero();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"MM", "SS", "AA", "DD", "MSDA"})
    void aBatchOfPromptsContinuesLikeEachAloneHoweverItIsCut(String pattern) {
        int[][] prompts = {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {3}, {16, 0, 16, 0}, {5, 5, 5, 5, 5, 5}};
        Generator.Request request = new Generator.Request(7, Sampling.greedy(), Set.of());
        try (Device device = Device.open("reference"); LanguageModel model =
                new LanguageModel(config(pattern), new Init(device, DType.F64, new Rng(5)))) {
            // larger weights, so that the most likely token depends on the context
            try (Scope _ = Scope.open()) {
                Rng rng = new Rng(6);
                model.namedParameters().forEach((name, p) -> {
                    if (name.endsWith("proj.weight") || name.startsWith("embeddings")) {
                        p.value().write(rng.normal(device, DType.F64, 0, 0.4, p.value().shape().toArray()), new long[p.value().rank()]);
                    }
                });
            }
            int[][] together = new Generator(model).generate(prompts, request, (row, id) -> true);
            for (int b = 0; b < prompts.length; b++) {
                int[][] alone = new Generator(model).generate(new int[][] {prompts[b]}, request, (row, id) -> true);
                assertThat(together[b]).as("row " + b).isEqualTo(alone[0]);
            }
            for (int chunk : new int[] {1, 2, 4, 5}) {
                assertThat(new Generator(model, chunk).generate(prompts, request, (row, id) -> true)).as("chunks of " + chunk)
                        .isEqualTo(together);
            }
            assertThat(Arrays.stream(together).flatMapToInt(Arrays::stream).distinct().count()).as("different tokens").isGreaterThan(3);
            beamsFollowTheirStates(model, prompts);
        }
    }

    /** Beams of a batch equal those of each prompt alone, and their log-probabilities those of one run over the whole sequence. */
    private static void beamsFollowTheirStates(LanguageModel model, int[][] prompts) {
        BeamSearch.Settings settings = BeamSearch.Settings.of(3, 6, Set.of(4)).withBest(3);
        List<List<BeamSearch.Hypothesis>> together = new BeamSearch(model, 4).search(prompts, settings);
        for (int b = 0; b < prompts.length; b++) {
            List<BeamSearch.Hypothesis> alone = new BeamSearch(model).search(new int[][] {prompts[b]}, settings).getFirst();
            for (int i = 0; i < alone.size(); i++) {
                Continuation c = together.get(b).get(i).continuation();
                assertThat(c.tokens()).as("row %d, beam %d", b, i).isEqualTo(alone.get(i).continuation().tokens());
                assertThat(c.logProbability()).isCloseTo(logProbability(model, prompts[b], c.tokens()), within(1e-5));
            }
        }
    }

    private static double logProbability(LanguageModel model, int[] prompt, int[] tokens) {
        int[] ids = Arrays.copyOf(prompt, prompt.length + tokens.length);
        System.arraycopy(tokens, 0, ids, prompt.length, tokens.length);
        try (Scope _ = Scope.open()) {
            double[] logits = model.forward(model.ids(ids, 1, ids.length), SequenceInfo.of(1, ids.length)).toDoubles();
            double sum = 0;
            for (int t = 0; t < tokens.length; t++) {
                int from = (prompt.length - 1 + t) * VOCABULARY;
                double total = Arrays.stream(logits, from, from + VOCABULARY).map(Math::exp).sum();
                sum += logits[from + tokens[t]] - Math.log(total);
            }
            return sum;
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"MM", "SS", "AA", "DD", "MSDA"})
    void memoryStaysFlat(String pattern) {
        try (Device device = cpu(); Bench bench = new Bench(device, pattern, 1, windows(2), false)) {
            bench.trainer.runUntil(2);
            long handles = device.memory().liveHandles();
            long held = device.memory().liveBytes() + device.memory().pooledBytes();
            bench.trainer.run();
            assertThat(device.memory().liveHandles()).isEqualTo(handles).isEqualTo(3L * bench.model.namedParameters().size());
            assertThat(device.memory().liveBytes() + device.memory().pooledBytes()).isEqualTo(held);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"MM", "SS", "AA", "DD", "MSDA"})
    void aStepThatDoesNotFitIntoMemoryHarmsNothing(String pattern) {
        BatchSource growing = index -> windows(index == 1 ? 256 : 1).batch(index);
        try (Device device = Device.open("cpu", Map.of("threads", "2", "memoryLimit", "5000000"))) {
            for (boolean recompute : new boolean[] {false, true}) {
                try (Bench bench = new Bench(device, pattern, 1, growing, recompute)) {
                    bench.trainer.runUntil(1);
                    Map<String, float[]> before = values(bench.model);
                    long handles = device.memory().liveHandles();
                    long bytes = device.memory().liveBytes();
                    assertThatThrownBy(bench.trainer::run).isInstanceOf(OutOfDeviceMemoryException.class);
                    assertThat(device.memory().liveHandles()).isEqualTo(handles);
                    assertThat(device.memory().liveBytes()).isEqualTo(bytes);
                    same(values(bench.model), before);
                    Trainer smaller = new Trainer(bench.model, bench.optimizer, LrSchedule.constant(1e-2), windows(1),
                            Trainer.Settings.of(3, 1));
                    smaller.resume(bench.trainer.position());
                    smaller.run();
                    assertThat(smaller.position().step()).isEqualTo(3);
                }
                assertThat(device.memory().liveHandles()).isZero();
            }
        }
    }

    @Test
    void aModelWithoutAttentionHasNoLimitAndOneWithAttentionSaysItsOwn() {
        try (Device device = cpu(); Scope _ = Scope.open()) {
            for (String pattern : List.of("MS", "MA")) {
                try (LanguageModel model = new LanguageModel(config(pattern), new Init(device, 1));
                        ModelState state = model.newState(new StateSpec(1, 3, DType.F32, device))) {
                    Tensor id = model.ids(new int[] {1}, 1, 1);
                    for (int t = 0; t < 3; t++) {
                        model.step(id, state);
                    }
                    if (pattern.contains("A")) {
                        assertThatThrownBy(() -> model.step(id, state)).isInstanceOf(CapacityException.class)
                                .hasMessageContaining("at most 3");
                    } else {
                        model.step(id, state);
                    }
                }
            }
        }
    }

    @Test
    void storedModelsOfEveryFamilyComeBackToTheBit() {
        try (Device device = cpu(); LanguageModel model = new LanguageModel(config("MSDA"), new Init(device, 8))) {
            ModelFiles.save(model, directory);
            try (LanguageModel loaded = ModelFiles.load(directory, device, DType.F32)) {
                assertThat(loaded.config()).isEqualTo(model.config());
                same(values(loaded), values(model));
            }
        }
    }

    @Test
    void configurationsThatClaimMuchMoreThanTheFileHoldsAreRefusedBeforeMemoryIsTaken() {
        try (Device device = cpu()) {
            try (LanguageModel model = new LanguageModel(config("MSDA"), new Init(device, 8))) {
                ModelFiles.save(model, directory);
            }
            long peak = device.memory().peakBytes();
            for (Map<String, Object> mixer : List.<Map<String, Object>>of(Map.of("type", "mamba", "state_size", 1 << 30),
                    Map.of("type", "mamba", "expand", 1 << 26), Map.of("type", "mamba", "intermediate_size", Integer.MAX_VALUE),
                    Map.of("type", "mamba", "conv_kernel", Integer.MAX_VALUE),
                    Map.of("type", "mamba", "time_step_rank", Integer.MAX_VALUE), Map.of("type", "s4d", "state_size", 1 << 30),
                    Map.of("type", "mamba2", "state_size", 1 << 28), Map.of("type", "mamba2", "expand", 1 << 26),
                    Map.of("type", "mamba2", "intermediate_size", 1 << 30, "head_dim", 1),
                    Map.of("type", "mamba2", "conv_kernel", Integer.MAX_VALUE, "head_dim", 8),
                    Map.of("type", "attention", "num_attention_heads", 1 << 30, "head_dim", 1 << 30),
                    Map.of("type", "attention", "head_dim", 1 << 30))) {
                hostile(mixer);
                assertThatThrownBy(() -> ModelFiles.load(directory, device, DType.F32)).as(mixer.toString())
                        .isInstanceOf(SequentException.class)
                        .isNotInstanceOf(OutOfDeviceMemoryException.class);
                assertThat(device.memory().liveHandles()).isZero();
            }
            assertThat(device.memory().peakBytes()).as("peak memory").isLessThan(peak + (8 << 20));
        }
    }

    @Test
    void tokensThatALaterLayerCannotTakeChangeNoState() {
        try (Device device = cpu(); Scope _ = Scope.open(); LanguageModel model = new LanguageModel(config("MA"), new Init(device, 8))) {
            try (ModelState state = model.newState(new StateSpec(1, 4, DType.F32, device))) {
                model.prefill(model.ids(new int[] {1, 2, 3}, 1, 3), SequenceInfo.of(1, 3), state);
                Tensor two = model.ids(new int[] {4, 5}, 1, 2);
                SequenceInfo packed = SequenceInfo.of(1, 2).withDocuments(new int[] {0, 1});
                float[] expected;
                try (ModelState fork = state.fork()) {
                    expected = model.step(model.ids(new int[] {6}, 1, 1), fork).toFloats();
                }
                assertThatThrownBy(() -> model.prefill(two, SequenceInfo.of(1, 2), state)).isInstanceOf(CapacityException.class);
                assertThatThrownBy(() -> model.prefill(two, packed, state)).isInstanceOf(ShapeException.class);
                assertThat(state.layers().stream().map(MixerState::position)).containsExactly(3L, 3L);
                assertThat(model.step(model.ids(new int[] {6}, 1, 1), state).toFloats()).isEqualTo(expected);
                assertThatThrownBy(() -> model.step(model.ids(new int[] {7}, 1, 1), state)).isInstanceOf(CapacityException.class);
                assertThat(state.layers().stream().map(MixerState::position)).containsExactly(4L, 4L);
            }
        }
    }

    private void hostile(Map<String, Object> mixer) {
        Path file = directory.resolve(ModelFiles.CONFIG);
        Map<String, Object> map = new LinkedHashMap<>();
        ((Map<?, ?>) Json.read(file, 1 << 20, Json.Dialect.STRICT, CheckpointException::new).toJava())
                .forEach((k, v) -> map.put(String.valueOf(k), v));
        map.put("layers", List.of(Map.of("mixer", mixer)));
        AtomicFiles.write(file, Json.ofJava(map).writePretty());
    }
}
