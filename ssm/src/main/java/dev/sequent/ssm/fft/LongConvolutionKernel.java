package dev.sequent.ssm.fft;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** Contract of kernels for {@link LongConvolution}. */
public interface LongConvolutionKernel extends Kernel {
    /** Why the kernel cannot convolve {@code u}; empty when it can. */
    Optional<String> refusal(Tensor u);

    /** y (B, T, E) for u (B, T, E) and k (E, T). */
    Tensor forward(Tensor u, Tensor k);

    /** The derivatives with respect to u and k. */
    Tensor[] backward(Tensor dy, Tensor u, Tensor k);
}
