package dev.sequent.testkit;

import dev.sequent.backend.cpu.CpuBackendProvider;
import dev.sequent.spi.BackendProvider;
import java.util.Map;
import java.util.Optional;

/** The CPU backend satisfies the contract on its vector kernels; fresh memory is full of NaN throughout. */
class CpuBackendContractTest extends BackendContract {
    @Override
    protected BackendProvider provider() {
        return new CpuBackendProvider();
    }

    @Override
    protected Map<String, String> options() {
        return Map.of("poison", "true");
    }

    @Override
    public Optional<Map<String, String>> threads(int threads) {
        return Optional.of(Map.of("threads", Integer.toString(threads)));
    }
}
