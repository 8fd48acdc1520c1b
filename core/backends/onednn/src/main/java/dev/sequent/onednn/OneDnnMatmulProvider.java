package dev.sequent.onednn;

import dev.sequent.spi.MatmulProvider;
import dev.sequent.spi.Parallel;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Matrix products by oneDNN, on Linux and x86-64. The libraries come from the jar {@code org.bytedeco:dnnl} (classifier
 * {@code linux-x86_64}) and are kept in {@code $XDG_CACHE_HOME/sequent} or {@code ~/.cache/sequent}.
 *
 * <p>The first {@link #probe} or {@link #open} loads them; until then the class does nothing. Thread-safe.
 */
public final class OneDnnMatmulProvider implements MatmulProvider {
    /** The provider's name. */
    public static final String NAME = "onednn";

    private static final int PRIORITY = 100;
    private static final String JAR = "org.bytedeco:dnnl:3.11-1.5.13:linux-x86_64";
    private static final String HOME = "org/bytedeco/dnnl/linux-x86_64/";
    private static final List<String> LIBRARIES = List.of(HOME + "libgomp.so.1", HOME + "libdnnl.so.3");

    private final ClassLoader loader;
    private final Path cache;
    private final String platform;
    private Dnnl dnnl;
    private Probe probed;

    /** A provider; {@link java.util.ServiceLoader} calls this. */
    public OneDnnMatmulProvider() {
        this(OneDnnMatmulProvider.class.getClassLoader(), NativeFiles.cacheDirectory(),
                System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    }

    /** A provider that finds the libraries with {@code loader} and keeps them in {@code cache}. */
    OneDnnMatmulProvider(ClassLoader loader, Path cache, String platform) {
        this.loader = loader;
        this.cache = cache;
        this.platform = platform;
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
    public synchronized Probe probe() {
        if (probed == null) {
            try {
                probed = load();
            } catch (IOException e) {
                probed = new Probe(Probe.Status.MISCONFIGURED, "the libraries cannot be copied out of their jar: " + e,
                        "make " + cache + " or " + System.getProperty("java.io.tmpdir") + " writable, with 100 MB of space");
            } catch (IllegalCallerException e) {
                probed = new Probe(Probe.Status.MISCONFIGURED, "native code may not be called: " + e.getMessage(),
                        "start Java with --enable-native-access=ALL-UNNAMED");
            } catch (RuntimeException | LinkageError e) {
                probed = new Probe(Probe.Status.MISSING_SOFTWARE, "oneDNN does not work: " + e.getMessage(),
                        "use a Linux with glibc, remove " + cache + ", or leave sequent-onednn away");
            }
        }
        return probed;
    }

    private Probe load() throws IOException {
        if (!platform.equals("Linux amd64")) {
            return new Probe(Probe.Status.UNSUPPORTED_HARDWARE, "oneDNN comes for Linux amd64, this is " + platform,
                    "leave sequent-onednn away");
        }
        Optional<NativeFiles> extracted = NativeFiles.of(loader, LIBRARIES, cache);
        if (extracted.isEmpty()) {
            return new Probe(Probe.Status.MISSING_SOFTWARE, "the libraries of oneDNN are not on the class path", "add " + JAR);
        }
        try (NativeFiles files = extracted.get()) {
            dnnl = new Dnnl(files.files().get(0), files.files().get(1));
        }
        multiplyOnce(dnnl);
        String bf16 = dnnl.hasAmx() ? ", BF16 on AMX" : dnnl.hasBf16() ? ", BF16" : "";
        return Probe.available("oneDNN " + dnnl.version() + bf16);
    }

    /** Computes 2 * 3 and compares. */
    private static void multiplyOnce(Dnnl dnnl) {
        try (OneDnnMatmul matmul = new OneDnnMatmul(dnnl, new Alone()); Arena arena = Arena.ofConfined()) {
            MemorySegment c = arena.allocateFrom(ValueLayout.JAVA_FLOAT, Float.NaN);
            matmul.gemmF32(false, false, 1, 1, 1, arena.allocateFrom(ValueLayout.JAVA_FLOAT, 2f), 1,
                    arena.allocateFrom(ValueLayout.JAVA_FLOAT, 3f), 1, 0f, c, 1);
            float product = c.get(ValueLayout.JAVA_FLOAT, 0);
            if (product != 6f) {
                throw new BackendException("oneDNN", "2 * 3 to be 6", String.valueOf(product));
            }
        }
    }

    /** The calling thread as a pool. */
    private record Alone() implements Parallel {
        @Override
        public int threads() {
            return 1;
        }

        @Override
        public void forEach(int tasks, Task body) {
            for (int i = 0; i < tasks; i++) {
                body.run(i);
            }
        }
    }

    @Override
    public Matmul open(Parallel pool) {
        Probe probe = probe();
        if (!probe.isAvailable()) {
            throw new BackendException("open " + NAME, "a working oneDNN", probe.toString());
        }
        return new OneDnnMatmul(dnnl, pool);
    }
}
