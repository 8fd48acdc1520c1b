package dev.sequent.ssm.scan;

import dev.sequent.fused.HostKernelProvider;

/** Offers the one-token kernels of the CPU backend. */
public final class TokenStepHostProvider extends HostKernelProvider {
    /** For the service loader. */
    public TokenStepHostProvider() {
        super(TokenStepKernel.class, TokenStepHost::new);
    }
}
