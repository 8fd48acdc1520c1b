package dev.sequent.fused;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.kernel.Kernel;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * What every kernel owes its decomposition: equal outputs and equal derivatives by all operands, on the CPU backend with vector and
 * with scalar kernels, where fresh memory is filled with NaN, and no tensor left behind.
 */
public final class KernelLaw {
    private KernelLaw() {}

    /** A function of several tensors with several results. */
    public interface TensorFunction extends Function<List<Tensor>, List<Tensor>> {}

    /** Runs a test on a CPU device with vector kernels and on one with scalar kernels, each of which must have the kernel. */
    public static void onEachCpu(Class<? extends Kernel> contract, Consumer<Device> test) {
        for (String vector : List.of("auto", "off")) {
            try (Device device = Device.open("cpu", Map.of("vector", vector, "poison", "true", "threads", "2"))) {
                assertThat(KernelTable.of(device).select(contract, k -> Optional.empty())).as("kernel of " + contract).isPresent();
                try (Scope _ = Scope.open()) {
                    test.accept(device);
                }
                assertThat(device.memory().liveHandles()).as("live tensors").isZero();
            }
        }
    }

    /** Numbers in [-2, 2), F32. */
    public static Tensor uniform(Device device, long seed, long... shape) {
        return new Rng(seed).uniform(device, DType.F32, -2, 2, shape);
    }

    /** Compares outputs and the derivatives by all inputs, under random cotangents. */
    public static void check(String what, double tolerance, List<Tensor> inputs, TensorFunction kernel, TensorFunction decomposition) {
        try (Scope _ = Scope.open()) {
            List<Tensor> outputs = decomposition.apply(inputs);
            List<Tensor> cotangents = new ArrayList<>();
            for (int i = 0; i < outputs.size(); i++) {
                cotangents.add(uniform(outputs.get(i).device(), 77 + i, outputs.get(i).shape().toArray()));
            }
            compare(what, tolerance, inputs, kernel, decomposition, cotangents);
            for (int i = 0; i < cotangents.size() && cotangents.size() > 1; i++) {
                List<Tensor> some = new ArrayList<>(cotangents);
                some.set(i, null);
                compare(what + " without cotangent " + i, tolerance, inputs, kernel, decomposition, some);
            }
        }
    }

    private static void compare(String what, double tolerance, List<Tensor> inputs, TensorFunction kernel, TensorFunction decomposition,
            List<Tensor> cotangents) {
        List<Variable> variables = inputs.stream().map(Variable::of).toList();
        Autograd.Pullback expected = Autograd.vjp(variables, () -> decomposition.apply(inputs), cotangents);
        Autograd.Pullback actual = Autograd.vjp(variables, () -> kernel.apply(inputs), cotangents);
        for (int i = 0; i < expected.outputs().size(); i++) {
            assertClose(what + ", output " + i, actual.outputs().get(i), expected.outputs().get(i), tolerance);
        }
        for (int i = 0; i < variables.size(); i++) {
            assertClose(what + ", derivative " + i, actual.gradients().get(variables.get(i)), expected.gradients().get(variables.get(i)),
                    tolerance);
        }
    }

    /** Asserts |actual - expected| at most {@code tolerance} (1 + |expected|) everywhere. */
    public static void assertClose(String what, Tensor actual, Tensor expected, double tolerance) {
        assertThat(actual.shape()).as(what).isEqualTo(expected.shape());
        double[] a = actual.toDoubles();
        double[] e = expected.toDoubles();
        for (int i = 0; i < a.length; i++) {
            if (!(Math.abs(a[i] - e[i]) <= tolerance * (1 + Math.abs(e[i])))) {
                throw new AssertionError(what + "[" + i + "] = " + a[i] + ", expected " + e[i]);
            }
        }
    }
}
