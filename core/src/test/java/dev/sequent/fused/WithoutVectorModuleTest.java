package dev.sequent.fused;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.embedding.Lookup;
import dev.sequent.fused.glu.Swiglu;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.fused.optim.AdamWStep;
import dev.sequent.fused.optim.OptimizerSteps;
import dev.sequent.fused.softmax.Softmax;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A JVM that was started without the vector module runs every fused operation on its scalar kernel. */
class WithoutVectorModuleTest {
    @Test
    void everyOperationRunsOnItsScalarKernel() throws IOException, InterruptedException, URISyntaxException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String classPath = place(Device.class) + File.pathSeparator + place(Child.class);
        Process child = new ProcessBuilder(java, "--enable-native-access=ALL-UNNAMED", "-cp", classPath, Child.class.getName())
            .redirectErrorStream(true).start();
        String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(child.waitFor()).as(output).isZero();
        assertThat(output).contains("finite true").contains("norm/scalar").doesNotContain("/vector");
    }

    private static Path place(Class<?> type) throws URISyntaxException {
        return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    }

    /** What the other JVM runs. */
    static final class Child {
        private Child() {}

        /** Runs all fused operations, forward and backward. */
        public static void main(String[] args) {
            System.setProperty("sequent.fused", "require");
            try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
                Rng rng = new Rng(1);
                Tensor table = rng.uniform(device, DType.F32, -1.0, 1.0, 11, 6);
                Tensor weight = rng.uniform(device, DType.F32, -1.0, 1.0, 6);
                Tensor ids = Tensor.of(device, new int[] {3, 0, 10, 3});
                List<Variable> variables = List.of(Variable.of(table), Variable.of(weight));
                var gradients = Autograd.valueAndGrad(variables, () -> {
                    Tensor x = Lookup.apply(table, ids);
                    Normalize.Added a = Normalize.addRms(x, x.mul(0.5), weight, 1e-5);
                    Tensor y = Swiglu.apply(Normalize.layer(a.normalised(), weight, null, 1e-5), Softmax.apply(a.sum()));
                    return CrossEntropy.loss(y, Tensor.of(device, new int[] {5, 0, -1, 2}));
                });
                List<Tensor> values = List.of(table, weight);
                List<Tensor> g = List.of(gradients.of(variables.get(0)), gradients.of(variables.get(1)));
                List<Tensor> m = values.stream().map(t -> Tensor.zeros(device, t.dtype(), t.shape().toArray())).toList();
                List<Tensor> v = values.stream().map(t -> Tensor.zeros(device, t.dtype(), t.shape().toArray())).toList();
                AdamWStep step = AdamWStep.of(0.9, 0.95, 1e-8, 1e-2, 0, 1, 1);
                OptimizerSteps.adamw(List.of(step, step), values, g, m, v);
                System.out.println("finite " + Double.isFinite(OptimizerSteps.norm(values)) + " " + KernelTable.of(device).explain());
            }
        }
    }
}
