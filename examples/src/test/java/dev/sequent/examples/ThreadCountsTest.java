package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.model.ModelState;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.BatchSource;
import dev.sequent.train.data.PackedDocuments;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Training, reading a prompt and decoding give the same bits for every number of threads, also for more threads than there are processors:
 * how sums are cut depends on sizes only. Sizes are such that every operation is cut. Matrix products are our own: a native library makes
 * no such promise.
 */
class ThreadCountsTest {
    private static final int VOCABULARY = 83;
    private static final int WIDTH = 80;
    private static final int TIME = 301;
    private static final int[] THREADS = {1, 2, 3, 8, 64};

    private static LanguageModel model(Device device, String pattern) {
        Map<Character, LayerSpec> letters = Map.of('M', LayerSpec.of(MambaConfig.defaults()),
                'D', LayerSpec.of(Mamba2Config.defaults().withStates(16).withHeads(32, 1)),
                'S', new LayerSpec(S4dConfig.defaults().withStateSize(20), MlpConfig.gated(200)),
                'A', new LayerSpec(AttentionConfig.of(4), MlpConfig.gated(200)));
        return new LanguageModel(LanguageModelConfig.of(VOCABULARY, WIDTH, LayerPattern.parse(pattern, letters)).withDropout(0.1),
                new Init(device, 3));
    }

    private static int[] tokens(int count) {
        int[] ids = new int[count];
        Arrays.setAll(ids, i -> (i * i + i / 7) % VOCABULARY);
        return ids;
    }

    /** A step on two rows, or on documents packed into one. */
    private static void train(LanguageModel model, BatchSource batches, Map<String, float[]> results, String name) {
        List<Double> losses = new ArrayList<>();
        try (AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-2), batches, Trainer.Settings.of(1, 1));
            trainer.listen(new TrainListener() {
                @Override
                public void step(Step s) {
                    losses.add(s.loss());
                }
            });
            trainer.run();
        }
        for (int i = 0; i < losses.size(); i++) {
            results.put(name + ", loss " + i, new float[] {(float) (double) losses.get(i)});
        }
        model.namedParameters().forEach((parameter, p) -> results.put(name + ", " + parameter, p.value().toFloats()));
    }

    private static void read(Device device, LanguageModel model, Map<String, float[]> results) {
        try (Scope _ = Scope.open(); ModelState state = model.newState(new StateSpec(1, TIME + 2, DType.F32, device))) {
            Tensor prompt = Tensor.of(device, tokens(TIME), 1, TIME);
            results.put("prompt", model.prefill(prompt, SequenceInfo.of(1, TIME), state).toFloats());
            results.put("token", model.step(Tensor.of(device, new int[] {7}, 1, 1), state).toFloats());
        }
    }

    private static Map<String, float[]> results(int threads, String pattern) {
        Map<String, float[]> results = new LinkedHashMap<>();
        try (Device device = Device.open("cpu", Map.of("threads", Integer.toString(threads), "matmul", "builtin", "poison", "true"));
                LanguageModel model = model(device, pattern)) {
            train(model, new RandomWindows(TokenDataset.of(tokens(2000), VOCABULARY), 2, TIME, 3), results, "windows");
            train(model, PackedDocuments.of(List.of(tokens(150), tokens(40), tokens(90)), VOCABULARY, 1, TIME, 4), results, "documents");
            read(device, model, results);
        }
        return results;
    }

    @ParameterizedTest
    @ValueSource(strings = {"M", "D", "S", "A"})
    void resultsAreEqualToTheBit(String pattern) {
        Map<String, float[]> expected = results(THREADS[0], pattern);
        for (int threads : Arrays.copyOfRange(THREADS, 1, THREADS.length)) {
            Map<String, float[]> actual = results(threads, pattern);
            assertThat(actual.keySet()).isEqualTo(expected.keySet());
            expected.forEach((name, values) -> assertThat(Arrays.equals(actual.get(name), values))
                    .as("%s of %s with %d threads", name, pattern, threads).isTrue());
        }
    }
}
