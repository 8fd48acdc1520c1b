package dev.sequent.examples.lessons;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.nn.Init;
import dev.sequent.nn.Layer;
import dev.sequent.nn.Linear;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.train.LrSchedule;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongFunction;

/** One mixer between two linear layers, for tasks on numbers: inputs (B, T, in), one output per position (B, T, 1). */
final class ToyModel extends Layer {
    private final Linear in;
    private final SequenceMixer<?> mixer;
    private final Linear out;

    ToyModel(Device device, MixerConfig mixer, int inputs, int width) {
        Init init = new Init(device, 1);
        this.in = child("in", new Linear(init, inputs, width, true));
        this.mixer = child("mixer", mixer.create(width, 1, init));
        this.out = child("out", new Linear(init, width, 1, true));
    }

    /**
     * What goes in, and what should come out.
     *
     * @param inputs (B, T, in)
     * @param targets (B, T, 1)
     * @param weights (B, T, 1), 0 where the output does not matter and 1 elsewhere
     */
    record Example(Tensor inputs, Tensor targets, Tensor weights) {}

    Tensor forward(Tensor x) {
        return out.forward(mixer.forward(in.forward(x), SequenceInfo.of(x)));
    }

    private Tensor loss(Example e) {
        return forward(e.inputs()).sub(e.targets()).square().mul(e.weights()).sum().div(e.weights().sum());
    }

    /** Trains on a fresh example per step and returns the mean squared error on one that was never trained on. */
    double train(int steps, LongFunction<Example> examples) {
        LrSchedule schedule = LrSchedule.warmupCosine(1e-2, 1e-3, steps / 20, steps);
        try (AdamW optimizer = new AdamW(namedParameters(), AdamW.Settings.defaults())) {
            for (long step = 0; step < steps; step++) {
                try (Scope _ = Scope.open()) {
                    Example e = examples.apply(step);
                    Gradients g = Autograd.valueAndGrad(parameters(), () -> loss(e));
                    Map<Parameter, Tensor> gradients = new LinkedHashMap<>();
                    parameters().forEach(p -> gradients.put(p, g.of(p)));
                    optimizer.step(gradients, schedule.at(step), 1);
                }
            }
        }
        try (Scope _ = Scope.open()) {
            return loss(examples.apply(-1)).item();
        }
    }
}
