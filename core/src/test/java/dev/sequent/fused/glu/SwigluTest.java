package dev.sequent.fused.glu;

import dev.sequent.fused.KernelLaw;
import dev.sequent.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The CPU kernel of SwiGLU against its decomposition, with all derivatives. */
class SwigluTest {
    @Test
    void kernelEqualsDecomposition() {
        for (int width : new int[] {1, 3, 17, 63, 100}) {
            KernelLaw.onEachCpu(SwigluKernel.class, device -> {
                Tensor x = KernelLaw.uniform(device, 1, 2, 5, 2 * width).mul(3);
                Tensor g = KernelLaw.uniform(device, 2, 5, width).mul(3);
                Tensor u = KernelLaw.uniform(device, 3, 5, width);
                KernelLaw.check("pair " + width, 3e-6, List.of(g, u), in -> List.of(Swiglu.apply(in.get(0), in.get(1))),
                    in -> List.of(Swiglu.decompose(in.get(0), in.get(1))));
                KernelLaw.check("gate first " + width, 3e-6, List.of(x), in -> List.of(Swiglu.gateFirst(in.get(0))), in -> {
                    Tensor[] half = in.get(0).split(-1, width, width);
                    return List.of(Swiglu.decompose(half[0], half[1]));
                });
                KernelLaw.check("gate last " + width, 3e-6, List.of(x), in -> List.of(Swiglu.gateLast(in.get(0))), in -> {
                    Tensor[] half = in.get(0).split(-1, width, width);
                    return List.of(Swiglu.decompose(half[1], half[0]));
                });
            });
        }
    }
}
