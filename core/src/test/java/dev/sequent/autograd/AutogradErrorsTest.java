package dev.sequent.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.op.BinaryOp;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.AutogradException;
import dev.sequent.type.ShapeException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What differentiation refuses, what it leaves behind then, and derivatives at the edges of functions. */
class AutogradErrorsTest {
    private Device device;
    private Tensor x;
    private Variable w;

    @BeforeEach
    void open() {
        device = Device.open("cpu", Map.of("threads", "1"));
        x = Tensor.of(device, new float[] {1, 2, 3});
        w = Variable.of(x);
    }

    @AfterEach
    void close() {
        x.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    private void refusesAndLeavesNothing(Supplier<Tensor> body, String message) {
        long before = device.memory().liveHandles();
        assertThatThrownBy(() -> Autograd.valueAndGrad(List.of(w), body)).isInstanceOf(AutogradException.class)
                .hasMessageContaining(message);
        assertThat(device.memory().liveHandles()).as("live tensors").isEqualTo(before);
    }

    @Test
    void failuresLeaveNothingBehindWithoutAScope() {
        refusesAndLeavesNothing(() -> x.mul(2), "a float scalar");
        refusesAndLeavesNothing(() -> null, "a float scalar");
        refusesAndLeavesNothing(() -> x.cumulative(dev.sequent.op.ReduceOp.MAX, 0, false).sum(), "has no derivative");
    }

    @Test
    void resultsBelongToTheCallerWithoutAScope() {
        Gradients g = Autograd.valueAndGrad(List.of(w), () -> x.square().sum());
        assertThat(g.loss().item()).isEqualTo(14);
        assertThat(g.of(w).toFloats()).containsExactly(2, 4, 6);
        g.loss().close();
        g.of(w).close();
    }

    @Test
    void cotangentsMustFitTheOutputs() {
        try (Scope _ = Scope.open()) {
            Tensor one = Tensor.ones(device, x.dtype(), 3);
            assertThatThrownBy(() -> Autograd.vjp(List.of(w), () -> List.of(x.mul(2), x.mul(3)), List.of(one)))
                    .isInstanceOf(AutogradException.class).hasMessageContaining("[vjp]");
            assertThatThrownBy(() -> Autograd.vjp(List.of(w), () -> List.of(x.mul(2)), List.of(Tensor.ones(device, x.dtype(), 1))))
                    .isInstanceOf(ShapeException.class);
            Autograd.Pullback p = Autograd.vjp(List.of(w), () -> List.of(x.mul(2), x.mul(3)), Arrays.asList(null, one));
            assertThat(p.gradients().get(w).toFloats()).containsExactly(3, 3, 3);
        }
    }

    /** The kernel of the mean keeps the gradient, which no tape has seen: its derivative would be taken for zero. */
    @Test
    void secondDerivativesOfFusedOperationsAreRefusedAndNotDropped() {
        try (Scope _ = Scope.open()) {
            Tensor targets = Tensor.of(device, new int[] {1});
            assertThatThrownBy(() -> Autograd.valueAndGrad(List.of(w), () -> {
                Gradients inner = Autograd.valueAndGrad(List.of(w), () -> CrossEntropy.loss(x.reshape(1, 3), targets));
                return inner.of(w).square().sum();
            })).isInstanceOf(AutogradException.class).hasMessageContaining("cross_entropy").hasMessageContaining("first derivative");
        }
    }

    @Test
    void powersHaveDerivativesAtZero() {
        try (Scope _ = Scope.open()) {
            Tensor zero = Tensor.of(device, new double[] {0, 2});
            Variable base = Variable.of(zero);
            assertThat(Autograd.valueAndGrad(List.of(base), () -> zero.pow(0).sum()).of(base).toDoubles()).containsExactly(0, 0);
            Tensor exponents = Tensor.of(device, new double[] {0, 0});
            assertThat(Autograd.valueAndGrad(List.of(base), () -> zero.binary(BinaryOp.POW, exponents).sum()).of(base).toDoubles())
                    .containsExactly(0, 0);
            Tensor positive = Tensor.of(device, new double[] {1, 2});
            Variable exponent = Variable.of(positive);
            assertThat(Autograd.valueAndGrad(List.of(exponent), () -> positive.binary(BinaryOp.POW, 0, true).sum()).of(exponent)
                    .toDoubles()).containsExactly(0, 0);
        }
    }

    /** Below zero a power has no derivative by its exponent; zero would look like one. */
    @Test
    void powersOfNegativeNumbersHaveNoDerivativeByTheExponent() {
        try (Scope _ = Scope.open()) {
            Tensor a = Tensor.of(device, new double[] {-2, 0, 2});
            Tensor b = Tensor.of(device, new double[] {2, 2, 2});
            Variable exponent = Variable.of(b);
            assertThat(Autograd.valueAndGrad(List.of(exponent), () -> a.binary(BinaryOp.POW, b).sum()).of(exponent).toDoubles())
                    .containsExactly(Double.NaN, 0, 4 * Math.log(2));
        }
    }

    @Test
    void cumulativeProductsHaveExactDerivativesWithZeros() {
        try (Scope _ = Scope.open()) {
            for (boolean reverse : new boolean[] {false, true}) {
                for (double[] values : new double[][] {{2, 0, 3, 5, 0, 7}, {0, 0, 1}, {4}, {2, 3}}) {
                    Tensor v = Tensor.of(device, values);
                    Variable variable = Variable.of(v);
                    Tensor weights = Tensor.arange(device, v.dtype(), values.length).add(1);
                    double[] found = Autograd.valueAndGrad(List.of(variable),
                            () -> v.cumulative(dev.sequent.op.ReduceOp.PROD, 0, reverse).mul(weights).sum()).of(variable).toDoubles();
                    assertThat(found).as(Arrays.toString(values) + reverse).containsExactly(productGradient(values, reverse));
                }
            }
        }
    }

    /** Derivative of sum_j (j + 1) y_j by its definition, y the cumulative products. */
    private static double[] productGradient(double[] x, boolean reverse) {
        double[] dx = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            for (int j = 0; j < x.length; j++) {
                double product = j + 1;
                boolean contains = reverse ? j <= i : j >= i;
                for (int k = 0; k < x.length; k++) {
                    product *= k != i && (reverse ? k >= j : k <= j) ? x[k] : 1;
                }
                dx[i] += contains ? product : 0;
            }
        }
        return dx;
    }
}
