package dev.sequent.ssm.scan;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the selective scan of the CUDA backend. */
public final class SelectiveScanCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public SelectiveScanCudaProvider() {
        super(SelectiveScanKernel.class, SelectiveScanCuda::new);
    }
}
