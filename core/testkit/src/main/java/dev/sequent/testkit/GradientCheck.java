package dev.sequent.testkit;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Compares derivatives with central differences, (f(x + h) - f(x - h)) / 2h, element by element. Meant for F64 tensors of a few dozen
 * elements: there the difference quotient is accurate to about 1e-9.
 */
public final class GradientCheck {
    private static final double STEP = 1e-5;

    private GradientCheck() {}

    /** A function of tensors whose value is a tensor; the check uses a fixed weighted sum of its elements as the loss. */
    public interface TensorFunction extends Function<List<Tensor>, Tensor> {}

    /**
     * Fails unless the derivative of {@code f} with respect to every input agrees with central differences.
     *
     * @param tolerance largest accepted |derivative - quotient| / max(1, |quotient|)
     */
    public static void check(String what, TensorFunction f, double tolerance, Tensor... inputs) {
        List<Variable> variables = new ArrayList<>();
        for (Tensor t : inputs) {
            variables.add(Variable.of(t));
        }
        try (Scope _ = Scope.open()) {
            Gradients g = Autograd.valueAndGrad(variables, () -> loss(f, List.of(inputs)));
            for (int i = 0; i < inputs.length; i++) {
                compare(what + ", input " + i, f, inputs, i, g.of(variables.get(i)).toDoubles(), tolerance);
            }
        }
    }

    private static void compare(String what, TensorFunction f, Tensor[] inputs, int which, double[] derivative, double tolerance) {
        double[] x = inputs[which].toDoubles();
        if (derivative.length != x.length) {
            throw new AssertionError(what + ": a gradient of " + derivative.length + " elements for " + x.length);
        }
        for (int j = 0; j < x.length; j++) {
            double quotient = (at(f, inputs, which, x, j, STEP) - at(f, inputs, which, x, j, -STEP)) / (2 * STEP);
            double error = Math.abs(derivative[j] - quotient) / Math.max(1, Math.abs(quotient));
            if (!(error <= tolerance)) {
                throw new AssertionError(what + ", element " + j + ": derivative " + derivative[j] + ", difference quotient " + quotient);
            }
        }
    }

    private static double at(TensorFunction f, Tensor[] inputs, int which, double[] x, int j, double h) {
        try (Scope _ = Scope.open()) {
            double[] moved = x.clone();
            moved[j] += h;
            List<Tensor> shifted = new ArrayList<>(List.of(inputs));
            shifted.set(which, Tensor.of(inputs[which].device(), moved, inputs[which].shape().toArray()));
            return loss(f, shifted).item();
        }
    }

    /** sum_i y_i cos(i + 1): every output element counts, with a weight of its own. */
    private static Tensor loss(TensorFunction f, List<Tensor> inputs) {
        Tensor y = f.apply(inputs);
        double[] w = new double[Math.toIntExact(y.size())];
        for (int i = 0; i < w.length; i++) {
            w[i] = Math.cos(i + 1);
        }
        return y.reshape(-1).mul(Tensor.of(y.device(), w)).sum();
    }
}
