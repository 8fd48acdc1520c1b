package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import java.util.Arrays;

/**
 * The simplest state-space model, by hand: h[t] = a h[t-1] + b x[t], y[t] = c h[t]. The same outputs come from a loop, from a convolution
 * and from a matrix. Every sequence mixer of this library is a richer version of this, and chooses among these forms.
 */
public final class Lesson06RecurrenceByHand {
    private static final double A = 0.8;
    private static final double B = 1.0;
    private static final double C = 0.5;
    private static final int T = 6;

    private Lesson06RecurrenceByHand() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest(); Scope _ = Scope.open()) {
            Tensor x = Tensor.of(device, new double[] {1, 0, 0, 2, -1, 0}); // (T)
            say("x           %s", show(x.toDoubles()));

            double[] y = loop(x.toDoubles(), 0);
            say("loop        %s", show(y));
            say("convolution %s", show(convolution(device, x).toDoubles()));
            say("matrix      %s", show(matrix(device, x).toDoubles()));

            inTwoPieces(x.toDoubles());
            longMemory();
        }
    }

    /**
     * Form 1, a loop over time. It needs one number of memory however long the sequence is: this is how text is generated. But step t waits
     * for step t - 1, and training on long sequences needs something that runs in parallel.
     */
    private static double[] loop(double[] x, double state) {
        double h = state;
        double[] y = new double[x.length];
        for (int t = 0; t < x.length; t++) {
            h = A * h + B * x[t];
            y[t] = C * h;
        }
        return y;
    }

    /**
     * Form 2, a convolution: unrolled, y[t] = sum over s of c a^(t-s) b x[s], which depends on t - s only. So the kernel K[l] = c a^l b is
     * computed once, and y = K * x; with the fast Fourier transform in T log T operations. S4 and S4D train like this (lesson 07). It works
     * because a, b and c are the same at all times.
     */
    private static Tensor convolution(Device device, Tensor x) {
        Tensor l = Tensor.arange(device, x.dtype(), T);
        Tensor kernel = l.mul(Math.log(A)).exp().mul(C * B);                    // (T): c a^l b
        Tensor reversed = kernel.flip(0);                                       // so that a sliding window is a dot product
        Tensor padded = x.pad(0, T - 1, 0, 0);                                  // (2T - 1): zeros before the beginning
        Tensor[] y = new Tensor[T];
        for (int t = 0; t < T; t++) {
            y[t] = padded.slice(0, t, t + T).mul(reversed).sum();               // the window that ends at t
        }
        return Tensor.stack(0, y);                                              // (T)
    }

    /**
     * Form 3, a matrix: y = M x with M[t, s] = c a^(t-s) b for s <= t and 0 above the diagonal. It costs T^2, but it is what a GPU or a
     * matrix unit does best, it still works when a, b and c change with time, and it looks like attention: M[t, s] says how much token t
     * takes from token s. Mamba-2 computes blocks of this matrix.
     */
    private static Tensor matrix(Device device, Tensor x) {
        Tensor time = Tensor.arange(device, x.dtype(), T);
        Tensor distance = time.unsqueeze(1).sub(time.unsqueeze(0));             // (T, T): t - s
        Tensor causal = distance.compare(dev.sequent.op.CompareOp.GE, 0);       // no token reads the future
        // Clamp before exp: a^(t-s) would overflow above the diagonal, and inf * 0 is NaN. WRONG would be exp(...).mul(mask).
        Tensor decay = distance.clamp(0, T).mul(Math.log(A)).exp().mul(C * B);
        Tensor m = causal.where(decay, Tensor.zeros(device, x.dtype()));        // (T, T)
        return m.matmul(x.unsqueeze(1)).reshape(T);                             // (T, T) (T, 1) -> (T)
    }

    /** The state is all that the past leaves behind: whoever carries it over can cut a sequence anywhere. */
    private static void inTwoPieces(double[] x) {
        double[] first = loop(Arrays.copyOfRange(x, 0, 4), 0);
        double state = first[3] / C;                        // h after four tokens
        double[] second = loop(Arrays.copyOfRange(x, 4, T), state);
        double[] forgotten = loop(Arrays.copyOfRange(x, 4, T), 0);
        say("last two, state carried over:          %s", show(second));
        say("last two, state forgotten (WRONG):     %s", show(forgotten));
    }

    /**
     * How far back does it remember? An input fades by the factor a per step, so a decides the length of the memory: 1 / (1 - a) steps,
     * roughly.
     */
    private static void longMemory() {
        for (double a : new double[] {0.5, 0.8, 0.99, 0.999}) {
            say("a = %5.3f: an input has faded to 1/e after %6.1f steps", a, -1 / Math.log(a));
        }
    }

    private static String show(double[] values) {
        StringBuilder text = new StringBuilder();
        for (double v : values) {
            text.append(String.format(java.util.Locale.ROOT, " %8.5f", v + 0.0));
        }
        return text.toString().strip();
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=06
    //
    // You should see the same six numbers three times, 0.50000 0.40000 0.32000 1.25600 0.50480 0.40384: loop, convolution and matrix are
    // one model. The last two come again when the state is carried over, and do not when it is forgotten. The table at the end is why S4
    // begins with many different values of a: some channels remember two tokens, others a thousand.
}
