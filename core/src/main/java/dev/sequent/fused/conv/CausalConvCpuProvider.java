package dev.sequent.fused.conv;

import dev.sequent.kernel.Kernel;
import dev.sequent.kernel.KernelProvider;
import dev.sequent.spi.Backend;
import dev.sequent.spi.HostMemory;
import java.util.Optional;

/** Offers the convolution kernel of the CPU backend. */
public final class CausalConvCpuProvider implements KernelProvider {
    /** For the service loader. */
    public CausalConvCpuProvider() {}

    @Override
    public Class<? extends Kernel> contract() {
        return CausalConvKernel.class;
    }

    @Override
    public String backend() {
        return "cpu";
    }

    @Override
    public Optional<Kernel> create(Backend backend) {
        return backend.facility(HostMemory.class).map(CausalConvCpu::new);
    }
}
