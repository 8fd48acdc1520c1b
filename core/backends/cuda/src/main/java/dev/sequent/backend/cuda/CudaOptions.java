package dev.sequent.backend.cuda;

import dev.sequent.type.ConfigException;
import java.io.File;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

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
        Map<String, String> left = new TreeMap<>(options);
        String libraries = left.remove("libraries");
        String cache = left.remove("cache");
        String memoryLimit = left.remove("memoryLimit");
        boolean tf32 = flag("tf32", left.remove("tf32"), false);
        boolean poison = flag("poison", left.remove("poison"), false);
        boolean reuse = flag("reuse", left.remove("reuse"), true);
        if (!left.isEmpty()) {
            throw new ConfigException("open cuda", "options among libraries, cache, memoryLimit, tf32, poison, reuse",
                    left.keySet().toString());
        }
        return new CudaOptions(folders(libraries == null ? System.getProperty(LIBRARIES_PROPERTY, "") : libraries),
                cache(cache == null ? System.getProperty(CACHE_PROPERTY) : cache), limit(memoryLimit), tf32, poison, reuse);
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

    private static long limit(String value) {
        try {
            long bytes = value == null ? Long.MAX_VALUE : Long.parseLong(value);
            if (bytes >= 1) {
                return bytes;
            }
        } catch (NumberFormatException e) {
            throw new ConfigException("[open cuda] expected a number of bytes for option memoryLimit, given " + value, e);
        }
        throw new ConfigException("open cuda", "memoryLimit of at least 1 byte", value);
    }

    private static boolean flag(String name, String value, boolean otherwise) {
        if (value != null && !value.equals("true") && !value.equals("false")) {
            throw new ConfigException("open cuda", name + " to be true or false", value);
        }
        return value == null ? otherwise : Boolean.parseBoolean(value);
    }
}
