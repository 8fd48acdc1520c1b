package dev.sequent.backend.nd4j;

import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceLoader;

/**
 * Offers the ND4J backend. {@link #probe} only looks for files: nothing of ND4J is loaded before {@link #open}. Thread-safe.
 *
 * <p>Options of {@link #open}:
 * <ul>
 * <li>{@code threads}: threads of ND4J and its BLAS, 1 by default, because ND4J's threads spin while they wait and operations of a small
 *     model are too short to share. They belong to the process: the backend that was opened last decides
 * <li>{@code memoryLimit}: most bytes that live tensors may take; nine tenths of the machine's memory by default
 * </ul>
 */
public final class Nd4jBackendProvider implements BackendProvider {
    /** Name under which the backend is opened. */
    public static final String NAME = "nd4j";

    private static final int PRIORITY = 20;
    private static final String ND4J = "org/nd4j/linalg/cpu/nativecpu/CpuBackend.class";
    private static final String CLASSIFIER = "linux-x86_64";
    /** Libraries by the artifact that holds them. */
    private static final Map<String, String> NATIVES = Map.of(
            "org.nd4j:nd4j-native:1.0.0-M2.1", "org/nd4j/linalg/cpu/nativecpu/bindings/linux-x86_64/libnd4jcpu.so",
            "org.bytedeco:openblas:0.3.19-1.5.7", "org/bytedeco/openblas/linux-x86_64/libopenblas.so.0",
            "org.bytedeco:javacpp:1.5.7", "org/bytedeco/javacpp/linux-x86_64/libjnijavacpp.so");

    private final ClassLoader loader;
    private final String platform;

    /** A provider; {@link ServiceLoader} calls this. */
    public Nd4jBackendProvider() {
        this(Nd4jBackendProvider.class.getClassLoader(), System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    }

    /** A provider that looks for files with {@code loader} and believes to be on {@code platform}: system and architecture. */
    Nd4jBackendProvider(ClassLoader loader, String platform) {
        this.loader = loader;
        this.platform = platform.toLowerCase(Locale.ROOT);
    }

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
        if (!platform.equals("linux amd64") && !platform.equals("linux x86_64")) {
            return new Probe(Probe.Status.UNSUPPORTED_HARDWARE, "the natives of this module are for Linux on x86-64, not for " + platform,
                    "use the cpu backend");
        }
        if (loader.getResource(ND4J) == null) {
            return new Probe(Probe.Status.MISSING_SOFTWARE, "ND4J is not on the class path", "add org.nd4j:nd4j-native:1.0.0-M2.1");
        }
        for (Map.Entry<String, String> library : NATIVES.entrySet()) {
            if (loader.getResource(library.getValue()) == null) {
                return new Probe(Probe.Status.MISSING_SOFTWARE, "there is no " + library.getValue() + " on the class path",
                        "add " + library.getKey() + " with classifier " + CLASSIFIER);
            }
        }
        if (isNativeAccessDenied()) {
            return new Probe(Probe.Status.MISCONFIGURED, "this Java may not call native code",
                    "start it with --enable-native-access=ALL-UNNAMED");
        }
        return Probe.available("ND4J 1.0.0-M2.1 for " + CLASSIFIER);
    }

    private static boolean isNativeAccessDenied() {
        return !Nd4jBackendProvider.class.getModule().isNativeAccessEnabled()
                && ManagementFactory.getRuntimeMXBean().getInputArguments().contains("--illegal-native-access=deny");
    }

    @Override
    public Backend open(Map<String, String> options) {
        Nd4jOptions settings = Nd4jOptions.of(options);
        Probe probe = probe();
        if (!probe.isAvailable()) {
            throw new BackendException("open nd4j", "a machine and a class path with ND4J's natives", probe.toString());
        }
        return new Nd4jBackend(settings, Nd4jRuntime.load(settings.threads()));
    }
}
