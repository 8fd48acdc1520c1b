package dev.sequent.benchmarks;

import dev.sequent.mixer.Mixers;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
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

/** The models whose training step is measured: 6 layers of width 256, vocabulary 256, F32, the same as in {@code benchmarks/peers/train_step.py}. */
final class StepModels {
    private static final int WIDTH = 256;
    private static final int LAYERS = 6;
    private static final int VOCABULARY = 256;

    private StepModels() {}

    /** A model by name: {@code transformer}, {@code mamba}, {@code s4d} or {@code hybrid} (two Mamba layers, then an attention layer, twice). */
    static LanguageModel create(String name, Device device) {
        List<LayerSpec> layers = switch (name) {
            case "transformer" -> LayerPattern.repeat(LAYERS, attention());
            case "mamba" -> LayerPattern.repeat(LAYERS, of("mamba"));
            case "s4d" -> LayerPattern.repeat(LAYERS, of("s4d"));
            case "hybrid" -> LayerPattern.periodic(LAYERS, 3, 2, attention(), of("mamba"));
            default -> throw new IllegalArgumentException("expected transformer, mamba, s4d or hybrid, given " + name);
        };
        return new LanguageModel(LanguageModelConfig.of(VOCABULARY, WIDTH, layers), new Init(device, 1));
    }

    private static LayerSpec of(String mixer) {
        return LayerSpec.of(Mixers.parse(mixer, Map.of()));
    }

    private static LayerSpec attention() {
        return new LayerSpec(Mixers.parse("attention", Map.of("num_attention_heads", 4)), MlpConfig.gated(682));
    }

    /** A batch of random tokens. */
    static TokenBatch batch(int batch, int time) {
        return batches(batch, time).batch(0);
    }

    private static BatchSource batches(int batch, int time) {
        int[] ids = new SplittableRandom(1).ints(4L * batch * time + 1, 0, VOCABULARY).toArray();
        return new RandomWindows(TokenDataset.of(ids, VOCABULARY), batch, time, 1);
    }

    /** A training run on random tokens that lasts as long as one likes. */
    static Trainer trainer(LanguageModel model, AdamW optimizer, int batch, int time) {
        return new Trainer(model, optimizer, LrSchedule.constant(1e-3), batches(batch, time), Trainer.Settings.of(Long.MAX_VALUE, 1));
    }

    /** Floating-point operations of one training step: three times the forward pass, half of the attention square being masked. */
    static double flops(LanguageModel model, int batch, int time) {
        StateCost cost = model.cost(new StateSpec(batch, time, DType.F32, model.device()));
        return 3.0 * batch * time * (cost.flopsPerToken() + cost.flopsPerTokenAndContext() * (time + 1) / 2);
    }
}
