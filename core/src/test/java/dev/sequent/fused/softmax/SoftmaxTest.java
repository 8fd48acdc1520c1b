package dev.sequent.fused.softmax;

import dev.sequent.fused.KernelLaw;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The CPU kernel of softmax against its decomposition, with the derivative. */
class SoftmaxTest {
    @Test
    void kernelEqualsDecomposition() {
        for (int width : new int[] {1, 3, 17, 63, 100, 1500}) {
            KernelLaw.onEachCpu(SoftmaxKernel.class, device -> KernelLaw.check("softmax " + width, 3e-6,
                List.of(KernelLaw.uniform(device, 1, 3, 2, width).mul(4)), in -> List.of(Softmax.apply(in.get(0))),
                in -> List.of(in.get(0).softmax(-1))));
        }
    }
}
