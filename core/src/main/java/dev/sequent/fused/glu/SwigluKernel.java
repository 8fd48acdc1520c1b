package dev.sequent.fused.glu;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** Contract of a fused SwiGLU; see {@link Swiglu}. Shapes and dtypes have been checked. Called without recording, inside a scope. */
public interface SwigluKernel extends Kernel {
    /** Why this kernel cannot work on {@code x}; empty when it can. */
    Optional<String> refusal(Tensor x);

    /** silu(gate) up. */
    Tensor forward(Tensor gate, Tensor up);

    /** Derivatives by gate and up. */
    Tensor[] backward(Tensor dy, Tensor gate, Tensor up);

    /** silu(gate) up of the halves of the last axis of {@code x}, (..., 2F) to (..., F). */
    Tensor forwardHalves(Tensor x, boolean gateFirst);

    /** Derivative by {@code x}. */
    Tensor backwardHalves(Tensor dy, Tensor x, boolean gateFirst);
}
