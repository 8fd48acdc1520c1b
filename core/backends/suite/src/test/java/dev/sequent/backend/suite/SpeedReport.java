package dev.sequent.backend.suite;

import dev.sequent.backend.Backends;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.op.BinaryOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.tensor.Device;
import dev.sequent.train.AdamW;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/**
 * The two tables of speed in {@code docs/backends.md}: what an operation on next to no data costs, and how fast models train. It checks
 * nothing and its name keeps it out of the build: {@code mvn -pl core/backends/suite -am test -Dtest=SpeedReport}, with
 * {@code -DargLine=-Dsequent.report=mamba,djl} for some of it.
 */
class SpeedReport {
    private static final List<String> BACKENDS = List.of("cpu", "djl", "nd4j");
    private static final int VOCABULARY = 64;
    private static final int WIDTH = 128;
    private static final int BATCH = 4;
    private static final int TIME = 256;
    private static final long WARMUP_NANOS = 400_000_000L;
    private static final long MEASURE_NANOS = 400_000_000L;

    private static boolean isWanted(String what) {
        String only = System.getProperty("sequent.report", "");
        return only.isEmpty() || Arrays.asList(only.split(",")).contains(what);
    }

    @Test
    void overheadOfOneOperation() {
        if (!isWanted("overhead")) {
            return;
        }
        System.out.println("microseconds a call, 8 x 8 elements in F32");
        for (String name : BACKENDS) {
            try (Backend b = Backends.openBackend(name)) {
                TensorHandle x = b.full(Shape.of(8, 8), DType.F32, 0.5, 0);
                TensorHandle index = b.full(Shape.of(8), DType.I64, 3, 0);
                Map<String, Supplier<TensorHandle>> calls = new LinkedHashMap<>();
                calls.put("add", () -> b.binary(BinaryOp.ADD, x, x));
                calls.put("multiply by a scalar", () -> b.binaryScalar(BinaryOp.MUL, x, 2, false));
                calls.put("exp", () -> b.unary(UnaryOp.EXP, x));
                calls.put("silu", () -> b.unary(UnaryOp.SILU, x));
                calls.put("sum of rows", () -> b.reduce(ReduceOp.SUM, x, new int[] {1}));
                calls.put("permute", () -> b.permute(x, new int[] {1, 0}));
                calls.put("slice", () -> b.slice(x, new long[] {1, 1}, new long[] {4, 4}));
                calls.put("matmul", () -> b.matmul(x, x, false, false));
                calls.put("indexSelect", () -> b.indexSelect(x, 0, index));
                calls.put("indexAdd", () -> b.indexAdd(x, 0, index, x));
                calls.forEach((what, call) -> System.out.printf(Locale.ROOT, "| %s | %s | %.1f |%n", what, name, micros(b, call)));
            }
        }
    }

    private static double micros(Backend b, Supplier<TensorHandle> call) {
        repeat(b, call, WARMUP_NANOS);
        long start = System.nanoTime();
        long calls = repeat(b, call, MEASURE_NANOS);
        return (System.nanoTime() - start) / 1e3 / calls;
    }

    private static long repeat(Backend b, Supplier<TensorHandle> call, long nanos) {
        long end = System.nanoTime() + nanos;
        long calls = 0;
        while (System.nanoTime() < end) {
            for (int i = 0; i < 64; i++) {
                b.release(call.get());
            }
            calls += 64;
        }
        return calls;
    }

    @Test
    void trainingSpeed() {
        System.out.println("training tokens per second: width 128, 4 layers, 4 x 256 tokens a step, F32");
        MlpConfig mlp = MlpConfig.gated(WIDTH * 8 / 3);
        Map<Character, LayerSpec> letters = Map.of('M', LayerSpec.of(MambaConfig.defaults()), 'A',
                new LayerSpec(AttentionConfig.of(4), mlp));
        Map<String, String> models = new LinkedHashMap<>();
        models.put("transformer", "AAAA");
        models.put("mamba", "MMMM");
        models.forEach((model, pattern) -> {
            for (String name : BACKENDS) {
                if (isWanted(model) && isWanted(name)) {
                    LanguageModelConfig config = LanguageModelConfig.of(VOCABULARY, WIDTH, LayerPattern.parse(pattern, letters));
                    System.out.printf(Locale.ROOT, "| %s | %s | %.0f |%n", model, name, tokensPerSecond(name, config));
                }
            }
        });
    }

    /** The fastest step of 25 seconds: long enough for the compilers. */
    private static double tokensPerSecond(String backend, LanguageModelConfig config) {
        int[] ids = new int[20_000];
        Arrays.setAll(ids, i -> (i * i + i / 7) % VOCABULARY);
        RandomWindows batches = new RandomWindows(TokenDataset.of(ids, VOCABULARY), BATCH, TIME, 3);
        try (Device device = Device.open(backend); LanguageModel model = new LanguageModel(config, new Init(device, 1));
                AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
            Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-3), batches, Trainer.Settings.of(400, 1));
            long best = Long.MAX_VALUE;
            long end = System.nanoTime() + 25_000_000_000L;
            for (int step = 1; step <= 3 || System.nanoTime() < end && step < 400; step++) {
                long start = System.nanoTime();
                trainer.runUntil(step);
                best = Math.min(best, System.nanoTime() - start);
            }
            return BATCH * TIME / (best * 1e-9);
        }
    }
}
