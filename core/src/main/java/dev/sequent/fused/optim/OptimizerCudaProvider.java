package dev.sequent.fused.optim;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the optimizer steps of the CUDA backend. */
public final class OptimizerCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public OptimizerCudaProvider() {
        super(OptimizerKernel.class, OptimizerCuda::new);
    }
}
