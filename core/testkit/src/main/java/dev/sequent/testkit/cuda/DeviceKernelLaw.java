package dev.sequent.testkit.cuda;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.kernel.Kernel;
import dev.sequent.kernel.KernelTable;
import dev.sequent.spi.BackendProvider;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.Assertions;

/**
 * What a kernel in device code owes its operation: the outputs and the derivatives by all operands that the decomposition gives in F64 on
 * the reference backend, from the same operands; with any one of several cotangents missing; the same bits in whatever order the threads of
 * a block run; fresh memory full of NaN; and no tensor left behind. Runs on {@link EmulatedCuda}. Thread-safe, but not to be run at the
 * same time as other users of {@link EmulatedCuda#set}.
 */
public final class DeviceKernelLaw {
    /** Orders of threads in which kernels are run. */
    public static final List<Integer> ORDERS = List.of(0, 1, 2, 3, 4);
    private static final String POLICY = "sequent.fused";

    private final Class<? extends Kernel> contract;
    private final DType dtype;
    private final double tolerance;

    /**
     * A law for kernels of a contract.
     *
     * @param tolerance largest difference, relative to the largest element of a result
     */
    public DeviceKernelLaw(Class<? extends Kernel> contract, DType dtype, double tolerance) {
        this.contract = contract;
        this.dtype = dtype;
        this.tolerance = tolerance;
    }

    /** Several tensors from several tensors. */
    public interface Operation extends Function<List<Tensor>, List<Tensor>> {}

    /** Runs {@code body} on a device of the stand-in that must use kernels, in whose scope tensors die, and sees to it that none stays. */
    public static void onDevice(Class<? extends Kernel> contract, Consumer<Device> body) {
        EmulatedCuda cuda = EmulatedCuda.require();
        String old = System.getProperty(POLICY);
        System.setProperty(POLICY, "require");
        try (Device device = open(cuda)) {
            Assertions.assertTrue(KernelTable.of(device).select(contract, _ -> Optional.empty()).isPresent());
            try (Scope _ = Scope.open()) {
                body.accept(device);
            }
            Assertions.assertEquals(0, device.memory().liveHandles(), "live tensors");
        } finally {
            cuda.reset();
            if (old == null) {
                System.clearProperty(POLICY);
            } else {
                System.setProperty(POLICY, old);
            }
        }
    }

    static Device open(EmulatedCuda cuda) {
        for (BackendProvider provider : ServiceLoader.load(BackendProvider.class)) {
            if (provider.name().equals("cuda")) {
                return new Device(provider.open(cuda.options()), 0);
            }
        }
        throw new AssertionError("the CUDA backend is not on the class path");
    }

    /** Numbers in [-2, 2), rounded to {@code dtype}: the same on every backend. */
    public static Tensor uniform(Device device, DType dtype, long seed, long... shape) {
        return new Rng(seed).uniform(device, DType.F32, -2.0, 2.0, shape).cast(dtype);
    }

    /**
     * Compares an operation on both backends.
     *
     * @param inputs makes the operands on a device, from the same numbers on each, in the law's dtype
     */
    public void check(String what, Function<Device, List<Tensor>> inputs, Operation operation) {
        List<List<double[]>> expected = new ArrayList<>();
        try (Device reference = Device.open("reference")) {
            try (Scope _ = Scope.open()) {
                List<Tensor> wide = inputs.apply(reference).stream().map(x -> x.dtype().isFloat() ? x.cast(DType.F64) : x).toList();
                int outputs = Autograd.noGrad(() -> operation.apply(wide)).size();
                for (int missing = -1; missing < (outputs == 1 ? 0 : outputs); missing++) {
                    expected.add(results(wide, operation, missing, dtype, DType.F64));
                }
            }
        }
        EmulatedCuda cuda = EmulatedCuda.require();
        onDevice(contract, device -> {
            List<Tensor> operands = inputs.apply(device);
            for (int missing = -1; missing < expected.size() - 1; missing++) {
                List<double[]> first = null;
                for (int order : missing < 0 ? ORDERS : List.of(3)) {
                    cuda.set("order", order);
                    String name = what + " " + dtype + ", order " + order + (missing < 0 ? "" : ", without cotangent " + missing);
                    List<double[]> actual;
                    try (Scope _ = Scope.open()) {
                        actual = results(operands, operation, missing, dtype, dtype);
                    }
                    for (int i = 0; i < actual.size(); i++) {
                        assertClose(name + ", result " + i, actual.get(i), expected.get(missing + 1).get(i), tolerance);
                        if (first != null) {
                            Assertions.assertArrayEquals(first.get(i), actual.get(i), name
                                + ": other bits than in the first order, result " + i);
                        }
                    }
                    first = first == null ? actual : first;
                }
            }
        });
    }

    /** Outputs of an operation, then derivatives by all float operands, under random cotangents of {@code dtype}. */
    public static List<double[]> results(List<Tensor> operands, Operation operation, DType dtype) {
        return results(operands, operation, -1, dtype, dtype);
    }

    private static List<double[]> results(List<Tensor> operands, Operation operation, int missing, DType dtype, DType wanted) {
        List<Variable> variables = new ArrayList<>();
        List<Tensor> inputs = new ArrayList<>(operands);
        for (int i = 0; i < inputs.size(); i++) {
            if (inputs.get(i).dtype().isFloat()) {
                variables.add(Variable.of(inputs.get(i)));
            }
        }
        List<Tensor> outputs = Autograd.noGrad(() -> operation.apply(inputs));
        List<Tensor> cotangents = new ArrayList<>();
        for (int i = 0; i < outputs.size(); i++) {
            Tensor y = outputs.get(i);
            cotangents.add(i == missing ? null : uniform(y.device(), dtype, 77 + i, y.shape().toArray()).cast(wanted));
        }
        Autograd.Pullback p = Autograd.vjp(variables, () -> operation.apply(inputs), cotangents);
        List<double[]> results = new ArrayList<>();
        p.outputs().forEach(t -> results.add(t.cast(DType.F32).toDoubles()));
        variables.forEach(v -> results.add(p.gradients().get(v).cast(DType.F32).toDoubles()));
        return results;
    }

    /** Asserts that no element is off by more than {@code tolerance} times the largest one. */
    public static void assertClose(String what, double[] actual, double[] expected, double tolerance) {
        Assertions.assertEquals(expected.length, actual.length, what);
        double scale = 0;
        for (double e : expected) {
            scale = Math.max(scale, Math.abs(e));
        }
        for (int i = 0; i < expected.length; i++) {
            if (!(Math.abs(actual[i] - expected[i]) <= tolerance * scale)) {
                throw new AssertionError(what + ": element " + i + " of " + expected.length + " is " + actual[i] + ", expected "
                    + expected[i] + " (scale " + scale + ")");
            }
        }
    }
}
