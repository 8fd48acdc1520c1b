package dev.sequent.fused.glu;

import dev.sequent.fused.HostKernelProvider;

/** Offers the SwiGLU kernel of the CPU backend. */
public final class SwigluCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public SwigluCpuProvider() {
        super(SwigluKernel.class, SwigluCpu::new);
    }
}
