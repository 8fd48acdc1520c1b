package dev.sequent.fused.embedding;

import dev.sequent.fused.HostKernelProvider;

/** Offers the look-up kernel of the CPU backend. */
public final class EmbeddingCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public EmbeddingCpuProvider() {
        super(EmbeddingKernel.class, EmbeddingCpu::new);
    }
}
