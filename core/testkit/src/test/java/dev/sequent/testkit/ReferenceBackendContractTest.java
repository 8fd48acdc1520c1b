package dev.sequent.testkit;

import dev.sequent.backend.reference.ReferenceBackendProvider;
import dev.sequent.spi.BackendProvider;

/** The reference backend satisfies the contract. */
class ReferenceBackendContractTest extends BackendContract {
    @Override
    protected BackendProvider provider() {
        return new ReferenceBackendProvider();
    }
}
