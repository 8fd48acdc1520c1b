package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.CustomOp;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Whoever writes a derivative by hand compares it with a difference quotient: (f(x + h) - f(x - h)) / 2h for every element. A wrong
 * derivative rarely crashes; the model just learns worse.
 */
public final class Lesson04GradientCheck {
    private static final double[] POINTS = {-1.5, -0.2, 0.3, 2.0};

    private Lesson04GradientCheck() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest(); Scope _ = Scope.open()) {
            say("how far the derivative of x sigmoid(x) is from the difference quotient:");
            say("  in F64, h = 1e-5:          %8.1e", worst(device, Tensor::silu, 1e-5));
            say("  in F64, h = 1e-1:          %8.1e   (the quotient cuts a corner: error grows as h^2)", worst(device, Tensor::silu, 1e-1));
            say("  in F64, h = 1e-13:         %8.1e   (two nearly equal numbers are subtracted)", worst(device, Tensor::silu, 1e-13));
            say("  in F32, h = 1e-3:          %8.1e   (F32 is too coarse to judge by)", worstInSinglePrecision(device, 1e-3));

            // The same function with a derivative of its own, first with a slip that is easy to make.
            say("  by hand, a term forgotten: %8.1e   <- WRONG, and training would still run",
                    worst(device, x -> apply(new Silu(false), x), 1e-5));
            say("  by hand, corrected:        %8.1e", worst(device, x -> apply(new Silu(true), x), 1e-5));
        }
    }

    /** The largest difference between the derivative and the quotient over all points. */
    private static double worst(Device device, UnaryOperator<Tensor> f, double h) {
        Variable x = Variable.of(Tensor.of(device, POINTS));
        double[] derivative = Autograd.valueAndGrad(List.of(x), () -> f.apply(x.value()).sum()).of(x).toDoubles();
        double worst = 0;
        for (int i = 0; i < POINTS.length; i++) {
            double above = f.apply(Tensor.of(device, new double[] {POINTS[i] + h})).item();
            double below = f.apply(Tensor.of(device, new double[] {POINTS[i] - h})).item();
            worst = Math.max(worst, Math.abs(derivative[i] - (above - below) / (2 * h)));
        }
        return worst;
    }

    private static double worstInSinglePrecision(Device device, double h) {
        double worst = 0;
        for (double point : POINTS) {
            Variable x = Variable.of(Tensor.of(device, new float[] {(float) point}));
            double derivative = Autograd.valueAndGrad(List.of(x), () -> x.value().silu().sum()).of(x).item();
            double above = Tensor.of(device, new float[] {(float) (point + h)}).silu().item();
            double below = Tensor.of(device, new float[] {(float) (point - h)}).silu().item();
            worst = Math.max(worst, Math.abs(derivative - (above - below) / (2 * h)));
        }
        return worst;
    }

    private static Tensor apply(CustomOp op, Tensor x) {
        return CustomOp.apply(op, x)[0];
    }

    /**
     * y = x s with s = sigmoid(x), so dy/dx = s + x s (1 - s). A custom operation is how a fused kernel joins the tape: forward saves what
     * backward needs, and neither of them is recorded.
     *
     * @param productRule whether the second term is there
     */
    private record Silu(boolean productRule) implements CustomOp {
        @Override
        public String name() {
            return "lesson silu";
        }

        @Override
        public Tensor[] forward(Tensor[] inputs, Saver save) {
            Tensor s = inputs[0].sigmoid();
            save.save(inputs[0], s);
            return new Tensor[] {inputs[0].mul(s)};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            Tensor x = saved[0];
            Tensor s = saved[1];
            Tensor slope = productRule ? s.add(x.mul(s).mul(s.neg().add(1))) : s;
            return new Tensor[] {gradients[0].mul(slope)};
        }
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=04
    //
    // You should see about 1e-11 in F64 with h = 1e-5, and something between 1e-5 and 1e-2 where h is too large, too small, or the dtype
    // too narrow; then 2e-1 for the forgotten term, far outside what rounding explains, and 1e-11 for the correct one. This is why gradient
    // checks run in F64, and why every derivative in this library has one.
}
