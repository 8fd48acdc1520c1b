package dev.sequent.transformer.attention;

import dev.sequent.fused.HostKernelProvider;

/** Offers the attention of one token over a cache to the CPU backend. */
public final class TokenAttentionCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public TokenAttentionCpuProvider() {
        super(TokenAttentionKernel.class, TokenAttentionCpu::new);
    }
}
