package dev.sequent.backend.cuda;

import dev.sequent.spi.OptionReader;
import java.io.File;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Settings of the CUDA backend; {@link CudaBackendProvider} describes them.
 *
 * @param libraries folders that are searched for NVIDIA's libraries before the usual ones
 * @param cache folder of compiled kernels, or null to compile in every process
 * @param memoryLimit most bytes that tensors may take on a device
 * @param tf32 whether F32 products may round their factors to TF32
 * @param poison whether fresh memory is filled with NaN
 * @param reuse whether freed memory is kept for the next request
 */
record CudaOptions(List<Path> libraries, Path cache, long memoryLimit, boolean tf32, boolean poison, boolean reuse) {
    /** System property with the folders of the libraries. */
    static final String LIBRARIES_PROPERTY = "sequent.cuda.libraries";
    /** System property with the folder of compiled kernels. */
    static final String CACHE_PROPERTY = "sequent.cuda.cache";
    private static final String OFF = "off";

    /** Reads options by name; what is missing has a default. */
    static CudaOptions of(Map<String, String> options) {
        OptionReader r = new OptionReader("cuda", options);
        CudaOptions result = new CudaOptions(folders(r.text("libraries").orElseGet(() -> System.getProperty(LIBRARIES_PROPERTY, ""))),
                cache(r.text("cache").orElseGet(() -> System.getProperty(CACHE_PROPERTY))),
                r.number("memoryLimit", 1, Long.MAX_VALUE, Long.MAX_VALUE), r.flag("tf32", false), r.flag("poison", false),
                r.flag("reuse", true));
        r.done();
        return result;
    }

    private static List<Path> folders(String text) {
        return Arrays.stream(text.split(File.pathSeparator)).filter(f -> !f.isBlank()).map(Path::of).toList();
    }

    private static Path cache(String value) {
        if (value != null) {
            return value.equals(OFF) ? null : Path.of(value);
        }
        String base = System.getenv("XDG_CACHE_HOME");
        Path root = base != null && !base.isBlank() ? Path.of(base) : Path.of(System.getProperty("user.home"), ".cache");
        return root.resolve("sequent").resolve("cuda");
    }
}
