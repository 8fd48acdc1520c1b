package dev.sequent.ssm.scan;

import dev.sequent.fused.HostKernelProvider;

/** Offers the state-space dual of the CPU backend. */
public final class StateSpaceDualHostProvider extends HostKernelProvider {
    /** For the service loader. */
    public StateSpaceDualHostProvider() {
        super(StateSpaceDualKernel.class, StateSpaceDualHost::new);
    }
}
