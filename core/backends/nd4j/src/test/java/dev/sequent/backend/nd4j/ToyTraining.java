package dev.sequent.backend.nd4j;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.train.GradientClip;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** A small language model in training, the same on every backend. */
final class ToyTraining implements AutoCloseable {
    private static final int VOCABULARY = 11;
    private static final int WIDTH = 16;
    private static final int BATCH = 2;
    private static final int TIME = 12;

    private final Device device;
    private final LanguageModel model;
    private final AdamW optimizer;
    private final SplittableRandom random = new SplittableRandom(5);

    /** A model whose layers are the letters of {@code pattern}: S4D, Mamba, attention. */
    ToyTraining(Device device, String pattern) {
        List<LayerSpec> layers = LayerPattern.parse(pattern, Map.of(
                'S', new LayerSpec(S4dConfig.defaults().withStateSize(4), MlpConfig.gated(24)),
                'M', LayerSpec.of(MambaConfig.defaults().withStates(4)), 'A', new LayerSpec(AttentionConfig.of(2), MlpConfig.gated(24))));
        this.device = device;
        model = new LanguageModel(LanguageModelConfig.of(VOCABULARY, WIDTH, layers), new Init(device, DType.F32, new Rng(42)));
        optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults());
    }

    /** One step on tokens that count upwards from somewhere; returns its loss in nats per token. */
    double step() {
        int[] inputs = new int[BATCH * TIME];
        int[] targets = new int[inputs.length];
        for (int b = 0; b < BATCH; b++) {
            int first = random.nextInt(VOCABULARY);
            for (int t = 0; t < TIME; t++) {
                inputs[b * TIME + t] = (first + t) % VOCABULARY;
                targets[b * TIME + t] = (first + t + 1) % VOCABULARY;
            }
        }
        try (Scope _ = Scope.open()) {
            Tensor ids = model.ids(inputs, BATCH, TIME);
            Tensor expected = Tensor.of(device, targets);
            Gradients g = Autograd.valueAndGrad(model.parameters(),
                    () -> CrossEntropy.loss(model.forward(ids, SequenceInfo.of(ids)).reshape(BATCH * TIME, -1), expected));
            Map<Parameter, Tensor> gradients = new LinkedHashMap<>();
            model.parameters().forEach(p -> gradients.put(p, g.of(p)));
            optimizer.step(gradients, 1e-2, GradientClip.scale(GradientClip.globalNorm(gradients.values()), 1));
            return g.loss().item();
        }
    }

    @Override
    public void close() {
        optimizer.close();
        model.close();
    }
}
