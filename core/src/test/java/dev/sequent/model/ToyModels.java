package dev.sequent.model;

import dev.sequent.mixer.LeakyIntegrator;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.type.DType;
import java.util.List;
import java.util.Map;

/** Models small enough for tests of training and generation. */
public final class ToyModels {
    /** V of the toy models. */
    public static final int VOCABULARY = 13;

    private ToyModels() {}

    /** Two layers of width 8, one of them with a feed-forward part. */
    public static LanguageModelConfig config() {
        LayerSpec bare = LayerSpec.of(new LeakyIntegrator.Config(1));
        LayerSpec full = new LayerSpec(new LeakyIntegrator.Config(2), MlpConfig.gated(12));
        return LanguageModelConfig.of(VOCABULARY, 8, List.of(bare, full));
    }

    /** Everything that a configuration can say, off its default. */
    public static LanguageModelConfig rich() {
        List<LayerSpec> layers = LayerPattern.parse("(AB)2CD", Map.of('A', LayerSpec.of(new LeakyIntegrator.Config(1)),
                'B', new LayerSpec(new LeakyIntegrator.Config(3), new MlpConfig("gelu_tanh", 9, true)),
                'C', new LayerSpec(new LeakyIntegrator.Config(1), new MlpConfig("gelu", 5, false)),
                'D', new LayerSpec(new LeakyIntegrator.Config(1), new MlpConfig("gated", 6, true, 3, 2, true, 0))));
        return new LanguageModelConfig(VOCABULARY, 8, layers, "layer", 1e-6, false, 24, 0.25, 0.05);
    }

    /** A model in F32. */
    public static LanguageModel create(LanguageModelConfig config, Device device) {
        return new LanguageModel(config, new Init(device, DType.F32, new Rng(42)));
    }

    /** Tokens that are easy to learn: 0 1 2 3 5 8, again and again, with a slip now and then. */
    public static TokenDataset tokens(int n) {
        int[] cycle = {0, 1, 2, 3, 5, 8};
        int[] ids = new int[n];
        for (int i = 0; i < n; i++) {
            ids[i] = i % 37 == 36 ? 12 : cycle[i % cycle.length];
        }
        return TokenDataset.of(ids, VOCABULARY);
    }
}
