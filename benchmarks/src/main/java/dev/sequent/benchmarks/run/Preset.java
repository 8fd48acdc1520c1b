package dev.sequent.benchmarks.run;

import dev.sequent.benchmarks.KernelSubject;
import dev.sequent.benchmarks.OperationBenchmark;
import dev.sequent.benchmarks.StepModels;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How much is measured.
 *
 * <p>Warm-up is long because the largest kernels take the optimising compiler seconds.
 *
 * <p>The lengths of {@link #FULL} end where a mixer becomes too slow for a measurement of a few seconds: attention over 65,536 tokens is
 * two hundred times the work per call of 4,096.
 */
enum Preset {
    /** Everything once at small sizes, in two minutes: whether it all runs. Its times mean nothing. */
    SMOKE(1, 1, 50),
    /** A first impression, in a quarter of an hour. */
    QUICK(8, 5, 300),
    /** The numbers to publish; hours. */
    FULL(8, 10, 1000);

    private static final List<String> KERNELS = KernelSubject.NAMES;
    private static final List<String> MIXERS = StepModels.MIXERS;
    private static final String BASELINE = "BaselineBenchmark.forward";
    private static final List<String> MODELS = List.of("transformer", "mamba", "mamba2", "hybrid");

    /** Until a process measures: the JVM, the model, its check against the reference. */
    private static final Duration START = Duration.ofSeconds(3);

    final int warmups;
    final int measurements;
    final int iterationMillis;

    Preset(int warmups, int measurements, int iterationMillis) {
        this.warmups = warmups;
        this.measurements = measurements;
        this.iterationMillis = iterationMillis;
    }

    /** The measurements in the order in which they run: those that are compared stand next to each other. */
    List<Case> cases() {
        List<Case> cases = new ArrayList<>();
        switch (this) {
            case SMOKE -> {
                cases.add(Case.of("KernelBenchmark.gradient", "kernel", "selective_scan", "time", 128));
                cases.add(Case.of("KernelBenchmark.gradient", "kernel", "attention", "time", 128));
                MIXERS.forEach(m -> cases.add(Case.of("MixerBenchmark.gradient", "mixer", m, "time", 128)));
                cases.add(Case.of("DecodeBenchmark.token", "mixer", "mamba", "context", 128));
                cases.add(Case.of("DecodeBenchmark.token", "mixer", "attention", "context", 128));
                cases.add(Case.of("ModelDecodeBenchmark.token", "model", "hybrid", "context", 128));
                cases.add(Case.of("PrefillBenchmark.prompt", "model", "hybrid", "time", 256));
                cases.add(Case.of("TrainingStepBenchmark.step", "model", "hybrid", "time", 256));
                cases.add(Case.of("OperationBenchmark.gradient", "operation", "add"));
            }
            case QUICK -> {
                OperationBenchmark.NAMES.forEach(o -> cases.add(Case.of("OperationBenchmark.forward", "operation", o)));
                KERNELS.forEach(k -> cases.add(Case.of("KernelBenchmark.forward", "kernel", k, "time", 2048)));
                for (int time : powers(10, 13)) {
                    MIXERS.forEach(m -> cases.add(Case.of("MixerBenchmark.forward", "mixer", m, "time", time)));
                }
                for (int context : new int[] {1 << 10, 1 << 16}) {
                    MIXERS.forEach(m -> cases.add(Case.of("DecodeBenchmark.token", "mixer", m, "context", context)));
                }
                for (int context : new int[] {1 << 10, 1 << 13, 1 << 16}) {
                    MODELS.forEach(m -> cases.add(Case.of("ModelDecodeBenchmark.token", "model", m, "context", context)));
                }
                cases.add(Case.of("LargeDecodeBenchmark.token", "model", "transformer", "dtype", "F32"));
                cases.add(Case.of("LargeDecodeBenchmark.token", "model", "mamba", "dtype", "F32"));
                for (int time : powers(11, 13)) {
                    MODELS.forEach(m -> cases.add(Case.of("PrefillBenchmark.prompt", "model", m, "time", time)));
                }
                MODELS.forEach(m -> cases.add(Case.of("TrainingStepBenchmark.step", "model", m, "time", 1024)));
            }
            case FULL -> full(cases);
        }
        return cases;
    }

    /**
     * The least time that measurements take: their iterations, and the start and the check of each process. Where one call takes longer
     * than an iteration, as with attention over long sequences, it is more.
     */
    Duration atLeast(int measurements, int forks) {
        return START.plusMillis((long) (warmups + this.measurements) * iterationMillis).multipliedBy((long) measurements * forks);
    }

    /** Layers of other libraries, and ours where it is the same function. */
    List<Case> baselines(List<String> libraries) {
        int[] times = switch (this) {
            case SMOKE -> new int[] {128};
            case QUICK -> new int[] {256, 1024, 4096};
            case FULL -> powers(8, 12);
        };
        List<Case> cases = new ArrayList<>();
        for (int time : times) {
            cases.add(Case.of(BASELINE, "library", "sequent", "layer", "attention", "time", time));
            for (String library : libraries) {
                cases.add(Case.of(BASELINE, "library", library, "layer", "attention", "time", time));
                cases.add(Case.of(BASELINE, "library", library, "layer", "lstm", "time", time));
            }
        }
        return cases;
    }

    private static void full(List<Case> cases) {
        for (String operation : OperationBenchmark.NAMES) {
            cases.add(Case.of("OperationBenchmark.forward", "operation", operation));
            cases.add(Case.of("OperationBenchmark.gradient", "operation", operation));
        }
        for (int time : new int[] {2048, 65_536}) {
            for (String kernel : KERNELS) {
                if (time == 2048 || !kernel.contains("attention")) {
                    cases.add(Case.of("KernelBenchmark.forward", "kernel", kernel, "time", time));
                    cases.add(Case.of("KernelBenchmark.gradient", "kernel", kernel, "time", time));
                }
            }
        }
        for (int time : powers(8, 16)) {
            MIXERS.forEach(m -> cases.add(Case.of("MixerBenchmark.forward", "mixer", m, "time", time)));
            MIXERS.stream().filter(m -> time <= 1 << 14 || m.startsWith("mamba") || m.equals("windowed_attention"))
                    .forEach(m -> cases.add(Case.of("MixerBenchmark.gradient", "mixer", m, "time", time)));
        }
        for (int context : powers(10, 20)) {
            MIXERS.forEach(m -> cases.add(Case.of("DecodeBenchmark.token", "mixer", m, "context", context)));
        }
        for (int context : powers(10, 20)) {
            MODELS.stream().filter(m -> context <= mostContext(m))
                    .forEach(m -> cases.add(Case.of("ModelDecodeBenchmark.token", "model", m, "context", context)));
        }
        for (String dtype : List.of("F32", "BF16")) {
            StepModels.LARGE.forEach(m -> cases.add(Case.of("LargeDecodeBenchmark.token", "model", m, "dtype", dtype)));
        }
        for (int time : powers(10, 20)) {
            MODELS.stream().filter(m -> time <= 1 << 15 || m.startsWith("mamba"))
                    .forEach(m -> cases.add(Case.of("PrefillBenchmark.prompt", "model", m, "time", time)));
        }
        for (int time : powers(8, 14)) {
            MODELS.forEach(m -> cases.add(Case.of("TrainingStepBenchmark.step", "model", m, "time", time)));
        }
    }

    /** The longest context whose caches stay below 4 GB: a token of the Transformer leaves 12 KB, one of the hybrid 4. */
    private static int mostContext(String model) {
        return switch (model) {
            case "transformer" -> 1 << 18;
            case "hybrid" -> 1 << 19;
            default -> 1 << 20;
        };
    }

    private static int[] powers(int from, int to) {
        return IntStream.rangeClosed(from, to).map(i -> 1 << i).toArray();
    }
}
