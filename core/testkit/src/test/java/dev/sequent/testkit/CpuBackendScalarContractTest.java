package dev.sequent.testkit;

import dev.sequent.backend.cpu.CpuBackendProvider;
import dev.sequent.spi.BackendProvider;
import java.util.Map;
import java.util.Optional;

/** The CPU backend satisfies the contract without the vector module. */
class CpuBackendScalarContractTest extends BackendContract {
    @Override
    protected BackendProvider provider() {
        return new CpuBackendProvider();
    }

    @Override
    protected Map<String, String> options() {
        return Map.of("poison", "true", "vector", "off");
    }

    @Override
    public Optional<Map<String, String>> threads(int threads) {
        return Optional.of(Map.of("threads", Integer.toString(threads)));
    }
}
