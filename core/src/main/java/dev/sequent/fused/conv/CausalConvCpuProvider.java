package dev.sequent.fused.conv;

import dev.sequent.fused.HostKernelProvider;

/** Offers the convolution kernel of the CPU backend. */
public final class CausalConvCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public CausalConvCpuProvider() {
        super(CausalConvKernel.class, CausalConvCpu::new);
    }
}
