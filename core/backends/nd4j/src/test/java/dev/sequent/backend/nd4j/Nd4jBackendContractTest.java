package dev.sequent.backend.nd4j;

import dev.sequent.spi.BackendProvider;
import dev.sequent.testkit.BackendContract;
import java.util.Map;
import java.util.Optional;

/** The ND4J backend satisfies the contract. */
class Nd4jBackendContractTest extends BackendContract {
    @Override
    protected BackendProvider provider() {
        return new Nd4jBackendProvider();
    }

    @Override
    public Optional<Map<String, String>> threads(int threads) {
        return Optional.of(Map.of("threads", Integer.toString(threads)));
    }
}
