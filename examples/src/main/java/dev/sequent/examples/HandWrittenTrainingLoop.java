package dev.sequent.examples;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.io.CharTokenizer;
import dev.sequent.io.TextFiles;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.train.GradientClip;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.train.data.TokenDataset;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The training loop written out: what {@code dev.sequent.train.Trainer} does, for whoever wants to do it differently.
 *
 * <pre>{@code
 * java ... dev.sequent.examples.HandWrittenTrainingLoop FILE STEPS
 * }</pre>
 */
public final class HandWrittenTrainingLoop {
    private HandWrittenTrainingLoop() {}

    /** Trains a small hybrid on the text {@code args[0]} for {@code args[1]} steps and prints its loss. */
    public static void main(String[] args) {
        int B = 8;
        int T = 32;
        long steps = Long.parseLong(args[1]);
        String text = TextFiles.read(Path.of(args[0]));
        TokenDataset tokens = TokenDataset.of(CharTokenizer.of(text), text);
        RandomWindows batches = new RandomWindows(tokens, B, T, 1);
        LrSchedule schedule = LrSchedule.warmupCosine(2e-3, 2e-4, steps / 20, steps);

        try (Device device = Device.openBest();
                LanguageModel model = new LanguageModel(ModelKind.HYBRID.config(new Sizes(32, 3, 4, 8, 0, null), tokens.vocabularySize()),
                        new Init(device, 1));
                AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
            for (long step = 0; step < steps; step++) {
                try (Scope _ = Scope.open()) { // everything that a step makes is gone when it ends
                    TokenBatch batch = batches.batch(step);
                    Tensor ids = model.ids(batch.inputs(), B, T);
                    Tensor targets = Tensor.of(device, batch.targets());

                    // forward and backward: a loss, and its derivative with respect to every parameter
                    Gradients g = Autograd.valueAndGrad(model.parameters(), () -> {
                        Tensor logits = model.forward(ids, SequenceInfo.of(ids));             // (B, T, V)
                        return CrossEntropy.loss(logits.reshape(B * T, -1), targets);         // scalar: nats per token
                    });
                    Map<Parameter, Tensor> gradients = new LinkedHashMap<>();
                    model.parameters().forEach(p -> gradients.put(p, g.of(p)));

                    // one factor clips all gradients to a global norm of 1 as the optimizer reads them
                    double norm = GradientClip.globalNorm(gradients.values());
                    optimizer.step(gradients, schedule.at(step), GradientClip.scale(norm, 1));

                    if (step % 10 == 0 || step == steps - 1) {
                        System.out.println(String.format(Locale.ROOT, "step %d  loss %.4f  gradient norm %.3f", step, g.loss().item(),
                                norm));
                    }
                }
            }
        }
    }
}
