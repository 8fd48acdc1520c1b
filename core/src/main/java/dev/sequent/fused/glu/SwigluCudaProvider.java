package dev.sequent.fused.glu;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the SwiGLU kernel of the CUDA backend. */
public final class SwigluCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public SwigluCudaProvider() {
        super(SwigluKernel.class, SwigluCuda::new);
    }
}
