package dev.sequent.fused.softmax;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ShapeException;
import java.util.Optional;

/**
 * Softmax over the last axis, y_i = e^(x_i) / sum_j e^(x_j), computed without overflow. Differentiable. A kernel of the device is used
 * where there is one, else tensor operations.
 */
public final class Softmax {
    private Softmax() {}

    /** softmax of x (..., n) over its last axis. */
    public static Tensor apply(Tensor x) {
        if (x.rank() == 0) {
            throw new ShapeException("softmax", "at least one axis", x.shape().toString());
        }
        Optional<SoftmaxKernel> kernel = KernelTable.of(x.device()).select(SoftmaxKernel.class, k -> k.refusal(x));
        return kernel.isPresent() ? CustomOp.apply(new Fused(kernel.get()), x)[0] : x.softmax(-1);
    }

    /** The kernel and its derivative on the tape. */
    private record Fused(SoftmaxKernel kernel) implements CustomOp {
        @Override
        public String name() {
            return "softmax";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            Tensor y = kernel.forward(in[0]);
            save.save(y);
            return new Tensor[] {y};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return new Tensor[] {kernel.backward(gradients[0], saved[0])};
        }
    }
}
