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
 * Times single training steps (forward, backward, AdamW), one line each: our side of the comparison with
 * {@code benchmarks/peers/train_step.py}. Arguments: model, batch, time, threads, warm-up steps, measured steps, products (f32 or bf16).
 */
public final class TrainStep {
    private TrainStep() {}

    /** See the class. */
    public static void main(String[] args) {
        String name = args.length > 0 ? args[0] : "transformer";
        int[] n = {4, 1024, 2, 5, 5};
        String products = args.length > n.length + 1 ? args[n.length + 1] : "f32";
        for (int i = 1; i < Math.min(args.length, n.length + 1); i++) {
            n[i - 1] = Integer.parseInt(args[i]);
        }
        try (Device device = Device.open("cpu", Map.of("threads", n[2] + "", "products", products));
                LanguageModel model = StepModels.create(name, device);
                AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
            double flops = LanguageModelLoss.work(model, n[0], n[1]).flops();
            Trainer trainer = StepModels.trainer(model, optimizer, n[0], n[1]);
            trainer.listen(new TrainListener() {
                @Override
                public void step(Step s) {
                    if (s.step() > n[3]) {
                        System.out.printf(Locale.ROOT,
                                "sequent %s %s B=%d T=%d %.4f s %.0f tokens/s %.0f GFLOP/s, %d MB at most%n", name, products, n[0], n[1],
                                s.seconds(), s.tokens() / s.seconds(), flops / s.seconds() * 1e-9, device.memory().peakBytes() >> 20);
                    }
                }
            });
            trainer.runUntil(n[3] + n[4]);
        }
    }
}
