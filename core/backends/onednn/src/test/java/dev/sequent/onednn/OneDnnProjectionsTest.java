package dev.sequent.onednn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.linear.Projections;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
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

    private static Tensor uniform(Rng rng, Device device, long... shape) {
        return rng.uniform(device, DType.F32, -1, 1, shape);
    }
}
