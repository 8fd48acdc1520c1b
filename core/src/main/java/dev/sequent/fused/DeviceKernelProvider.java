package dev.sequent.fused;

import dev.sequent.kernel.Kernel;
import dev.sequent.kernel.KernelProvider;
import dev.sequent.spi.Backend;
import dev.sequent.spi.DeviceCode;
import java.util.Optional;
import java.util.function.Function;

/** Offers a kernel for the CUDA backend, made from the backend's compiler and launcher of device code. */
public abstract class DeviceKernelProvider implements KernelProvider {
    private final Class<? extends Kernel> contract;
    private final Function<DeviceTensors, Kernel> factory;

    /** A provider of {@code contract}. */
    protected DeviceKernelProvider(Class<? extends Kernel> contract, Function<DeviceTensors, Kernel> factory) {
        this.contract = contract;
        this.factory = factory;
    }

    @Override
    public final Class<? extends Kernel> contract() {
        return contract;
    }

    @Override
    public final String backend() {
        return "cuda";
    }

    @Override
    public final Optional<Kernel> create(Backend backend) {
        return backend.facility(DeviceCode.class).map(code -> factory.apply(new DeviceTensors(code)));
    }
}
