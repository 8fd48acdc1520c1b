package dev.sequent.backend.cuda;

import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import java.util.Map;
import java.util.ServiceLoader;

/**
 * Opens the CUDA backend, which computes on NVIDIA GPUs. It calls NVIDIA's driver, run-time compiler (NVRTC) and matrix library (cuBLASLt),
 * of CUDA 12 or 13, where they are installed; nothing native comes with this library.
 *
 * <p>Options:
 * <ul>
 * <li>{@code libraries}: folders with NVIDIA's libraries, searched before the usual ones; the system property
 *     {@code sequent.cuda.libraries} by default
 * <li>{@code cache}: folder of compiled kernels, or {@code off}; the system property {@code sequent.cuda.cache} or else
 *     {@code ~/.cache/sequent/cuda} by default
 * <li>{@code memoryLimit}: most bytes that tensors may take on a device; what the device has by default
 * <li>{@code tf32}: {@code true} lets products of F32 matrices round their factors to 10 bits, which is several times faster;
 *     {@code false} by default
 * <li>{@code poison}: {@code true} fills fresh memory with NaN, for tests; {@code false} by default
 * <li>{@code reuse}: {@code false} gives memory back to the driver at once, for tests; {@code true} by default
 * </ul>
 */
public final class CudaBackendProvider implements BackendProvider {
    /** Name under which the backend is opened. */
    public static final String NAME = "cuda";

    private static final int PRIORITY = 100;
    private static final String LOGGER = "dev.sequent.backend.cuda";

    /** A provider; {@link ServiceLoader} calls this. */
    public CudaBackendProvider() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int priority() {
        return PRIORITY;
    }

    @Override
    public Probe probe() {
        return probe(Map.of());
    }

    @Override
    public Probe probe(Map<String, String> options) {
        try {
            return Probe.available(Libraries.open(CudaOptions.of(options).libraries()).versions());
        } catch (Libraries.Unavailable e) {
            return e.probe();
        } catch (RuntimeException | LinkageError e) {
            return new Probe(Probe.Status.MISCONFIGURED, e.toString(), "see whether nvidia-smi works");
        }
    }

    @Override
    public Backend open(Map<String, String> options) {
        CudaOptions settings = CudaOptions.of(options);
        try {
            CudaBackend backend = new CudaBackend(settings, Libraries.open(settings.libraries()));
            System.getLogger(LOGGER).log(System.Logger.Level.INFO, () -> "CUDA backend: " + backend.capabilities(0).description());
            return backend;
        } catch (Libraries.Unavailable e) {
            throw new BackendException("[open cuda] expected a backend that works here, given " + e.probe(), e);
        }
    }
}
