package dev.sequent.onednn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.junit.jupiter.api.Assumptions.abort;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.linear.Projections;
import dev.sequent.nn.Linear;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Products that oneDNN adds to what is there, against products that are added afterwards. */
class OneDnnProjectionsTest {
    private static final long ROWS = 301;
    private static final long WIDTH = 100;
    private static final long[] SIZES = {63, 65, 3, 128};

    @Test
    void derivativesEqualThoseOfSeparateProducts() {
        try (Device device = Device.open("cpu", Map.of("matmul", "onednn", "threads", "2", "poison", "true")); Scope _ = Scope.open()) {
            Rng rng = new Rng(7);
            List<Variable> variables = new ArrayList<>(List.of(Variable.of(uniform(rng, device, ROWS, WIDTH))));
            List<Tensor> cotangents = new ArrayList<>();
            for (long size : SIZES) {
                variables.add(Variable.of(uniform(rng, device, size, WIDTH)));
                cotangents.add(uniform(rng, device, size, ROWS).transpose(0, 1)); // of other strides than the outputs
            }
            Tensor x = variables.getFirst().value();
            Tensor[] weights = variables.subList(1, variables.size()).stream().map(Variable::value).toArray(Tensor[]::new);
            Autograd.Pullback actual = Autograd.vjp(variables, () -> List.of(Projections.apply(x, weights)), cotangents);
            Autograd.Pullback expected = Autograd.vjp(variables, () -> {
                List<Tensor> y = new ArrayList<>();
                for (Tensor w : weights) {
                    y.add(x.matmul(w, false, true));
                }
                return y;
            }, cotangents);
            for (int i = 0; i < SIZES.length; i++) {
                assertThat(actual.outputs().get(i).toDoubles()).isEqualTo(expected.outputs().get(i).toDoubles());
            }
            for (Variable v : variables) {
                double[] given = actual.gradients().get(v).toDoubles();
                double[] wanted = expected.gradients().get(v).toDoubles();
                for (int i = 0; i < wanted.length; i++) {
                    assertThat(given[i]).isCloseTo(wanted[i], offset(2e-4));
                }
            }
        }
    }

    /** Sizes that are, and are not, multiples of what the tiles take; a single weight and several. */
    @Test
    void roundedProjectionsAreThoseOfRoundedOperands() {
        for (long[] sizes : new long[][] {{64}, {63, 130}, {96, 65, 64}}) {
            try (Device device = openRounding(); Device exact = Device.open("cpu", Map.of("matmul", "builtin")); Scope _ = Scope.open()) {
                Autograd.Pullback actual = projections(device, sizes, false);
                Autograd.Pullback expected = projections(exact, sizes, true);
                for (int i = 0; i < sizes.length; i++) {
                    assertClose(actual.outputs().get(i), expected.outputs().get(i));
                }
                List<Tensor> given = List.copyOf(actual.gradients().values());
                List<Tensor> wanted = List.copyOf(expected.gradients().values());
                assertThat(given).hasSize(sizes.length + 1);
                for (int i = 0; i < given.size(); i++) {
                    assertClose(given.get(i), wanted.get(i));
                }
            }
        }
    }

    private static Device openRounding() {
        try {
            return Device.open("cpu", Map.of("matmul", "onednn", "products", "bf16", "threads", "2", "poison", "true"));
        } catch (ConfigException e) {
            if (Boolean.getBoolean("sequent.requireAll")) {
                throw e;
            }
            System.out.println("rounded projections skipped: " + e.getMessage());
            return abort(e.getMessage());
        }
    }

    /** The same numbers on every device; with {@code rounding} they are rounded to BF16 first. */
    private static Autograd.Pullback projections(Device device, long[] sizes, boolean rounding) {
        UnaryOperator<Tensor> rounded = t -> rounding ? t.cast(DType.BF16).cast(DType.F32) : t;
        Rng rng = new Rng(7);
        Variable x = Variable.of(rounded.apply(uniform(rng, device, ROWS, WIDTH)));
        List<Variable> variables = new ArrayList<>(List.of(x));
        List<Tensor> cotangents = new ArrayList<>();
        for (long size : sizes) {
            variables.add(Variable.of(rounded.apply(uniform(rng, device, size, WIDTH))));
            cotangents.add(rounded.apply(uniform(rng, device, size, ROWS)).transpose(0, 1));
        }
        Tensor[] weights = variables.subList(1, variables.size()).stream().map(Variable::value).toArray(Tensor[]::new);
        return Autograd.vjp(variables, () -> List.of(weights.length == 1 ? new Tensor[] {Linear.project(x.value(), weights[0])}
                : Projections.apply(x.value(), weights)), cotangents);
    }

    private static void assertClose(Tensor actual, Tensor expected) {
        assertThat(actual.dtype()).isEqualTo(DType.F32);
        double[] given = actual.toDoubles();
        double[] wanted = expected.toDoubles();
        for (int i = 0; i < wanted.length; i++) {
            assertThat(given[i]).isCloseTo(wanted[i], offset(2e-4));
        }
    }

    private static Tensor uniform(Rng rng, Device device, long... shape) {
        return rng.uniform(device, DType.F32, -1, 1, shape);
    }
}
