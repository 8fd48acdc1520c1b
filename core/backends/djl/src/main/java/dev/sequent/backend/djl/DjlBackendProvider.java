package dev.sequent.backend.djl;

import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import java.util.Locale;
import java.util.Map;

/**
 * Opens the DJL backend: tensors are DJL arrays on the PyTorch engine. Device 0 is the CPU; GPUs follow where DJL has natives for them.
 *
 * <p>Options:
 * <ul>
 * <li>{@code threads}: threads of one operation. PyTorch has one number for the whole process: the last backend to be opened with this
 * option decides, and threads that have worked with PyTorch before may keep theirs. By default it is left alone
 * <li>{@code memoryLimit}: most bytes that tensors may take on each device; nine tenths of the machine's or container's memory by default
 * <li>{@code download}: {@code true} lets DJL fetch native libraries that are not on the class path; {@code false} by default, so that
 *     nothing is fetched behind the caller's back, unless the environment variable {@code DJL_OFFLINE} is {@code false}
 * </ul>
 *
 * <p>DJL unpacks the native libraries once into {@code ~/.djl.ai} (system property or environment variable {@code ENGINE_CACHE_DIR}).
 */
public final class DjlBackendProvider implements BackendProvider {
    /** Name under which the backend is opened. */
    public static final String NAME = "djl";

    /** What to do when natives are missing or broken. */
    static final String REMEDY =
            "put ai.djl.pytorch:pytorch-jni:2.7.1-0.35.1 and ai.djl.pytorch:pytorch-native-cpu:2.7.1 with the classifier of this "
            + "platform (linux-x86_64, linux-aarch64, osx-aarch64, win-x86_64) on the class path, and see that the folder of "
            + "ENGINE_CACHE_DIR (default ~/.djl.ai) can be written and holds no half-unpacked files";

    private static final int PRIORITY = 20;
    private static final String ENGINE = "pytorch-engine.properties";
    private static final String JNI = "jnilib/pytorch.properties";

    private final ClassLoader loader;
    private final String platform;

    /** A provider; {@link java.util.ServiceLoader} calls this. */
    public DjlBackendProvider() {
        this(DjlBackendProvider.class.getClassLoader(), platform(System.getProperty("os.name"), System.getProperty("os.arch")));
    }

    /** A provider that looks for natives of {@code platform} in {@code loader}, for tests. */
    DjlBackendProvider(ClassLoader loader, String platform) {
        this.loader = loader;
        this.platform = platform;
    }

    /** DJL's name for an operating system and processor. */
    static String platform(String os, String processor) {
        String system = os.startsWith("Win") ? "win" : os.startsWith("Mac") ? "osx" : os.toLowerCase(Locale.ROOT);
        return system + "-" + (processor.equals("amd64") ? "x86_64" : processor);
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int priority() {
        return PRIORITY;
    }

    /** Looks for the files that the engine needs, and leaves the engine alone: starting it costs seconds and cannot be undone. */
    @Override
    public Probe probe() {
        if (loader.getResource(ENGINE) == null) {
            return missing("DJL's PyTorch engine is not on the class path", "add ai.djl.pytorch:pytorch-engine:0.35.1");
        }
        if (System.getProperty("PYTORCH_LIBRARY_PATH", System.getenv().getOrDefault("PYTORCH_LIBRARY_PATH", "")).isEmpty()) {
            for (String flavor : new String[] {"cpu", "cu128"}) {
                if (loader.getResource("pytorch/" + flavor + "/" + platform + "/" + System.mapLibraryName("torch")) != null
                        && loader.getResource(JNI) != null) {
                    return Probe.available("PyTorch 2.7.1 through DJL 0.35.1, natives for " + platform + " (" + flavor + ")");
                }
            }
            return missing("no PyTorch natives for " + platform + " on the class path", REMEDY);
        }
        return Probe.available("PyTorch through DJL 0.35.1, natives from PYTORCH_LIBRARY_PATH");
    }

    private static Probe missing(String message, String remedy) {
        return new Probe(Probe.Status.MISSING_SOFTWARE, message, remedy);
    }

    @Override
    public Backend open(Map<String, String> options) {
        DjlOptions settings = DjlOptions.of(options);
        DjlBackend backend = new DjlBackend(DjlEngine.start(settings), settings.memoryLimit());
        System.getLogger(DjlBackendProvider.class.getPackageName()).log(System.Logger.Level.INFO,
                () -> "DJL backend: " + backend.capabilities(0).description());
        return backend;
    }
}
