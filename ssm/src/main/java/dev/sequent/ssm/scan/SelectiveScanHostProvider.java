package dev.sequent.ssm.scan;

import dev.sequent.kernel.Kernel;
import dev.sequent.kernel.KernelProvider;
import dev.sequent.spi.Backend;
import dev.sequent.spi.HostMemory;
import java.util.Optional;

/** Offers the selective scan of the CPU backend. */
public final class SelectiveScanHostProvider implements KernelProvider {
    /** For the service loader. */
    public SelectiveScanHostProvider() {}

    @Override
    public Class<? extends Kernel> contract() {
        return SelectiveScanKernel.class;
    }

    @Override
    public String backend() {
        return "cpu";
    }

    @Override
    public Optional<Kernel> create(Backend backend) {
        return backend.facility(HostMemory.class).map(SelectiveScanHost::new);
    }
}
