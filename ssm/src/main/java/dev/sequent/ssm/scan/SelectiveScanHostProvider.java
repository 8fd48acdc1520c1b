package dev.sequent.ssm.scan;

import dev.sequent.fused.HostKernelProvider;

/** Offers the selective scan of the CPU backend. */
public final class SelectiveScanHostProvider extends HostKernelProvider {
    /** For the service loader. */
    public SelectiveScanHostProvider() {
        super(SelectiveScanKernel.class, SelectiveScanHost::new);
    }
}
