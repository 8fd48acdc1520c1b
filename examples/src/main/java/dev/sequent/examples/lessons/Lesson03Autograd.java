package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.Arrays;
import java.util.List;

/**
 * Write the loss as ordinary code; {@code valueAndGrad} runs it, remembers what was done with the variables, and walks back.
 */
public final class Lesson03Autograd {
    private Lesson03Autograd() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest(); Scope _ = Scope.open()) {
            oneDerivative(device);
            lostDerivatives(device);
            fitALine(device);
            secondDerivative(device);
        }
    }

    private static void oneDerivative(Device device) {
        Variable x = Variable.of(Tensor.of(device, new double[] {1, 2, 3}));
        Gradients g = Autograd.valueAndGrad(List.of(x), () -> x.value().square().sum());
        say("f = sum x^2 at (1, 2, 3) is %.0f, df/dx = 2 x = %s", g.loss().item(), Arrays.toString(g.of(x).toDoubles()));
    }

    /** A value carries a derivative only while it is computed from a variable by tensor operations inside the body. */
    private static void lostDerivatives(Device device) {
        Variable x = Variable.of(Tensor.of(device, new double[] {3}));

        Tensor before = x.value().square(); // WRONG: computed before recording began, so for the body it is a constant
        say("computed outside the body:  %s", derivative(x, () -> before.sum()));

        // WRONG: detach() says "treat this as a constant". Useful when it is meant, as for the maximum that softmax subtracts.
        say("through detach():           %s", derivative(x, () -> x.value().detach().square().sum()));

        // WRONG: item() leaves the tensor world; a Java double has no history.
        say("through a Java double:      %s", derivative(x, () -> x.value().mul(0).add(Math.pow(x.value().item(), 2)).sum()));

        say("right:                      %s", derivative(x, () -> x.value().square().sum()));
    }

    private static String derivative(Variable x, java.util.function.Supplier<Tensor> loss) {
        return "dx^2/dx at 3 = " + Autograd.valueAndGrad(List.of(x), loss).of(x).toDoubles()[0];
    }

    /** Gradient descent in its smallest form: y = w x + b from eight points on the line 2 x - 1. */
    private static void fitALine(Device device) {
        Tensor x = Tensor.arange(device, DType.F64, 8).div(8);
        Tensor y = x.mul(2).sub(1);
        double w = 0;
        double b = 0;
        for (int step = 0; step < 300; step++) {
            try (Scope _ = Scope.open()) {
                Variable vw = Variable.of(Tensor.full(device, DType.F64, w));
                Variable vb = Variable.of(Tensor.full(device, DType.F64, b));
                Gradients g = Autograd.valueAndGrad(List.of(vw, vb), () -> x.mul(vw.value()).add(vb.value()).sub(y).square().mean());
                w -= 0.5 * g.of(vw).item();
                b -= 0.5 * g.of(vb).item();
                if (step % 60 == 0) {
                    say("step %3d: loss %.1e", step, g.loss().item());
                }
            }
        }
        say("fitted y = %.3f x + %.3f", w, b);
    }

    /** Derivatives are tensor operations too, so they can be differentiated again. */
    private static void secondDerivative(Device device) {
        Variable x = Variable.of(Tensor.of(device, new double[] {3}));
        Gradients second = Autograd.valueAndGrad(List.of(x), () -> {
            Gradients first = Autograd.valueAndGrad(List.of(x), () -> x.value().pow(3).sum());
            return first.of(x).sum();
        });
        say("x^3 at 3: first derivative %.0f, second %.0f", second.loss().item(), second.of(x).item());
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=03
    //
    // You should see the derivative [2, 4, 6]; three derivatives that are 0 because the history was lost, then the right one, 6; a loss
    // that falls until y = 2.000 x + -1.000; and 27 and 18 for the cube.
}
