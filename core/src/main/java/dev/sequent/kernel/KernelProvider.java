package dev.sequent.kernel;

import dev.sequent.spi.Backend;
import java.util.Optional;

/** Offers a kernel for a contract on a backend; found by {@link java.util.ServiceLoader}. Loading the class has no side effects. */
public interface KernelProvider {
    /** The contract that the kernel fulfils. */
    Class<? extends Kernel> contract();

    /** Name of the backend on which it runs. */
    String backend();

    /** The kernel for an opened backend, or empty when the backend lacks what it needs. */
    Optional<Kernel> create(Backend backend);
}
