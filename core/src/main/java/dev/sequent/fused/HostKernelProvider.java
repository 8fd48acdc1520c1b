package dev.sequent.fused;

import dev.sequent.kernel.Kernel;
import dev.sequent.kernel.KernelProvider;
import dev.sequent.spi.Backend;
import dev.sequent.spi.HostMemory;
import java.util.Optional;
import java.util.function.Function;

/** Offers a kernel for the CPU backend, made from the backend's host memory. */
public abstract class HostKernelProvider implements KernelProvider {
    private final Class<? extends Kernel> contract;
    private final Function<HostTensors, Kernel> factory;

    /** A provider of {@code contract}. */
    protected HostKernelProvider(Class<? extends Kernel> contract, Function<HostTensors, Kernel> factory) {
        this.contract = contract;
        this.factory = factory;
    }

    @Override
    public final Class<? extends Kernel> contract() {
        return contract;
    }

    @Override
    public final String backend() {
        return "cpu";
    }

    @Override
    public final Optional<Kernel> create(Backend backend) {
        return backend.facility(HostMemory.class).map(memory -> factory.apply(new HostTensors(memory,
                backend.capabilities(0).vectorised())));
    }
}
