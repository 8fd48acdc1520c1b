package dev.sequent.ssm.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.GradientCheck;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The scan as an operation on tensors: the decomposition against difference quotients, the CPU's kernel against the decomposition, errors.
 */
class SelectiveScanTest {
    private static final byte[] FLAGS = {0, 2, 0, 1, 0, 2, 2, 0, 3, 0, 0, 1, 0, 0};

    private static Tensor random(Device device, DType dtype, long seed, long... shape) {
        return new Rng(seed).uniform(device, DType.F32, -1.3, 1.3, shape).cast(dtype);
    }

    /** Operands in order: u, delta, a, b, c, skip, bias, z, initial state; u, z and b, c are slices of wider tensors, as in a layer. */
    private static List<Tensor> operands(Device device, DType dtype, int batch, int time, int channels, int states) {
        Tensor wide = random(device, dtype, 1, batch, time, 2L * channels);
        Tensor narrow = random(device, dtype, 2, batch, time, 3 + 2L * states);
        return List.of(wide.slice(2, 0, channels), random(device, dtype, 3, batch, time, channels),
                random(device, dtype, 4, channels, states).exp().neg(), narrow.slice(2, 3, 3 + states),
                narrow.slice(2, 3 + states, 3 + 2L * states), random(device, dtype, 5, channels), random(device, dtype, 6, channels),
                wide.slice(2, channels, 2L * channels), random(device, dtype, 7, batch, channels, states));
    }

    private static SelectiveScan.Result scan(List<Tensor> t, boolean all, byte[] flags) {
        return SelectiveScan.apply(new SelectiveScan.Operands(t.get(0), t.get(1), t.get(2), t.get(3), t.get(4), all ? t.get(5) : null,
                all ? t.get(6) : null, true, all ? t.get(7) : null, all ? t.get(8) : null), flags);
    }

    @Test
    void derivativesEqualDifferences() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            for (byte[] flags : new byte[][] {null, FLAGS}) {
                GradientCheck.check("selective scan", in -> {
                    SelectiveScan.Result r = scan(in, true, flags);
                    return Tensor.concat(0, r.y().reshape(-1), r.finalState().reshape(-1));
                }, 1e-7, operands(device, DType.F64, 2, 7, 3, 2).toArray(Tensor[]::new));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"2,7,3,2,true,true", "2,7,70,16,true,true", "1,100,65,16,true,false", "2,33,17,5,false,false", "1,1,64,16,true,false",
            "3,1,100,7,false,false"})
    void kernelAgreesWithDecomposition(int batch, int time, int channels, int states, boolean all, boolean flagged) {
        byte[] flags = flagged ? FLAGS : null;
        List<double[]> expected = results("reference", Map.of(), DType.F64, new int[] {batch, time, channels, states}, all, flags);
        for (String vector : new String[] {"auto", "off"}) {
            Map<String, String> options = Map.of("poison", "true", "threads", "2", "vector", vector);
            List<double[]> actual = results("cpu", options, DType.F32, new int[] {batch, time, channels, states}, all, flags);
            for (int i = 0; i < expected.size(); i++) {
                assertClose("result " + i + ", vector " + vector, actual.get(i), expected.get(i));
            }
        }
    }

    private static void assertClose(String what, double[] actual, double[] expected) {
        double scale = 0;
        for (double e : expected) {
            scale = Math.max(scale, Math.abs(e));
        }
        assertThat(actual.length).as(what).isEqualTo(expected.length);
        for (int i = 0; i < expected.length; i++) {
            assertThat(actual[i]).as("%s, element %d, scale %g", what, i, scale).isCloseTo(expected[i], within(5e-6 * scale));
        }
    }

    private static List<double[]> results(String backend, Map<String, String> options, DType dtype, int[] sizes, boolean all,
            byte[] flags) {
        List<double[]> results = new ArrayList<>();
        try (Device device = Device.open(backend, options)) {
            try (Scope _ = Scope.open()) {
                List<Tensor> in = operands(device, dtype, sizes[0], sizes[1], sizes[2], sizes[3]).subList(0, all ? 9 : 5);
                List<Variable> variables = new ArrayList<>();
                in.forEach(t -> variables.add(Variable.of(t)));
                List<Tensor> cotangents = List.of(random(device, dtype, 8, sizes[0], sizes[1], sizes[2]),
                        random(device, dtype, 9, sizes[0], sizes[2], sizes[3]));
                Autograd.Pullback p = Autograd.vjp(variables, () -> {
                    SelectiveScan.Result r = scan(in, all, flags);
                    return List.of(r.y(), r.finalState());
                }, cotangents);
                p.outputs().forEach(t -> results.add(t.toDoubles()));
                variables.forEach(v -> results.add(p.gradients().get(v).toDoubles()));
            }
            assertThat(device.memory().liveHandles()).isZero();
        }
        return results;
    }

    @Test
    void onlyTheFinalStateCanBeDifferentiated() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            List<Tensor> in = operands(device, DType.F32, 1, 5, 3, 2);
            Variable z = Variable.of(in.get(7));
            Variable u = Variable.of(in.get(0));
            Autograd.Pullback p = Autograd.vjp(List.of(z, u), () -> List.of(scan(in, true, null).finalState()),
                    List.of(random(device, DType.F32, 1, 1, 3, 2)));
            assertThat(p.gradients().get(z).abs().sum().item()).isZero();
            assertThat(p.gradients().get(u).abs().sum().item()).isPositive();
        }
    }

    @Test
    void unsuitableOperandsAreRefused() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            for (int i = 0; i < 9; i++) {
                int which = i;
                List<Tensor> wrong = new ArrayList<>(operands(device, DType.F64, 2, 7, 3, 2));
                wrong.set(i, random(device, DType.F64, 1, 5, 4));
                assertThatThrownBy(() -> scan(wrong, true, null)).as("operand %d", which).isInstanceOf(ShapeException.class)
                        .hasMessageContaining("selectiveScan");
                List<Tensor> narrow = new ArrayList<>(operands(device, DType.F64, 2, 7, 3, 2));
                narrow.set(i, narrow.get(i).cast(DType.F32));
                assertThatThrownBy(() -> scan(narrow, true, null)).as("operand %d", which).isInstanceOf(DTypeException.class);
            }
            List<Tensor> in = operands(device, DType.F64, 2, 7, 3, 2);
            assertThatThrownBy(() -> scan(in, true, new byte[3])).isInstanceOf(ShapeException.class).hasMessageContaining("14 flags");
        }
    }
}
