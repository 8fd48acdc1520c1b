package dev.sequent.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.mixer.LeakyIntegrator;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.ToyModels;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.data.BatchSource;
import dev.sequent.train.data.PackedDocuments;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.SequentialBatches;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DataException;
import dev.sequent.type.DivergenceException;
import dev.sequent.type.OutOfDeviceMemoryException;
import dev.sequent.type.ReleasedTensorException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The training loop: it learns, repeats itself to the bit, resumes to the bit, keeps its memory flat and survives failures unharmed. */
class TrainerTest {
    private static final int TIME = 12;

    private static Device open(String backend) {
        return Device.open(backend, backend.equals("cpu") ? Map.of("threads", "2", "poison", "true") : Map.of());
    }

    private static AdamW adamw(LanguageModel model) {
        return new AdamW(model.namedParameters(), AdamW.Settings.defaults());
    }

    private static BatchSource windows() {
        return new RandomWindows(ToyModels.tokens(400), 4, TIME, 9);
    }

    private static LanguageModelConfig dropping() {
        return ToyModels.config().withDropout(0.2);
    }

    /** Losses of all steps; a listener that keeps them. */
    private static List<Double> record(Trainer trainer) {
        List<Double> losses = new ArrayList<>();
        trainer.listen(new TrainListener() {
            @Override
            public void step(Step s) {
                losses.add(s.loss());
            }
        });
        return losses;
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

    private record Outcome(List<Double> losses, Map<String, float[]> parameters, Trainer.Position position) {}

    private static Outcome run(Device device, LanguageModelConfig config, Trainer.Settings settings) {
        try (LanguageModel model = ToyModels.create(config, device); AdamW optimizer = adamw(model)) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.warmupCosine(1e-2, 1e-3, 5, settings.steps()), windows(), settings);
            List<Double> losses = record(trainer);
            trainer.run();
            return new Outcome(losses, values(model), trainer.position());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void theLossFallsOnAnEasyTask(String backend) {
        try (Device device = open(backend); LanguageModel model = ToyModels.create(ToyModels.config(), device); AdamW optimizer =
                adamw(model)) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.warmupCosine(3e-2, 3e-3, 10, 120), windows(),
                    Trainer.Settings.of(120, 1));
            trainer.validateOn(new SequentialBatches(ToyModels.tokens(100), 3, TIME));
            double untrained = trainer.validate().loss();
            assertThat(untrained).isEqualTo(Math.log(ToyModels.VOCABULARY), within(0.2));
            trainer.run();
            assertThat(trainer.validate().loss()).isLessThan(0.5);
            assertThat(trainer.position().step()).isEqualTo(120);
            assertThat(trainer.position().tokens()).isEqualTo(120L * 4 * TIME);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void theSameSeedGivesTheSameRunToTheBit(String backend) {
        try (Device device = open(backend)) {
            Outcome first = run(device, dropping(), Trainer.Settings.of(8, 3));
            Outcome second = run(device, dropping(), Trainer.Settings.of(8, 3));
            assertThat(second.losses()).isEqualTo(first.losses());
            same(second.parameters(), first.parameters());
            assertThat(run(device, dropping(), Trainer.Settings.of(8, 4)).losses()).as("another dropout").isNotEqualTo(first.losses());
            assertThat(device.memory().liveHandles()).isZero();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void recomputationChangesNoBit(String backend) {
        try (Device device = open(backend)) {
            Outcome kept = run(device, dropping(), Trainer.Settings.of(6, 3));
            Outcome again = run(device, dropping(), Trainer.Settings.of(6, 3).withRecomputation());
            assertThat(again.losses()).isEqualTo(kept.losses());
            same(again.parameters(), kept.parameters());
            assertThat(again.position()).isEqualTo(kept.position());
        }
    }

    @Test
    void severalBatchesMakeTheStepOfOneLargeBatch() {
        // documents of different lengths: the parts have different numbers of targets
        List<int[]> documents = List.of(new int[] {1, 2, 3, 4, 5, 6, 7}, new int[] {8, 9}, new int[] {0},
                new int[] {3, 3, 3, 2, 1, 9, 9, 9, 1, 2});
        PackedDocuments parts = PackedDocuments.of(documents, ToyModels.VOCABULARY, 1, 4, 5);
        PackedDocuments whole = PackedDocuments.of(documents, ToyModels.VOCABULARY, 5, 4, 5);
        assertThat(parts.batchesPerEpoch()).isEqualTo(5);
        assertThat(whole.batchesPerEpoch()).isEqualTo(1);
        try (Device device = open("reference")) {
            Map<String, double[]> expected = new LinkedHashMap<>();
            double[] losses = new double[2];
            double[] norms = new double[2];
            for (int k : new int[] {1, 5}) {
                try (LanguageModel model = new LanguageModel(ToyModels.rich().withDropout(0), new Init(device, DType.F64, new Rng(1)));
                        Sgd optimizer = new Sgd(model.namedParameters(), Sgd.Settings.plain())) {
                    Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1), k == 1 ? whole : parts,
                            Trainer.Settings.of(1, 1).withAccumulation(k).withClip(0));
                    trainer.listen(new TrainListener() {
                        @Override
                        public void step(Step s) {
                            losses[k == 1 ? 0 : 1] = s.loss();
                            norms[k == 1 ? 0 : 1] = s.gradientNorm();
                            assertThat(s.tokens()).isEqualTo(16);
                        }
                    });
                    trainer.run();
                    model.namedParameters().forEach((name, p) -> {
                        if (k == 1) {
                            expected.put(name, p.value().toDoubles());
                        } else {
                            assertThat(p.value().toDoubles()).as(name).containsExactly(expected.get(name), within(1e-12));
                        }
                    });
                }
            }
            assertThat(losses[1]).isEqualTo(losses[0], within(1e-12));
            assertThat(norms[1]).isEqualTo(norms[0], within(1e-12));
        }
    }

    @Test
    void clippingBoundsTheStep() {
        try (Device device = open("reference"); LanguageModel model = ToyModels.create(ToyModels.config(), device);
                Sgd optimizer = new Sgd(model.namedParameters(), Sgd.Settings.plain())) {
            Map<String, float[]> before = values(model);
            new Trainer(model, optimizer, LrSchedule.constant(1), windows(), Trainer.Settings.of(1, 1).withClip(0.01)).run();
            double moved = 0;
            for (Map.Entry<String, float[]> e : values(model).entrySet()) {
                for (int i = 0; i < e.getValue().length; i++) {
                    moved += Math.pow(e.getValue()[i] - before.get(e.getKey())[i], 2);
                }
            }
            assertThat(Math.sqrt(moved)).isEqualTo(0.01, within(1e-5));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void weightDecayReachesOnlyWhatDecays(String backend) {
        // every logit equal and a step of size 0 apart from decay: what shrinks, decays
        try (Device device = open(backend); LanguageModel model = ToyModels.create(ToyModels.rich(), device);
                AdamW optimizer = new AdamW(model.namedParameters(), new AdamW.Settings(0, 0, 1e30, 0.5))) {
            Map<String, float[]> before = values(model);
            new Trainer(model, optimizer, LrSchedule.constant(0.1), windows(), Trainer.Settings.of(1, 1)).run();
            model.namedParameters().forEach((name, p) -> {
                float[] expected = before.get(name).clone();
                boolean decays = !p.has(Parameter.Flag.NO_DECAY);
                assertThat(decays).as(name).isEqualTo(name.endsWith("weight") && !name.contains("norm"));
                for (int i = 0; i < expected.length; i++) {
                    expected[i] *= decays ? 0.95f : 1;
                }
                assertThat(p.value().toFloats()).as(name).containsExactly(expected, within(1e-6f));
            });
        }
    }

    @Test
    void accumulatorsAddGradientsAndOwnTheSums() {
        try (Device device = open("reference"); LanguageModel model = ToyModels.create(ToyModels.config(), device)) {
            Parameter p = model.namedParameters().get("norm_f.weight");
            long before = device.memory().liveHandles();
            try (GradientAccumulator sum = new GradientAccumulator(); Scope _ = Scope.open()) {
                for (int i = 1; i <= 3; i++) {
                    try (Scope _ = Scope.open()) {
                        sum.add(Map.of(p, Tensor.full(device, DType.F32, i, 8)));
                    }
                }
                assertThat(sum.gradients().get(p).toFloats()).containsOnly(6);
                double loss = sum.add(List.of(p), () -> p.value().mul(2).sum(), 0.5);
                assertThat(loss).isEqualTo(8);
                assertThat(sum.gradients().get(p).toFloats()).containsOnly(7);
                assertThatThrownBy(() -> sum.gradients().clear()).isInstanceOf(UnsupportedOperationException.class);
            }
            assertThat(device.memory().liveHandles()).isEqualTo(before);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void memoryStaysFlatOverAHundredSteps(String backend) {
        try (Device device = open(backend); LanguageModel model = ToyModels.create(dropping(), device); AdamW optimizer = adamw(model)) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-3), windows(),
                    Trainer.Settings.of(110, 1).withAccumulation(2)
                    .withValidationEvery(10)).validateOn(new SequentialBatches(ToyModels.tokens(50), 3, TIME));
            trainer.runUntil(10);
            long handles = device.memory().liveHandles();
            long live = device.memory().liveBytes();
            long held = live + device.memory().pooledBytes();
            long peak = device.memory().peakBytes();
            trainer.listen(new TrainListener() {
                @Override
                public void step(Step s) {
                    assertThat(device.memory().liveHandles()).as("live tensors after step " + s.step()).isEqualTo(handles);
                    assertThat(device.memory().liveBytes()).isEqualTo(live);
                }
            });
            trainer.run();
            assertThat(device.memory().liveBytes() + device.memory().pooledBytes()).as("memory held").isEqualTo(held);
            assertThat(device.memory().peakBytes()).as("peak").isEqualTo(peak);
            assertThat(handles).as("parameters and two moments each").isEqualTo(3L * model.namedParameters().size());
        }
    }

    /** A layer's parameters frozen by hand, as in fine-tuning. */
    @Test
    void frozenParametersDoNotMoveAndCostNoGradient() {
        LanguageModelConfig config = LanguageModelConfig.of(ToyModels.VOCABULARY, 8, List.of(LayerSpec.of(new LeakyIntegrator.Config(1))));
        try (Device device = open("reference"); LanguageModel model = ToyModels.create(config, device)) {
            model.namedParameters().forEach((name, p) -> {
                if (name.startsWith("layers.0.mixer.in_proj") || name.equals("embeddings.weight")) {
                    p.freeze();
                }
            });
            try (AdamW optimizer = adamw(model)) {
                Map<String, float[]> before = values(model);
                Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-2), windows(), Trainer.Settings.of(4, 1));
                trainer.run();
                values(model).forEach((name, value) -> assertThat(Arrays.equals(value, before.get(name))).as(name + " stands still")
                        .isEqualTo(model.namedParameters().get(name).has(Parameter.Flag.FROZEN)));
                assertThat(optimizer.state()).doesNotContainKey("exp_avg.embeddings.weight");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"reference", "cpu"})
    void aLossThatIsNotANumberIsATypedErrorAndHarmsNothing(String backend) {
        BatchSource good = windows();
        try (Device device = open(backend); LanguageModel model = ToyModels.create(dropping(), device); AdamW optimizer = adamw(model)) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-2), good, Trainer.Settings.of(10, 1));
            trainer.runUntil(3);
            Parameter weight = model.namedParameters().get("norm_f.weight");
            float[] sane = weight.value().toFloats();
            Map<String, float[]> before = values(model);
            Trainer.Position position = trainer.position();
            long handles = device.memory().liveHandles();
            for (float poison : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
                overwrite(weight, filled(poison));
                assertThatThrownBy(trainer::run).isInstanceOf(DivergenceException.class).hasMessageContaining("step 4");
            }
            overwrite(weight, sane);
            same(values(model), before);
            assertThat(trainer.position()).isEqualTo(position);
            assertThat(optimizer.steps()).isEqualTo(3);
            assertThat(device.memory().liveHandles()).isEqualTo(handles);
            trainer.run();
            same(values(model), run(device, dropping(), 10));
        }
    }

    private static Map<String, float[]> run(Device device, LanguageModelConfig config, long steps) {
        try (LanguageModel model = ToyModels.create(config, device); AdamW optimizer = adamw(model)) {
            new Trainer(model, optimizer, LrSchedule.constant(1e-2), windows(), Trainer.Settings.of(steps, 1)).run();
            return values(model);
        }
    }

    private static float[] filled(float value) {
        float[] all = new float[8];
        Arrays.fill(all, value);
        return all;
    }

    private static void overwrite(Parameter p, float[] values) {
        try (Scope _ = Scope.open()) {
            p.value().write(Tensor.of(p.value().device(), values), 0);
        }
    }

    @Test
    void aStepThatDoesNotFitIntoMemoryHarmsNothingAndASmallerOneWorks() {
        BatchSource growing = index -> new RandomWindows(ToyModels.tokens(4000), index == 2 ? 512 : 2, TIME, 9).batch(index);
        try (Device device = Device.open("cpu", Map.of("threads", "2", "memoryLimit", "1500000"));
                LanguageModel model = ToyModels.create(dropping(), device); AdamW optimizer = adamw(model)) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-2), growing, Trainer.Settings.of(5, 1));
            trainer.runUntil(2);
            Map<String, float[]> before = values(model);
            Trainer.Position position = trainer.position();
            long handles = device.memory().liveHandles();
            long bytes = device.memory().liveBytes();
            for (boolean recompute : new boolean[] {false, true}) {
                Trainer.Settings settings = Trainer.Settings.of(5, 1);
                Trainer large = new Trainer(model, optimizer, LrSchedule.constant(1e-2), growing,
                        recompute ? settings.withRecomputation() : settings);
                large.resume(position);
                assertThatThrownBy(large::run).isInstanceOf(OutOfDeviceMemoryException.class).hasMessageContaining("limit 1500000");
                assertThat(large.position()).isEqualTo(position);
                assertThat(device.memory().liveHandles()).isEqualTo(handles);
                assertThat(device.memory().liveBytes()).isEqualTo(bytes);
                same(values(model), before);
                assertThat(optimizer.steps()).isEqualTo(2);
            }
            BatchSource small = index -> new RandomWindows(ToyModels.tokens(4000), 2, TIME, 9).batch(index);
            Trainer rest = new Trainer(model, optimizer, LrSchedule.constant(1e-2), small, Trainer.Settings.of(5, 1));
            rest.resume(position);
            rest.run();
            assertThat(rest.position().step()).isEqualTo(5);
        }
    }

    @Test
    void dataOfAnotherVocabularyIsRefused() {
        TokenDataset wide = TokenDataset.of(new int[] {1, 2, 3, 20, 5, 6, 7}, 21);
        try (Device device = open("reference"); LanguageModel model = ToyModels.create(ToyModels.config(), device); AdamW optimizer =
                adamw(model)) {
            assertThatThrownBy(() -> new Trainer(model, optimizer, LrSchedule.constant(1), new RandomWindows(wide, 1, 3, 1),
                    Trainer.Settings.of(1, 1)))
                    .isInstanceOf(DataException.class).hasMessageContaining("13").hasMessageContaining("21");
            // a source that does not tell: found in the batch
            for (TokenBatch bad : List.of(new TokenBatch(1, 2, new int[] {1, 13}, new int[] {1, 1}, null),
                    new TokenBatch(1, 2, new int[] {1, 1}, new int[] {1, 13}, null),
                    new TokenBatch(1, 2, new int[] {-1, 1}, new int[] {1, 1}, null))) {
                Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1), index -> bad, Trainer.Settings.of(1, 1));
                assertThatThrownBy(trainer::run).isInstanceOf(DataException.class).hasMessageContaining("13");
                assertThatThrownBy(() -> Evaluation.of(model, List.of(bad))).isInstanceOf(DataException.class).hasMessageContaining("13");
            }
        }
    }

    @Test
    void batchesWithoutTargetsAreRefused() {
        TokenBatch empty = new TokenBatch(1, 2, new int[] {1, 1}, new int[] {-1, -100}, null);
        try (Device device = open("reference"); LanguageModel model = ToyModels.create(ToyModels.config(), device); AdamW optimizer =
                adamw(model)) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1), index -> empty, Trainer.Settings.of(1, 1));
            assertThatThrownBy(trainer::run).isInstanceOf(DataException.class).hasMessageContaining("targets");
            assertThatThrownBy(() -> Evaluation.of(model, List.of(empty))).isInstanceOf(DataException.class);
            assertThatThrownBy(trainer::validate).isInstanceOf(DataException.class);
        }
    }

    @Test
    void evaluationWeighsBatchesByTheirTargets() {
        TokenDataset tokens = ToyModels.tokens(30);
        try (Device device = open("reference"); LanguageModel model = ToyModels.create(ToyModels.config(), device)) {
            List<Long> progress = new ArrayList<>();
            Evaluation pieces = Evaluation.of(model, new SequentialBatches(tokens, 1, 29), (done, n) -> progress.add(n));
            assertThat(progress).containsExactly(29L);
            TokenBatch whole = new SequentialBatches(tokens, 1, 29).batch(0);
            int[] some = whole.targets().clone();
            int[] others = whole.targets().clone();
            for (int t = 0; t < 29; t++) {
                (t % 5 == 0 ? others : some)[t] = -1;
            }
            Evaluation split = Evaluation.of(model, List.of(new TokenBatch(1, 29, whole.inputs(), some, null),
                    new TokenBatch(1, 29, whole.inputs(), others, null)));
            assertThat(split.loss()).isEqualTo(pieces.loss(), within(1e-6));
            assertThat(split.tokens()).isEqualTo(29);
            assertThat(pieces.perplexity()).isEqualTo(Math.exp(pieces.loss()));
            assertThat(pieces.bitsPerToken()).isEqualTo(pieces.loss() / Math.log(2));
        }
    }

    @Test
    void listenersHearEveryStepAndValidation() {
        try (Device device = open("reference"); LanguageModel model = ToyModels.create(ToyModels.config(), device); AdamW optimizer =
                adamw(model)) {
            List<String> heard = new ArrayList<>();
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-3), windows(),
                    Trainer.Settings.of(5, 1).withValidationEvery(2))
                    .validateOn(new SequentialBatches(ToyModels.tokens(80), 4, TIME)).listen(new TrainListener() {
                        @Override
                        public void step(Step s) {
                            heard.add("step " + s.step() + "/" + s.steps());
                            assertThat(s.tokens()).isEqualTo(4 * TIME);
                            assertThat(s.learningRate()).isEqualTo(1e-3);
                            assertThat(s.seconds()).isPositive();
                        }

                        @Override
                        public void validating(Validating v) {
                            heard.add("batch " + v.batches());
                        }

                        @Override
                        public void validation(Validation v) {
                            heard.add("validation " + v.step() + ", " + v.tokens());
                        }
                    });
            trainer.run();
            assertThat(heard).containsExactly("step 1/5", "step 2/5", "batch 1", "batch 2", "validation 2, 79", "step 3/5", "step 4/5",
                    "batch 1", "batch 2", "validation 4, 79", "step 5/5", "batch 1", "batch 2", "validation 5, 79");
        }
    }

    @Test
    void impossibleSettingsAreRefused() {
        assertThatThrownBy(() -> Trainer.Settings.of(0, 1)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Trainer.Settings.of(1, 1).withAccumulation(0)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Trainer.Settings.of(1, 1).withClip(Double.NaN)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Trainer.Settings.of(1, 1).withValidationEvery(-1)).isInstanceOf(ConfigException.class);
        try (Device device = open("reference"); LanguageModel model = ToyModels.create(ToyModels.config(), device); AdamW optimizer =
                adamw(model)) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1), windows(),
                    Trainer.Settings.of(3, 1).withValidationEvery(1));
            assertThatThrownBy(trainer::run).isInstanceOf(ConfigException.class).hasMessageContaining("validateOn");
            assertThat(trainer.position().step()).as("said before the first step").isZero();
            for (Trainer.Position bad : List.of(new Trainer.Position(4, 0, 0), new Trainer.Position(-1, 0, 0),
                    new Trainer.Position(2, 0, 0), new Trainer.Position(0, -1, 0), new Trainer.Position(0, 0, -1))) {
                assertThatThrownBy(() -> trainer.resume(bad)).isInstanceOf(ConfigException.class).hasMessageContaining("[resume]");
            }
        }
    }

    @Test
    void useAfterCloseIsATypedErrorThatSaysWhatIsClosed() {
        try (Device device = open("cpu")) {
            LanguageModel model = ToyModels.create(ToyModels.config(), device);
            AdamW optimizer = adamw(model);
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1), windows(), Trainer.Settings.of(3, 1));
            trainer.runUntil(1);
            optimizer.close();
            optimizer.close();
            assertThatThrownBy(trainer::run).isInstanceOf(ReleasedTensorException.class).hasMessageContaining("open optimizer");
            assertThatThrownBy(optimizer::state).isInstanceOf(ReleasedTensorException.class);
            model.close();
            model.close();
            assertThatThrownBy(trainer::run).isInstanceOf(ReleasedTensorException.class).hasMessageContaining("open layer");
            assertThatThrownBy(() -> Evaluation.of(model, List.of(windows().batch(0)))).isInstanceOf(ReleasedTensorException.class);
            assertThat(trainer.position().step()).isEqualTo(1);
            assertThat(device.memory().liveHandles()).isZero();
        }
    }
}
