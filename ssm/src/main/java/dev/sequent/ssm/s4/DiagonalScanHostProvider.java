package dev.sequent.ssm.s4;

import dev.sequent.fused.HostKernelProvider;

/** Offers the diagonal scan of the CPU backend. */
public final class DiagonalScanHostProvider extends HostKernelProvider {
    /** For the service loader. */
    public DiagonalScanHostProvider() {
        super(DiagonalScanKernel.class, DiagonalScanHost::new);
    }
}
