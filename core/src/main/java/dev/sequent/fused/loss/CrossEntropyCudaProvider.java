package dev.sequent.fused.loss;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the cross-entropy kernel of the CUDA backend. */
public final class CrossEntropyCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public CrossEntropyCudaProvider() {
        super(CrossEntropyKernel.class, CrossEntropyCuda::new);
    }
}
