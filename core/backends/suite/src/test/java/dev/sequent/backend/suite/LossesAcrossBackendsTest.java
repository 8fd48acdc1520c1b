package dev.sequent.backend.suite;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.backend.Backends;
import dev.sequent.io.AtomicFiles;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.train.AdamW;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.BatchSource;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * Ten training steps of every family of models give the same losses on every backend: initial values, batches and dropout are the same
 * bits everywhere, and what is left is rounding. Prints the table that {@code docs/backends.md} keeps.
 */
class LossesAcrossBackendsTest {
    private static final int VOCABULARY = 17;
    private static final int WIDTH = 16;
    private static final int STEPS = 10;
    /** Backends without which the comparison would be worth nothing. */
    private static final Set<String> REQUIRED = Set.of("reference", "cpu", "nd4j", "djl");
    /**
     * Largest relative difference of a loss from the reference backend's. Rounding (2^-24 in F32, 2^-53 in F64) grows by the length of
     * sums, and by the steps of AdamW, which divide gradients by their own size.
     */
    private static final Map<DType, Double> TOLERANCE = Map.of(DType.F32, 5e-6, DType.F64, 1e-13);

    private static Map<String, String> families() {
        Map<String, String> families = new LinkedHashMap<>();
        families.put("S4D", "SS");
        families.put("Mamba", "MM");
        families.put("Mamba-2", "DD");
        families.put("Transformer", "AA");
        families.put("hybrid", "MSDA");
        return families;
    }

    static LanguageModelConfig config(String pattern) {
        Map<Character, LayerSpec> letters = Map.of('M', LayerSpec.of(MambaConfig.defaults().withStates(4)),
                'D', LayerSpec.of(Mamba2Config.defaults().withStates(6).withHeads(8, 2)),
                'S', new LayerSpec(S4dConfig.defaults().withStateSize(6), MlpConfig.gated(20)),
                'A', new LayerSpec(AttentionConfig.of(4), MlpConfig.gated(20)));
        return LanguageModelConfig.of(VOCABULARY, WIDTH, LayerPattern.parse(pattern, letters)).withDropout(0.1);
    }

    static List<Double> losses(String backend, DType dtype, String pattern) {
        int[] ids = new int[500];
        Arrays.setAll(ids, i -> (i * i + i / 7) % VOCABULARY);
        BatchSource batches = new RandomWindows(TokenDataset.of(ids, VOCABULARY), 2, 21, 3);
        List<Double> losses = new ArrayList<>();
        try (Device device = Device.open(backend)) {
            try (LanguageModel model = new LanguageModel(config(pattern), new Init(device, dtype, new Rng(1)));
                    AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
                Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-2), batches, Trainer.Settings.of(STEPS, 1));
                trainer.listen(new TrainListener() {
                    @Override
                    public void step(Step step) {
                        losses.add(step.loss());
                    }
                });
                trainer.run();
            }
            assertThat(device.memory().liveHandles()).as("live tensors on " + device).isZero();
        }
        return losses;
    }

    /** Whether a backend runs here and stores {@code dtype}; says why not. */
    private static boolean takesPart(BackendProvider provider, DType dtype) {
        Probe probe = provider.probe();
        if (!probe.isAvailable()) {
            assertThat(REQUIRED).as(probe.toString()).doesNotContain(provider.name());
            System.out.println("without " + provider.name() + ": " + probe);
            return false;
        }
        try (Device device = Device.open(provider.name())) {
            return device.supports(dtype);
        }
    }

    @Test
    void tenStepsGiveTheSameLosses() {
        StringBuilder table = new StringBuilder("| model | dtype | backend | step 1 | step 2 | step 5 | step 10 | largest difference |\n"
                + "|---|---|---|---|---|---|---|---|\n");
        for (DType dtype : List.of(DType.F32, DType.F64)) {
            List<String> backends = Backends.providers().stream().filter(p -> takesPart(p, dtype)).map(BackendProvider::name).sorted()
                    .toList();
            assertThat(backends).containsAll(REQUIRED);
            families().forEach((family, pattern) -> {
                List<Double> expected = losses("reference", dtype, pattern);
                assertThat(expected.getLast()).as(family + " learns").isLessThan(expected.getFirst());
                for (String backend : backends) {
                    List<Double> actual = backend.equals("reference") ? expected : losses(backend, dtype, pattern);
                    double worst = 0;
                    for (int step = 0; step < STEPS; step++) {
                        worst = Math.max(worst, Math.abs(actual.get(step) - expected.get(step)) / expected.get(step));
                    }
                    table.append(row(family, dtype, backend, actual, worst));
                    assertThat(worst).as("%s in %s on %s: %s, reference %s", family, dtype, backend, actual, expected)
                            .isLessThanOrEqualTo(TOLERANCE.get(dtype));
                }
            });
        }
        System.out.println(table);
        AtomicFiles.write(Path.of("target", "losses.md"), table.toString());
    }

    private static String row(String family, DType dtype, String backend, List<Double> losses, double worst) {
        return String.format(Locale.ROOT, "| %s | %s | %s | %.7f | %.7f | %.7f | %.7f | %.1e |%n", family, dtype, backend, losses.get(0),
                losses.get(1), losses.get(4), losses.get(STEPS - 1), worst);
    }
}
