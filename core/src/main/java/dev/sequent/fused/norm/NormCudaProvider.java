package dev.sequent.fused.norm;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the normalisation kernel of the CUDA backend. */
public final class NormCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public NormCudaProvider() {
        super(NormKernel.class, NormCuda::new);
    }
}
