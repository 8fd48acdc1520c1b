package dev.sequent.transformer.attention;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers attention of the CUDA backend. */
public final class AttentionCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public AttentionCudaProvider() {
        super(AttentionKernel.class, AttentionCuda::new);
    }
}
