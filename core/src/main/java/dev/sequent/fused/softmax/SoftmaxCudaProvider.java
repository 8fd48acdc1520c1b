package dev.sequent.fused.softmax;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the softmax kernel of the CUDA backend. */
public final class SoftmaxCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public SoftmaxCudaProvider() {
        super(SoftmaxKernel.class, SoftmaxCuda::new);
    }
}
