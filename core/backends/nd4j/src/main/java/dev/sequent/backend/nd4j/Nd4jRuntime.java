package dev.sequent.backend.nd4j;

import dev.sequent.type.BackendException;
import java.util.Map;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.nd4j.linalg.api.memory.MemoryManager;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;

/**
 * ND4J itself: one per process, with one set of settings. Loading it extracts and loads its natives, which takes a second or two; this
 * class must not be touched before a backend is opened. Thread-safe.
 */
final class Nd4jRuntime {
    /** What keeps ND4J and its logging facade silent while they load; values that the user has set stay. */
    private static final Map<String, String> QUIET = Map.of("org.nd4j.log.initialization", "false", "slf4j.internal.verbosity", "ERROR");

    private final String version;
    private final int threads;

    private Nd4jRuntime(String version, int threads) {
        this.version = version;
        this.threads = threads;
    }

    /**
     * Loads ND4J.
     *
     * @param threads threads of its operations and its BLAS
     * @throws BackendException when its natives cannot be loaded; the message says why
     */
    static Nd4jRuntime load(int threads) {
        QUIET.forEach((name, value) -> {
            if (System.getProperty(name) == null) {
                System.setProperty(name, value);
            }
        });
        try {
            MemoryManager manager = Nd4j.getMemoryManager();
            // handles end the life of memory; a garbage collection every few seconds would only cost time
            manager.togglePeriodicGc(false);
            NativeOps ops = NativeOpsHolder.getInstance().getDeviceNativeOps();
            ops.setOmpNumThreads(threads);
            Nd4j.getEnvironment().setMaxThreads(threads);
            Nd4j.getEnvironment().setMaxMasterThreads(threads);
            openblas_nolapack.blas_set_num_threads(threads);
            return new Nd4jRuntime(version(), threads);
        } catch (RuntimeException | LinkageError error) {
            throw new BackendException("[open nd4j] expected ND4J to load its natives, given " + innermost(error), error);
        }
    }

    private static String version() {
        String version = Nd4j.class.getPackage().getImplementationVersion();
        return version == null ? "1.0.0-M2.1" : version;
    }

    private static Throwable innermost(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause;
    }

    /** ND4J's version. */
    String describe() {
        return "ND4J " + version + " on OpenBLAS, " + threads + (threads == 1 ? " thread" : " threads");
    }
}
