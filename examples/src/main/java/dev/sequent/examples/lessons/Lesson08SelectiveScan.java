package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.mixer.MixerConfig;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.ssm.scan.SelectiveScan;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.Locale;

/**
 * S4D treats all tokens alike: it can know that something came 8 steps ago, but not that it mattered. Mamba lets every token choose its own
 * step size: a large one writes the token into the state, a small one passes it by. That is selection, and it is what makes a state-space
 * model a language model.
 */
public final class Lesson08SelectiveScan {
    private static final int B = 16;
    private static final int T = 8;
    private static final int STEPS = 200;

    private Lesson08SelectiveScan() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest(); Scope _ = Scope.open()) {
            byHand(device);
            anywhereToCut(device);
            rememberTheMarkedOne(device);
        }
    }

    /** One channel, one state: h[t] = e^(d[t] a) h[t-1] + d[t] b x[t], y[t] = c h[t]. The token 4 matters, the others do not. */
    private static void byHand(Device device) {
        Tensor x = Tensor.of(device, new float[] {3, 1, 4, 1, 5, 9}, 1, 6, 1);                      // (B, T, E)
        Tensor equal = Tensor.of(device, new float[] {1, 1, 1, 1, 1, 1}, 1, 6, 1);                  // the step sizes d
        Tensor chosen = Tensor.of(device, new float[] {0, 0, 10, 0, 0, 0}, 1, 6, 1);
        say("tokens                        3     1     4     1     5     9");
        say("equal step sizes, y     %s", show(scan(device, x, equal, 1, null).y()));
        say("step size 10 at the 4, y%s", show(scan(device, x, chosen, 0.1f, null).y()));
        // Where d = 0, e^(0 a) = 1 keeps the state and d x = 0 adds nothing; where d = 10, e^(-10) clears it first.
    }

    private static SelectiveScan.Result scan(Device device, Tensor x, Tensor stepSize, float c, Tensor state) {
        long time = x.dim(1);
        Tensor a = Tensor.of(device, new float[] {-1}, 1, 1);                                       // (E, N)
        Tensor b = Tensor.ones(device, DType.F32, 1, time, 1);                                      // (B, T, N)
        Tensor read = Tensor.full(device, DType.F32, c, 1, time, 1);                                // (B, T, N)
        return SelectiveScan.apply(new SelectiveScan.Operands(x, stepSize, a, b, read, null, null, false, null, state), null);
    }

    /** The scan takes a state and returns one, both differentiable: long texts can be read, and trained on, in pieces. */
    private static void anywhereToCut(Device device) {
        Tensor x = new Rng(1).normal(device, DType.F32, 0, 1, 1, 10, 1);
        Tensor d = new Rng(2).unit(device, DType.F32, 1, 10, 1);
        Tensor whole = scan(device, x, d, 1, null).y();
        SelectiveScan.Result first = scan(device, x.slice(1, 0, 6), d.slice(1, 0, 6), 1, null);
        SelectiveScan.Result second = scan(device, x.slice(1, 6, 10), d.slice(1, 6, 10), 1, first.finalState());
        double difference = whole.sub(Tensor.concat(1, first.y(), second.y())).abs().max().item();
        say("whole and in two pieces differ by at most %.0e", difference);
    }

    /**
     * The task: 8 numbers, one of them marked, at any place; from there on, say the marked one. Both layers have a state of the same order
     * of size.
     */
    private static void rememberTheMarkedOne(Device device) {
        say("S4D, the same for all tokens:  error %.2f of 1.00", train(device, S4dConfig.defaults().withStateSize(16)));
        say("Mamba, which selects:          error %.2f", train(device, MambaConfig.defaults().withStates(8)));
    }

    private static double train(Device device, MixerConfig mixer) {
        try (ToyModel model = new ToyModel(device, mixer, 2, 16)) {
            return model.train(STEPS, step -> example(device, step, step < 0 ? 16 * B : B));
        }
    }

    private static ToyModel.Example example(Device device, long step, int rows) {
        java.util.Random random = new java.util.Random(step);
        float[] inputs = new float[rows * T * 2];                   // (B, T, 2): number and mark
        float[] targets = new float[rows * T];
        float[] weights = new float[rows * T];
        for (int b = 0; b < rows; b++) {
            int marked = random.nextInt(T);
            for (int t = 0; t < T; t++) {
                int at = b * T + t;
                inputs[2 * at] = (float) random.nextGaussian();
                inputs[2 * at + 1] = t == marked ? 1 : 0;
                weights[at] = t >= marked ? 1 : 0;                  // before the mark there is nothing to say
                targets[at] = t >= marked ? inputs[2 * (b * T + marked)] : 0;
            }
        }
        return new ToyModel.Example(Tensor.of(device, inputs, rows, T, 2), Tensor.of(device, targets, rows, T, 1),
                Tensor.of(device, weights, rows, T, 1));
    }

    private static String show(Tensor t) {
        StringBuilder text = new StringBuilder();
        for (float v : t.toFloats()) {
            text.append(String.format(Locale.ROOT, " %5.2f", v));
        }
        return text.toString();
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=08
    //
    // You should see that equal step sizes mix all tokens, while the chosen ones keep exactly 4.00 from the third token to the end; a
    // difference of 1e-06 or less for the two pieces; and that S4D hardly learns the task, its error stays above 0.5, while Mamba's falls
    // below 0.2.
}
