package dev.sequent.autograd;

import dev.sequent.kernel.Kernel;
import dev.sequent.op.UnaryOp;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of derivatives of elementwise functions in one pass over memory. Used where the derivative is not itself recorded; otherwise,
 * and where there is no such kernel, the tape composes derivatives of primitives.
 */
public interface UnaryDerivativeKernel extends Kernel {
    /** Why this kernel cannot compute the derivative of {@code f} by {@code x}; empty when it can. */
    Optional<String> refusal(UnaryOp f, Tensor x);

    /**
     * dy f'(x).
     *
     * @param dy of the shape and dtype of {@code value}
     * @param value the function's result f(x) for TANH, SIGMOID and RELU, whose derivatives follow from it; else x
     */
    Tensor derivative(UnaryOp f, Tensor dy, Tensor value);
}
