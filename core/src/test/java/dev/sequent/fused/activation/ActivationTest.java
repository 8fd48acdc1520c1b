package dev.sequent.fused.activation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.UnaryDerivativeKernel;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.KernelLaw;
import dev.sequent.op.UnaryOp;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Derivatives of activations in one pass, against differences of the functions themselves in double precision. */
class ActivationTest {
    private static final List<UnaryOp> ALL = Arrays.stream(UnaryOp.values()).filter(ActivationMath::has).toList();
    private static final double STEP = 1e-4;
    /** Where a function's derivatives must not overflow on the way to their limits. */
    private static final double[] FAR = {-3e38, -1e20, -1e4, -100, -20, 20, 100, 1e4, 1e20, 3e38, -0.0, 1e-30};

    private static double slope(UnaryOp f, double x) {
        if (f == UnaryOp.RELU) {
            return x > 0 ? 1 : 0;
        }
        double h = STEP * Math.max(1, Math.min(Math.abs(x), 1e6));
        return Math.abs(x) > 1e6 ? (x < 0 || f == UnaryOp.TANH || f == UnaryOp.SIGMOID ? 0 : 1)
                : (f.apply(x + h) - f.apply(x - h)) / (2 * h);
    }

    private static Tensor derivative(UnaryOp f, Tensor x, Tensor dy) {
        Variable v = Variable.of(x);
        return Autograd.vjp(List.of(v), () -> List.of(v.value().unary(f)), List.of(dy)).gradients().get(v);
    }

    private static Tensor tensor(Device device, double... numbers) {
        return Tensor.of(device, numbers, numbers.length).cast(DType.F32);
    }

    @Test
    void derivativesAreThoseOfTheFunctions() {
        assertThat(ALL).hasSize(7);
        KernelLaw.onEachCpu(UnaryDerivativeKernel.class, device -> {
            for (UnaryOp f : ALL) {
                for (int n : new int[] {1, 3, 17, 63, 100, 4096 * 5 + 7}) {
                    Tensor x = KernelLaw.uniform(device, n, n).mul(3);
                    Tensor dy = KernelLaw.uniform(device, n + 1, n);
                    double[] at = x.toDoubles();
                    double[] weights = dy.toDoubles();
                    double[] given = derivative(f, x, dy).toDoubles();
                    for (int i = 0; i < n; i++) {
                        assertThat(given[i]).as(f + " at " + at[i]).isCloseTo(weights[i] * slope(f, at[i]),
                                offset(2e-6));
                    }
                }
            }
        });
    }

    @Test
    void derivativesReachTheirLimitsAndNaNShows() {
        KernelLaw.onEachCpu(UnaryDerivativeKernel.class, device -> {
            for (UnaryOp f : ALL) {
                double[] numbers = new double[64]; // whole vectors
                for (int i = 0; i < numbers.length; i++) {
                    numbers[i] = FAR[i % FAR.length];
                }
                numbers[40] = Double.NaN;
                double[] given = derivative(f, tensor(device, numbers), Tensor.ones(device, DType.F32, numbers.length)).toDoubles();
                for (int i = 0; i < numbers.length; i++) {
                    if (i == 40) {
                        assertThat(given[i]).as(f + " of NaN").matches(d -> Double.isNaN(d) || f == UnaryOp.RELU && d == 0);
                    } else {
                        assertThat(given[i]).as(f + " at " + numbers[i]).isCloseTo(slope(f, numbers[i]),
                                offset(2e-6));
                    }
                }
            }
        });
    }

    @Test
    void otherLayoutsAreTakenToo() {
        KernelLaw.onEachCpu(UnaryDerivativeKernel.class, device -> {
            Tensor x = KernelLaw.uniform(device, 1, 30, 40);
            Tensor dy = KernelLaw.uniform(device, 2, 40, 30);
            for (UnaryOp f : ALL) {
                KernelLaw.assertClose(f + "", derivative(f, x.transpose(0, 1), dy), derivative(f, x, dy.transpose(0, 1)).transpose(0, 1),
                        1e-6);
                Tensor one = Tensor.ones(device, DType.F32, 30, 1).broadcastTo(Shape.of(30, 40));
                KernelLaw.assertClose(f + "", derivative(f, x, one), derivative(f, x, one.contiguous()), 0);
            }
        });
    }

    @Test
    void secondDerivativesAreRight() {
        KernelLaw.onEachCpu(UnaryDerivativeKernel.class, device -> {
            Tensor x = tensor(device, -2.5, -1, -0.3, 0.2, 0.9, 1.7, 3);
            for (UnaryOp f : ALL) {
                Variable v = Variable.of(x);
                Tensor ones = Tensor.ones(device, DType.F32, x.size());
                double[] second = Autograd.vjp(List.of(v), () -> List.of(derivative(f, v.value(), ones)), List.of(ones)).gradients().get(v)
                        .toDoubles();
                List<Double> expected = new ArrayList<>();
                for (double at : x.toDoubles()) {
                    expected.add((slope(f, at + 1e-3) - slope(f, at - 1e-3)) / 2e-3);
                }
                for (int i = 0; i < second.length; i++) {
                    assertThat(second[i]).as(f + " at " + i).isCloseTo(expected.get(i), offset(2e-5));
                }
            }
        });
    }
}
