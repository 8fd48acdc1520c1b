package dev.sequent.backend.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelState;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.spi.GraphCapture;
import dev.sequent.spi.GraphCapture.Graph;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.train.AdamW;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Steps of a model that were recorded once as CUDA graphs give on new tokens what they give when run, to the bit: forward and backward
 * pass of fixed shape, and decoding with recurrent layers. What differs in every step is refused.
 */
class CudaGraphStepTest {
    private static final int BATCH = 2;
    private static final int TIME = 9;
    private static final int VOCABULARY = 17;

    private Device device;
    private String policy;

    @BeforeEach
    void open() {
        policy = System.getProperty("sequent.fused");
        device = Device.open("cuda", EmulatedCuda.require().options());
    }

    @AfterEach
    void close() {
        try {
            assertThat(device.memory().liveHandles()).isZero();
        } finally {
            device.close();
            fused(policy);
        }
    }

    private static void fused(String policy) {
        if (policy == null) {
            System.clearProperty("sequent.fused");
        } else {
            System.setProperty("sequent.fused", policy);
        }
    }

    private LanguageModel model(String pattern) {
        return new LanguageModel(LossesAcrossBackendsTest.config(pattern).withDropout(0), new Init(device, DType.F32, new Rng(1)));
    }

    private Graph capture(Runnable body) {
        return device.facility(GraphCapture.class).orElseThrow().capture(0, body);
    }

    /** Inputs and targets of a training step; some positions, not the same number in every batch, have no target. */
    private record Batch(Tensor ids, Tensor targets) {
        static Batch of(LanguageModel model, int seed) {
            int[] targets = new int[BATCH * TIME];
            Arrays.setAll(targets, i -> i % (seed + 2) == 0 ? -100 : (i * 5 + seed) % VOCABULARY);
            return new Batch(model.ids(tokens(seed, BATCH * TIME), BATCH, TIME), Tensor.of(model.device(), targets));
        }

        void write(Batch next) {
            ids.write(next.ids, 0, 0);
            targets.write(next.targets, 0);
        }
    }

    private static int[] tokens(int seed, int count) {
        int[] ids = new int[count];
        Arrays.setAll(ids, i -> (i * i + seed * (i + 3)) % VOCABULARY);
        return ids;
    }

    private static Gradients step(LanguageModel model, Batch batch) {
        return Autograd.valueAndGrad(model.parameters(), () -> {
            Tensor logits = model.forward(batch.ids, SequenceInfo.of(batch.ids));
            return CrossEntropy.loss(logits.reshape(-1, VOCABULARY), batch.targets);
        });
    }

    private static Map<String, float[]> numbers(LanguageModel model, Gradients g) {
        Map<String, float[]> all = new HashMap<>();
        model.namedParameters().forEach((name, p) -> all.put(name, g.of(p).toFloats()));
        all.put("loss", g.loss().toFloats());
        return all;
    }

    private static void requireEqual(Map<String, float[]> actual, Map<String, float[]> expected) {
        assertThat(actual.keySet()).isEqualTo(expected.keySet());
        expected.forEach((name, values) -> assertThat(actual.get(name)).as(name).isEqualTo(values));
    }

    @ParameterizedTest
    @ValueSource(strings = {"MSDA, auto", "MA, off"})
    void aReplayedTrainingStepEqualsTheStepItself(String patternAndPolicy) {
        fused(patternAndPolicy.split(", ")[1]);
        try (LanguageModel model = model(patternAndPolicy.split(", ")[0]); Scope _ = Scope.open()) {
            Batch batch = Batch.of(model, 1);
            step(model, batch);
            Gradients[] recorded = new Gradients[1];
            try (Graph graph = capture(() -> recorded[0] = step(model, batch))) {
                for (int seed = 3; seed < 6; seed++) {
                    Batch next = Batch.of(model, seed);
                    batch.write(next);
                    graph.replay();
                    requireEqual(numbers(model, recorded[0]), numbers(model, step(model, next)));
                }
            }
        }
    }

    private static void update(LanguageModel model, AdamW optimizer, Gradients g) {
        Map<Parameter, Tensor> gradients = new HashMap<>();
        model.parameters().forEach(p -> gradients.put(p, g.of(p)));
        optimizer.step(gradients, 1e-2, 1);
    }

    /** The optimizer changes parameters where they are, and so the next replay sees them. */
    @Test
    void trainingByReplaysEqualsTraining() {
        try (LanguageModel model = model("MA"); LanguageModel twin = model("MA");
                AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults());
                AdamW twins = new AdamW(twin.namedParameters(), AdamW.Settings.defaults());
                Scope _ = Scope.open()) {
            Batch batch = Batch.of(model, 1);
            step(model, batch);
            Gradients[] recorded = new Gradients[1];
            try (Graph graph = capture(() -> recorded[0] = step(model, batch))) {
                for (int seed = 3; seed < 7; seed++) {
                    Batch next = Batch.of(model, seed);
                    batch.write(next);
                    graph.replay();
                    Gradients expected = step(twin, next);
                    requireEqual(numbers(model, recorded[0]), numbers(twin, expected));
                    update(model, optimizer, recorded[0]);
                    update(twin, twins, expected);
                }
            }
            Gradients last = step(model, batch);
            assertThatThrownBy(() -> capture(() -> update(model, optimizer, last))).isInstanceOf(BackendException.class)
                    .hasMessageContaining("[capture]").hasMessageContaining("optimizer");
        }
    }

    @Test
    void replayedDecodingEqualsDecoding() {
        try (LanguageModel model = model("MSD"); Scope _ = Scope.open();
                ModelState state = model.newState(new StateSpec(BATCH, 32, DType.F32, device))) {
            Tensor prompt = model.ids(tokens(2, BATCH * 5), BATCH, 5);
            model.prefill(prompt, SequenceInfo.of(prompt), state);
            Tensor ids = model.ids(tokens(1, BATCH), BATCH, 1);
            try (ModelState eager = state.fork(); ModelState warm = state.fork()) {
                model.step(ids, warm);
                Tensor[] logits = new Tensor[1];
                try (Graph graph = capture(() -> logits[0] = model.step(ids, state))) {
                    for (int token = 3; token < 9; token++) {
                        Tensor next = model.ids(tokens(token, BATCH), BATCH, 1);
                        ids.write(next, 0, 0);
                        graph.replay();
                        assertThat(logits[0].toFloats()).isEqualTo(model.step(next, eager).toFloats());
                    }
                }
                // the state is where the replays left it
                assertThat(model.step(ids, state).toFloats()).isEqualTo(model.step(ids, eager).toFloats());
            }
        }
    }

    /** Ids in the memory of a captured tensor have not gone through the model's check. */
    @Test
    void wrongIdsInReplaysTouchNothingAndGiveNaN() {
        try (LanguageModel model = model("M"); Scope _ = Scope.open()) {
            Batch batch = Batch.of(model, 1);
            Map<String, float[]> expected = numbers(model, step(model, batch));
            Gradients[] recorded = new Gradients[1];
            try (Graph graph = capture(() -> recorded[0] = step(model, batch))) {
                for (int wrong : List.of(VOCABULARY, Integer.MAX_VALUE, -1)) {
                    batch.ids.write(Tensor.of(device, new int[] {wrong}, 1, 1), 1, 3);
                    graph.replay();
                    assertThat(recorded[0].loss().item()).isNaN();
                }
                batch.write(Batch.of(model, 1));
                for (int wrong : List.of(VOCABULARY, Integer.MAX_VALUE)) {
                    batch.targets.write(Tensor.of(device, new int[] {wrong}), 4);
                    graph.replay();
                    assertThat(recorded[0].loss().item()).isNaN();
                }
                batch.write(Batch.of(model, 1));
                graph.replay();
                requireEqual(numbers(model, recorded[0]), expected);
            }
        }
    }

    @Test
    void decodingWithACacheOfKeysIsRefused() {
        try (LanguageModel model = model("MA"); Scope _ = Scope.open();
                ModelState state = model.newState(new StateSpec(BATCH, 8, DType.F32, device))) {
            Tensor ids = model.ids(tokens(1, BATCH), BATCH, 1);
            float[] first = model.step(ids, state).toFloats();
            state.reset();
            assertThatThrownBy(() -> capture(() -> model.step(ids, state))).isInstanceOf(BackendException.class)
                    .hasMessageContaining("[capture]").hasMessageContaining("cache");
            assertThat(device.capturing()).isFalse();
            assertThat(model.step(ids, state).toFloats()).isEqualTo(first);
        }
    }
}
