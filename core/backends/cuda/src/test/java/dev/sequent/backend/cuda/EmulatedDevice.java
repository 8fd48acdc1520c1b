package dev.sequent.backend.cuda;

import dev.sequent.tensor.Device;
import dev.sequent.testkit.cuda.EmulatedCuda;
import java.util.HashMap;
import java.util.Map;

/** Opens the backend on the stand-ins. */
final class EmulatedDevice {
    private EmulatedDevice() {}

    static CudaBackend backend(Object... options) {
        Map<String, String> all = new HashMap<>(EmulatedCuda.require().options());
        for (int i = 0; i < options.length; i += 2) {
            all.put(options[i].toString(), options[i + 1].toString());
        }
        return (CudaBackend) new CudaBackendProvider().open(all);
    }

    static Device device(Object... options) {
        return new Device(backend(options), 0);
    }
}
