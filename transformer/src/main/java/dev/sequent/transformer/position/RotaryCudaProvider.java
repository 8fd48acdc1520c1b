package dev.sequent.transformer.position;

import dev.sequent.fused.DeviceKernelProvider;

/** Offers the rotary kernel of the CUDA backend. */
public final class RotaryCudaProvider extends DeviceKernelProvider {
    /** For the service loader. */
    public RotaryCudaProvider() {
        super(RotaryKernel.class, RotaryCuda::new);
    }
}
