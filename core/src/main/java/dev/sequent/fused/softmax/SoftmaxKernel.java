package dev.sequent.fused.softmax;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** Contract of a fused softmax over the last axis; see {@link Softmax}. Called without recording, inside a scope. */
public interface SoftmaxKernel extends Kernel {
    /** Why this kernel cannot work on {@code x}; empty when it can. */
    Optional<String> refusal(Tensor x);

    /** softmax(x) over the last axis. */
    Tensor forward(Tensor x);

    /** Derivative by x, given the result y. */
    Tensor backward(Tensor dy, Tensor y);
}
