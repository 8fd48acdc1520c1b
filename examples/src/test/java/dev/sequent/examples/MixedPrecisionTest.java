package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.train.AdamW;
import dev.sequent.train.Checkpoints;
import dev.sequent.train.LanguageModelLoss;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Training with products=bf16 on the CPU backend: all in F32, except that the operands of large matrix products are rounded to BF16. */
class MixedPrecisionTest {
    private static final int VOCABULARY = 32;
    private static final int WIDTH = 64;
    private static final int BATCH = 4;
    private static final int TIME = 64;
    private static final int STEPS = 200;
    /** Losses are averaged over so many steps before they are compared. */
    private static final int WINDOW = 20;

    @TempDir
    Path directory;

    @BeforeAll
    static void requireBf16() {
        try {
            open("bf16", 1).close();
        } catch (ConfigException e) {
            if (Boolean.getBoolean("sequent.requireAll")) {
                fail(e);
            }
            System.out.println("tests of mixed precision skipped: " + e.getMessage());
            abort(e.getMessage());
        }
    }

    private static Device open(String products, int threads) {
        return Device.open("cpu", Map.of("products", products, "threads", Integer.toString(threads)));
    }

    private static LanguageModel model(String name, Device device) {
        LayerSpec layer = switch (name) {
            case "transformer" -> new LayerSpec(AttentionConfig.of(4), MlpConfig.gated(170));
            case "mamba" -> LayerSpec.of(MambaConfig.defaults());
            case "mamba2" -> LayerSpec.of(Mamba2Config.defaults().withStates(16).withHeads(4, 1));
            default -> throw new IllegalArgumentException(name);
        };
        LanguageModelConfig config = LanguageModelConfig.of(VOCABULARY, WIDTH, LayerPattern.repeat(2, layer));
        return new LanguageModel(config, new Init(device, DType.F32, new Rng(1)));
    }

    /** A text in which a token mostly follows from the one before it, so that there is something to learn and something that cannot be. */
    private static TokenDataset text() {
        SplittableRandom random = new SplittableRandom(3);
        int[] ids = new int[20_000];
        for (int i = 1; i < ids.length; i++) {
            boolean free = random.nextInt(4) == 0;
            ids[i] = free ? random.nextInt(VOCABULARY) : (5 * ids[i - 1] + 3) % VOCABULARY;
        }
        return TokenDataset.of(ids, VOCABULARY);
    }

    private static Trainer trainer(LanguageModel model, AdamW optimizer, List<Double> losses) {
        Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(3e-3), new RandomWindows(text(), BATCH, TIME, 7),
                Trainer.Settings.of(STEPS, 1));
        return trainer.listen(new TrainListener() {
            @Override
            public void step(Step step) {
                losses.add(step.loss());
            }
        });
    }

    private static List<Double> losses(String name, String products, int threads, int steps) {
        List<Double> losses = new ArrayList<>();
        try (Device device = open(products, threads)) {
            try (LanguageModel model = model(name, device);
                    AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
                trainer(model, optimizer, losses).runUntil(steps);
            }
            assertThat(device.memory().liveHandles()).as("live tensors").isZero();
        }
        return losses;
    }

    private static List<Double> smoothed(List<Double> losses) {
        return IntStream.range(0, losses.size() / WINDOW).mapToObj(i -> losses.subList(i * WINDOW, (i + 1) * WINDOW))
                .map(window -> window.stream().mapToDouble(Double::doubleValue).average().orElseThrow()).toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"transformer", "mamba", "mamba2"})
    void theLossCurveStaysWithThatOfF32(String name) {
        List<Double> exact = losses(name, "f32", 2, STEPS);
        List<Double> rounded = losses(name, "bf16", 2, STEPS);
        assertThat(rounded).as("products were rounded").isNotEqualTo(exact);
        List<Double> expected = smoothed(exact);
        List<Double> actual = smoothed(rounded);
        assertThat(expected.getLast()).as("learns").isLessThan(expected.getFirst() - 0.5);
        double worst = 0;
        for (int i = 0; i < expected.size(); i++) {
            worst = Math.max(worst, Math.abs(actual.get(i) / expected.get(i) - 1));
        }
        System.out.printf(Locale.ROOT, "%s: loss %.4f to %.4f in F32, %.4f to %.4f with BF16 products, largest difference %.2e%n", name,
                expected.getFirst(), expected.getLast(), actual.getFirst(), actual.getLast(), worst);
        assertThat(worst).as("F32 %s, BF16 %s", expected, actual).isLessThan(0.01);
    }

    @ParameterizedTest
    @ValueSource(strings = {"transformer", "mamba", "mamba2"})
    void gradientsAreThoseOfF32WithinRounding(String name) {
        Map<String, double[]> exact = gradients(name, "f32");
        Map<String, double[]> rounded = gradients(name, "bf16");
        double worst = 0;
        for (String parameter : exact.keySet()) {
            worst = Math.max(worst, distance(rounded.get(parameter), exact.get(parameter)));
        }
        System.out.printf(Locale.ROOT, "%s: largest relative distance of a gradient %.2e%n", name, worst);
        assertThat(worst).isBetween(1e-5, 0.02);
    }

    /** The distance of two vectors in units of the second's length. */
    private static double distance(double[] actual, double[] expected) {
        double difference = 0;
        double length = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
            length += expected[i] * expected[i];
        }
        return Math.sqrt(difference / length);
    }

    private static Map<String, double[]> gradients(String name, String products) {
        TokenBatch batch = new RandomWindows(text(), BATCH, TIME, 7).batch(0);
        Map<String, double[]> values = new LinkedHashMap<>();
        try (Device device = open(products, 2); LanguageModel model = model(name, device); Scope _ = Scope.open()) {
            Gradients gradients = Autograd.valueAndGrad(model.namedParameters().values(),
                    () -> LanguageModelLoss.of(model, batch, new Rng(1), false));
            model.namedParameters().forEach((key, parameter) -> values.put(key, gradients.of(parameter).toDoubles()));
        }
        return values;
    }

    /** Sums over k are not cut by threads; see the class OneDnnMatmul. */
    @ParameterizedTest
    @ValueSource(strings = {"transformer", "mamba"})
    void lossesRepeatToTheBit(String name) {
        List<Double> once = losses(name, "bf16", 2, 10);
        assertThat(losses(name, "bf16", 2, 10)).isEqualTo(once);
        assertThat(losses(name, "bf16", 1, 10)).isEqualTo(once);
        assertThat(losses(name, "bf16", 3, 10)).isEqualTo(once);
    }

    @Test
    void aResumedRunIsTheUninterruptedOneToTheBit() {
        List<Double> whole = losses("transformer", "bf16", 2, 8);
        List<Double> parts = new ArrayList<>();
        Checkpoints checkpoints = new Checkpoints(directory, 1);
        for (int part = 0; part < 2; part++) {
            try (Device device = open("bf16", 2); LanguageModel model = model("transformer", device);
                    AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
                Trainer trainer = trainer(model, optimizer, parts);
                checkpoints.latest().ifPresent(path -> trainer.resume(Checkpoints.restore(path, model, optimizer)));
                trainer.runUntil(4 * (part + 1));
                checkpoints.save(model, optimizer, trainer.position(), Map.of());
            }
        }
        assertThat(parts).isEqualTo(whole);
    }
}
