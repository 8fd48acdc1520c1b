package dev.sequent.transformer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.autograd.Autograd;
import dev.sequent.kernel.KernelTable;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.cache.KvCache;
import dev.sequent.type.DType;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A JVM that was started without the vector module trains and runs attention on scalar kernels. */
class WithoutVectorModuleTest {
    @Test
    void attentionRunsOnScalarKernels() throws IOException, InterruptedException, URISyntaxException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String classPath = place(Device.class) + File.pathSeparator + place(CausalSelfAttention.class) + File.pathSeparator
                + place(Child.class);
        Process child = new ProcessBuilder(java, "--enable-native-access=ALL-UNNAMED", "-cp", classPath, Child.class.getName())
                .redirectErrorStream(true).start();
        String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(child.waitFor()).as(output).isZero();
        assertThat(output).contains("step equals forward: true").contains("attention/scalar").contains("rotary/scalar");
    }

    private static Path place(Class<?> type) throws URISyntaxException {
        return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    }

    /** What the other JVM runs. */
    static final class Child {
        private Child() {}

        /** Forward, backward and a cached step. */
        public static void main(String[] args) {
            System.setProperty("sequent.fused", "require");
            try (Device device = Device.open("cpu"); Scope _ = Scope.open();
                    CausalSelfAttention layer = AttentionConfig.of(2).create(8, 1, new Init(device, 1));
                    KvCache state = layer.newState(new StateSpec(1, 4, DType.F32, device))) {
                Tensor x = new Rng(1).uniform(device, DType.F32, -1.0, 1.0, 1, 4, 8);
                Autograd.valueAndGrad(List.copyOf(layer.parameters()), () -> layer.forward(x, SequenceInfo.of(x)).sum());
                layer.prefill(x.slice(1, 0, 3), state);
                double error = layer.step(x.slice(1, 3, 4), state).sub(layer.forward(x, SequenceInfo.of(x)).slice(1, 3, 4)).abs().max()
                        .item();
                System.out.println("step equals forward: " + (error < 1e-6));
                System.out.println(KernelTable.of(device).explain());
            }
        }
    }
}
