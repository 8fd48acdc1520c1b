package dev.sequent.fused.conv;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the causal convolution of the CUDA backend. */
public final class CausalConvCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public CausalConvCudaProvider() {
        super(CausalConvKernel.class, CausalConvCuda::new);
    }
}
