package dev.sequent.fused.loss;

import dev.sequent.fused.HostKernelProvider;

/** Offers the cross-entropy kernel of the CPU backend. */
public final class CrossEntropyCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public CrossEntropyCpuProvider() {
        super(CrossEntropyKernel.class, CrossEntropyCpu::new);
    }
}
