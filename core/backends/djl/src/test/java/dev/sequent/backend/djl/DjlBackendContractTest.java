package dev.sequent.backend.djl;

import dev.sequent.spi.BackendProvider;
import dev.sequent.testkit.BackendContract;
import java.util.Map;
import java.util.Optional;

/** The DJL backend satisfies the contract. */
class DjlBackendContractTest extends BackendContract {
    @Override
    protected BackendProvider provider() {
        return new DjlBackendProvider();
    }

    @Override
    public Optional<Map<String, String>> threads(int threads) {
        return Optional.of(Map.of("threads", Integer.toString(threads)));
    }
}
