package dev.sequent.fused.norm;

import dev.sequent.fused.HostKernelProvider;

/** Offers the normalisation kernel of the CPU backend. */
public final class NormCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public NormCpuProvider() {
        super(NormKernel.class, NormCpu::new);
    }
}
