package dev.sequent.backend.cuda;

import dev.sequent.spi.BackendProvider;
import dev.sequent.testkit.BackendContract;
import dev.sequent.testkit.cuda.EmulatedCuda;
import java.util.Map;

/** The CUDA backend satisfies the contract: on the stand-ins, in all orders of threads by turns. */
class CudaBackendContractTest extends BackendContract {
    @Override
    protected BackendProvider provider() {
        return new CudaBackendProvider();
    }

    @Override
    protected Map<String, String> options() {
        return EmulatedCuda.require().options();
    }
}
