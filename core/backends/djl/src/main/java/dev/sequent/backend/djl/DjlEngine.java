package dev.sequent.backend.djl;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import dev.sequent.type.BackendException;
import java.util.ArrayList;
import java.util.List;

/**
 * DJL's PyTorch engine, started: there is one in a process, and it is never stopped.
 *
 * @param managers one new manager for each device, the CPU's first
 * @param descriptions what each device is, in one line
 */
record DjlEngine(List<PtNDManager> managers, List<String> descriptions) {
    private static final String PYTORCH = "PyTorch";
    /** DJL's own switch; the environment variable DJL_OFFLINE comes before it. */
    private static final String OFFLINE = "ai.djl.offline";

    /**
     * Starts the engine if it has not been started yet.
     *
     * @throws BackendException if it does not start; the message says why and what helps
     */
    static DjlEngine start(DjlOptions options) {
        if (options.download()) {
            System.setProperty(OFFLINE, "false");
        } else if (System.getProperty(OFFLINE) == null) {
            System.setProperty(OFFLINE, "true");
        }
        try {
            Engine engine = Engine.getEngine(PYTORCH);
            if (options.threads() > 0) {
                JniUtils.setNumThreads(options.threads());
            }
            return devices(engine);
        } catch (RuntimeException | LinkageError | AssertionError error) {
            throw new BackendException("[open djl] expected DJL's PyTorch engine to start, given " + reason(error) + "; "
                    + DjlBackendProvider.REMEDY, error);
        }
    }

    private static DjlEngine devices(Engine engine) {
        List<PtNDManager> managers = new ArrayList<>();
        List<String> descriptions = new ArrayList<>();
        String what = "DJL on PyTorch " + engine.getVersion();
        managers.add((PtNDManager) engine.newBaseManager(Device.cpu()));
        descriptions.add(what + ", CPU, " + JniUtils.getNumThreads() + " threads");
        int gpus = engine.hasCapability("CUDA") ? engine.getGpuCount() : 0;
        for (int i = 0; i < gpus; i++) {
            managers.add((PtNDManager) engine.newBaseManager(Device.gpu(i)));
            descriptions.add(what + ", GPU " + i);
        }
        return new DjlEngine(List.copyOf(managers), List.copyOf(descriptions));
    }

    /** The innermost cause, where the engine says what it really missed. */
    private static String reason(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause.toString().replaceAll("\\s+", " ");
    }
}
