package dev.sequent.fused.activation;

import dev.sequent.autograd.UnaryDerivativeKernel;
import dev.sequent.fused.HostKernelProvider;

/** Offers derivatives of activations to the CPU backend. */
public final class ActivationCpuProvider extends HostKernelProvider {
    /** For the service loader. */
    public ActivationCpuProvider() {
        super(UnaryDerivativeKernel.class, ActivationCpu::new);
    }
}
