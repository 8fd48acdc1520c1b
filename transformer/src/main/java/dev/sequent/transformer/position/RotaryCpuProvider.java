package dev.sequent.transformer.position;

import dev.sequent.fused.HostKernelProvider;

/** Offers the rotary kernel of the CPU backend. */
public final class RotaryCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public RotaryCpuProvider() {
        super(RotaryKernel.class, RotaryCpu::new);
    }
}
