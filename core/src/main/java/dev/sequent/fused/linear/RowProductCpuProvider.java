package dev.sequent.fused.linear;

import dev.sequent.fused.HostKernelProvider;

/** Offers the product of a few rows to the CPU backend. */
public final class RowProductCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public RowProductCpuProvider() {
        super(RowProductKernel.class, RowProductCpu::new);
    }
}
