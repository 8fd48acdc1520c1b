package dev.sequent.fused.glu;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.Optional;

/**
 * The gated linear unit SwiGLU (Shazeer 2020): y = silu(gate) up with silu(x) = x / (1 + e^-x). Differentiable. A kernel of the
 * device is used where there is one, else tensor operations.
 */
public final class Swiglu {
    private Swiglu() {}

    /** silu(gate) up for two tensors of equal shape. */
    public static Tensor apply(Tensor gate, Tensor up) {
        up.expect("swiglu up", gate.shape().toArray());
        if (gate.dtype() != up.dtype()) {
            throw new DTypeException("swiglu", "operands of dtype " + gate.dtype(), up.toString());
        }
        Optional<SwigluKernel> kernel = KernelTable.of(gate.device()).select(SwigluKernel.class, k -> k.refusal(gate));
        return kernel.isPresent() ? CustomOp.apply(new Pair(kernel.get()), gate, up)[0] : decompose(gate, up);
    }

    /** SwiGLU of one tensor (..., 2F) whose last axis holds the gate and then the factor. */
    public static Tensor gateFirst(Tensor x) {
        return halves(x, true);
    }

    /** SwiGLU of one tensor (..., 2F) whose last axis holds the factor and then the gate, as in Mamba's gated MLP. */
    public static Tensor gateLast(Tensor x) {
        return halves(x, false);
    }

    private static Tensor halves(Tensor x, boolean gateFirst) {
        if (x.rank() == 0 || x.dim(-1) % 2 != 0) {
            throw new ShapeException("swiglu", "a last axis of even size", x.shape().toString());
        }
        Optional<SwigluKernel> kernel = KernelTable.of(x.device()).select(SwigluKernel.class, k -> k.refusal(x));
        if (kernel.isPresent()) {
            return CustomOp.apply(new Halves(kernel.get(), gateFirst), x)[0];
        }
        Tensor[] parts = x.split(-1, x.dim(-1) / 2, x.dim(-1) / 2);
        return gateFirst ? decompose(parts[0], parts[1]) : decompose(parts[1], parts[0]);
    }

    /** The decomposition: runs on every backend and is what kernels are compared with. */
    static Tensor decompose(Tensor gate, Tensor up) {
        return gate.silu().mul(up);
    }

    /** The kernel on two tensors and its derivative on the tape. */
    private record Pair(SwigluKernel kernel) implements CustomOp {
        @Override
        public String name() {
            return "swiglu";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            save.save(in);
            return new Tensor[] {kernel.forward(in[0], in[1])};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return kernel.backward(gradients[0], saved[0], saved[1]);
        }
    }

    /** The kernel on two halves and its derivative on the tape. */
    private record Halves(SwigluKernel kernel, boolean gateFirst) implements CustomOp {
        @Override
        public String name() {
            return "swiglu";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            save.save(in);
            return new Tensor[] {kernel.forwardHalves(in[0], gateFirst)};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return new Tensor[] {kernel.backwardHalves(gradients[0], saved[0], gateFirst)};
        }
    }
}
