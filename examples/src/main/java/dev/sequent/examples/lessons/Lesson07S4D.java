package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.mixer.RecurrentState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.ssm.s4.S4d;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.Locale;

/**
 * S4D is lesson 06 many times side by side, with complex a: every channel has N / 2 damped oscillations that listen to it, and mixes what
 * they remember. Over a whole sequence it is a convolution, token by token a recurrence.
 */
public final class Lesson07S4D {
    private static final int DELAY = 8;
    private static final int B = 8;
    private static final int T = 32;
    private static final int STEPS = 150;

    private Lesson07S4D() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest(); Scope _ = Scope.open()) {
            whyComplex();
            twoFormsOneLayer(device);
            stepSizesDecideTheMemory(device);
        }
    }

    /**
     * With a real a an input can only fade. With a complex one, a = e^{dt (-1/2 + i w)}, what it leaves behind also swings, at a frequency
     * of its own. Sums of swings can have a peak anywhere: here 8 of them, all equal in size, add up to one peak, 8 steps after the input.
     */
    private static void whyComplex() {
        StringBuilder faded = new StringBuilder();
        StringBuilder peak = new StringBuilder();
        for (int l = 0; l <= 12; l += 2) {
            double sum = 0;
            for (int n = 0; n < 8; n++) {
                double w = Math.PI * n / 8;                      // w dt, spread as in S4D-Lin
                sum += Math.exp(-0.02 * l) * Math.cos(w * (l - DELAY)) / 8;
            }
            faded.append(String.format(Locale.ROOT, " %5.2f", Math.exp(-0.02 * l)));
            peak.append(String.format(Locale.ROOT, " %5.2f", Math.round(100 * sum) / 100.0 + 0.0));
        }
        say("steps after the input       0     2     4     6     8    10    12");
        say("one real state          %s", faded);
        say("eight complex states    %s", peak);
    }

    /**
     * forward() takes the whole sequence at once, step() advances the state by one token. They are the same function. (On the CPU a kernel
     * runs the recurrence over the whole sequence, because that is faster there; without it, it is a convolution.)
     */
    private static void twoFormsOneLayer(Device device) {
        try (S4d layer = S4dConfig.defaults().withStateSize(16).create(4, 1, new Init(device, 1))) {
            Tensor x = new Rng(2).normal(device, DType.F32, 0, 1, 1, T, 4);                        // (1, T, D)
            Tensor parallel = layer.forward(x, SequenceInfo.of(x));                             // (1, T, D)
            try (RecurrentState state = layer.newState(new StateSpec(1, 1, DType.F32, device))) {
                Tensor[] y = new Tensor[T];
                for (int t = 0; t < T; t++) {
                    y[t] = layer.step(x.slice(1, t, t + 1), state);                             // (1, 1, D)
                }
                double difference = parallel.sub(Tensor.concat(1, y)).abs().max().item();
                say("the whole sequence and single tokens differ by at most %.0e", difference);
                say("the state has %d bytes after %d tokens, and will have as many after a million", state.bytes(), state.position());
            }
        }
    }

    /**
     * The task: say now what came in 8 steps ago. What a state can remember is decided by its step size dt before anything is learned: it
     * looks back about 1 / dt steps.
     */
    private static void stepSizesDecideTheMemory(Device device) {
        // WRONG: every state has forgotten an input after two or three steps, and the gradient of "8 steps ago" has faded just as far.
        S4dConfig forgetful = new S4dConfig(16, "zoh", "lin", 5, 5, 0);
        say("wrong: all step sizes 5:            error %.2f of 1.00", train(device, forgetful));
        // Right: step sizes from 0.001 to 0.1, drawn anew for every channel, so that some channel fits.
        say("right: step sizes 0.001 to 0.1:     error %.2f", train(device, S4dConfig.defaults().withStateSize(16)));
    }

    private static double train(Device device, S4dConfig config) {
        try (ToyModel model = new ToyModel(device, config, 1, 16)) {
            return model.train(STEPS, step -> {
                Tensor x = new Rng(step).normal(device, DType.F32, 0, 1, B, T, 1);
                Tensor late = x.slice(1, 0, T - DELAY).pad(1, DELAY, 0, 0);                        // (B, T, 1): x, 8 steps later
                Tensor counts = Tensor.ones(device, DType.F32, B, T - DELAY, 1).pad(1, DELAY, 0, 0);
                return new ToyModel.Example(x, late, counts);
            });
        }
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=07
    //
    // You should see a row that fades and a row that peaks at 8; a difference of 1e-06 or less between the two forms; and an error near 1,
    // which is that of saying nothing, for step sizes that forget, but a small one for step sizes that suit the task.
}
