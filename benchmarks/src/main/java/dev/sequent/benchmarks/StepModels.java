package dev.sequent.benchmarks;

import dev.sequent.mixer.Mixers;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.train.AdamW;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.BatchSource;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.type.DType;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * The models and layers that are measured: width 256, vocabulary 256, F32, the same as in {@code benchmarks/peers}; and for decoding models
 * whose weights lie in no cache, of width 2048.
 */
public final class StepModels {
    /** Kinds of models. */
    public static final List<String> MODELS = List.of("transformer", "mamba", "mamba2", "s4d", "hybrid");
    /** Kinds of mixers. */
    public static final List<String> MIXERS = List.of("attention", "grouped_attention", "windowed_attention", "mamba", "mamba2", "s4d");
    /** Kinds of models of which there is a large one. */
    public static final List<String> LARGE = List.of("transformer", "mamba", "mamba2");
    /** D: the width of all of them. */
    public static final int WIDTH = 256;

    /** Tokens of a training step, in rows of T. */
    public static final int TOKENS = 4096;

    private static final int LAYERS = 6;
    private static final int VOCABULARY = 256;
    private static final int WINDOW = 512;
    private static final int LARGE_WIDTH = 2048;
    private static final int LARGE_VOCABULARY = 32_000;
    private static final int LARGE_LAYERS = 14;

    private StepModels() {}

    /**
     * A model by name, one of {@link #MODELS}, of {@value #LAYERS} layers; the hybrid has two Mamba layers, then an attention layer, twice.
     */
    public static LanguageModel create(String name, Device device) {
        List<LayerSpec> layers = switch (name) {
            case "transformer" -> LayerPattern.repeat(LAYERS, transformerLayer());
            case "hybrid" -> LayerPattern.periodic(LAYERS, 3, 2, transformerLayer(), LayerSpec.of(Mixers.parse("mamba", Map.of())));
            case "mamba", "mamba2", "s4d" -> LayerPattern.repeat(LAYERS, LayerSpec.of(Mixers.parse(name, options(name))));
            default -> throw new IllegalArgumentException("expected one of " + MODELS + ", given " + name);
        };
        return new LanguageModel(LanguageModelConfig.of(VOCABULARY, WIDTH, layers), new Init(device, 1));
    }

    /**
     * A model by name, one of {@link #LARGE}, of 1.7 GB in F32: width 2048, vocabulary 32,000, and 8 layers of attention, whose 16 heads of
     * 128 share 4 key-value heads, with gated MLPs of 5632; or 14 layers of Mamba or Mamba-2 with their defaults.
     */
    public static LanguageModel large(String name, Device device, DType dtype) {
        if (!LARGE.contains(name)) {
            throw new IllegalArgumentException("expected one of " + LARGE + ", given " + name);
        }
        List<LayerSpec> layers = name.equals("transformer")
                ? LayerPattern.repeat(8, new LayerSpec(
                        Mixers.parse("attention", Map.of("num_attention_heads", 16, "num_key_value_heads", 4)), MlpConfig.gated(5632)))
                : LayerPattern.repeat(LARGE_LAYERS, LayerSpec.of(Mixers.parse(name, Map.of())));
        return new LanguageModel(LanguageModelConfig.of(LARGE_VOCABULARY, LARGE_WIDTH, layers), new Init(device, dtype, new Rng(1)));
    }

    /** How far results may be from the reference's, relative to the largest. */
    public static double tolerance(DType dtype) {
        return dtype == DType.F32 ? 1e-3 : 5e-2;
    }

    /** Bytes of all parameters. */
    public static double parameterBytes(LanguageModel model) {
        return model.parameters().stream().mapToDouble(p -> (double) p.value().size() * p.value().dtype().bytes()).sum();
    }

    /** A mixer by name, one of {@link #MIXERS}. */
    public static SequenceMixer<?> mixer(String name, Device device, DType dtype) {
        return mixer(name, device, dtype, WINDOW);
    }

    /** The same, of which a windowed one sees {@code window} tokens. */
    static SequenceMixer<?> mixer(String name, Device device, DType dtype, int window) {
        if (!MIXERS.contains(name)) {
            throw new IllegalArgumentException("expected one of " + MIXERS + ", given " + name);
        }
        String type = name.endsWith("attention") ? "attention" : name;
        return Mixers.parse(type, options(name, window)).create(WIDTH, 1, new Init(device, dtype, new Rng(1)));
    }

    private static Map<String, Object> options(String name) {
        return options(name, WINDOW);
    }

    private static Map<String, Object> options(String name, int window) {
        return switch (name) {
            case "attention" -> Map.of("num_attention_heads", 4);
            case "grouped_attention" -> Map.of("num_attention_heads", 4, "num_key_value_heads", 1);
            case "windowed_attention" -> Map.of("num_attention_heads", 4, "sliding_window", window);
            case "mamba2" -> Map.of("num_heads", 8, "head_dim", 64, "state_size", 64);
            default -> Map.of();
        };
    }

    private static LayerSpec transformerLayer() {
        return new LayerSpec(Mixers.parse("attention", options("attention")), MlpConfig.gated(682));
    }

    /** A batch of random tokens. */
    public static TokenBatch batch(int batch, int time) {
        return batches(batch, time).batch(0);
    }

    private static BatchSource batches(int batch, int time) {
        int[] ids = new SplittableRandom(1).ints(4L * batch * time + 1, 0, VOCABULARY).toArray();
        return new RandomWindows(TokenDataset.of(ids, VOCABULARY), batch, time, 1);
    }

    /** A training run on {@link #batch}, again and again, that lasts as long as one likes. */
    public static Trainer trainer(LanguageModel model, AdamW optimizer, int batch, int time) {
        BatchSource batches = batches(batch, time);
        return new Trainer(model, optimizer, LrSchedule.constant(1e-3), _ -> batches.batch(0), Trainer.Settings.of(Long.MAX_VALUE, 1));
    }
}
