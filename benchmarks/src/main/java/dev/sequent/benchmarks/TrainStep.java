package dev.sequent.benchmarks;

import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.train.AdamW;
import dev.sequent.train.LanguageModelLoss;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import java.util.Locale;
import java.util.Map;

/**
 * Times single training steps (forward, backward, AdamW), one line each: the side of the comparison with {@code benchmarks/peers/train_step.py} that runs here.
 * Arguments: model, batch, time, threads, warm-up steps, measured steps.
 */
public final class TrainStep {
    private TrainStep() {}

    /** See the class. */
    public static void main(String[] args) {
        String name = args.length > 0 ? args[0] : "transformer";
        int[] n = {4, 1024, 2, 5, 5};
        for (int i = 1; i < args.length; i++) {
            n[i - 1] = Integer.parseInt(args[i]);
        }
        try (Device device = Device.open("cpu", Map.of("threads", n[2] + ""));
                LanguageModel model = StepModels.create(name, device);
                AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
            double flops = LanguageModelLoss.work(model, n[0], n[1]).flops();
            Trainer trainer = StepModels.trainer(model, optimizer, n[0], n[1]);
            trainer.listen(new TrainListener() {
                @Override
                public void step(Step s) {
                    if (s.step() > n[3]) {
                        System.out.printf(Locale.ROOT, "sequent %s B=%d T=%d %.4f s %.0f tokens/s %.0f GFLOP/s, %d MB at most%n", name, n[0], n[1], s.seconds(),
                                s.tokens() / s.seconds(), flops / s.seconds() * 1e-9, device.memory().peakBytes() >> 20);
                    }
                }
            });
            trainer.runUntil(n[3] + n[4]);
        }
    }
}
