package dev.sequent.transformer.attention;

import dev.sequent.fused.HostKernelProvider;

/** Offers the attention kernel of the CPU backend. */
public final class AttentionCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public AttentionCpuProvider() {
        super(AttentionKernel.class, AttentionCpu::new);
    }
}
