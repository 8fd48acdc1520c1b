package dev.sequent.fused.optim;

import dev.sequent.fused.HostKernelProvider;

/** Offers the optimizer kernel of the CPU backend. */
public final class OptimizerCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public OptimizerCpuProvider() {
        super(OptimizerKernel.class, OptimizerCpu::new);
    }
}
