package dev.sequent.fused.softmax;

import dev.sequent.fused.HostKernelProvider;

/** Offers the softmax kernel of the CPU backend. */
public final class SoftmaxCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public SoftmaxCpuProvider() {
        super(SoftmaxKernel.class, SoftmaxCpu::new);
    }
}
