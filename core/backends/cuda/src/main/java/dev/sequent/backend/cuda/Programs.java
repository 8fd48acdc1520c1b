package dev.sequent.backend.cuda;

import dev.sequent.spi.DeviceCode.Function;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.type.BackendException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Compiled programs of one device: in this process by source, between processes in a {@link KernelCache}. Machine code is made for
 * exactly the device's architecture by the compiler that is installed here, so the driver accepts it; only for a device newer than the
 * compiler PTX is made, which the driver translates. Guarded by the device's lock.
 */
final class Programs {
    private static final String HEADER = "sequent.cuh";

    private final CudaDevice device;
    private final Nvrtc compiler;
    private final KernelCache cache;
    private final String architecture;
    private final String compilerVersion;
    private final String header;
    private final Map<Source, Map<String, Function>> loaded = new HashMap<>();
    private final List<Long> modules = new ArrayList<>();

    Programs(CudaDevice device, Nvrtc compiler, KernelCache cache, int capability) {
        this.device = device;
        this.compiler = compiler;
        this.cache = cache;
        this.architecture = architecture(compiler.architectures(), capability);
        this.compilerVersion = compiler.version();
        this.header = resource(HEADER);
    }

    /** The architecture to compile for: the device's own, or PTX of the newest one that the compiler knows and the device can run. */
    static String architecture(List<Integer> known, int capability) {
        return known.contains(capability)
                ? "sm_" + capability
                : "compute_" + known.stream().filter(a -> a <= capability).mapToInt(a -> a).max().orElse(capability);
    }

    /** A text beside this class. */
    static String resource(String name) {
        try (InputStream in = Programs.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new BackendException("device code", "the resource " + name, "none");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The functions of a source. */
    Map<String, Function> functions(Source source) {
        Map<String, Function> present = loaded.get(source);
        if (present == null) {
            present = load(source);
            loaded.put(source, present);
        }
        return present;
    }

    private Map<String, Function> load(Source source) {
        Source complete = source.headers().containsKey(HEADER) ? source : source.header(HEADER, header);
        List<String> options = options(complete);
        String key = cache.key(complete, options, compilerVersion);
        Nvrtc.Image image = cache.read(key, complete.functions());
        if (image != null) {
            try {
                return link(complete, image);
            } catch (CudaException e) {
                if (e.isSticky() || e.code() == CudaException.OUT_OF_MEMORY) {
                    throw e;
                }
                // an image that the driver does not take: compile it anew
            }
        }
        image = compiler.compile(complete, options);
        Map<String, Function> functions = link(complete, image);
        cache.write(key, image);
        return functions;
    }

    private List<String> options(Source source) {
        List<String> options = new ArrayList<>(List.of("--gpu-architecture=" + architecture, "--std=c++17"));
        new TreeMap<>(source.defines()).forEach((name, value) -> options.add("--define-macro=" + name + "=" + value));
        return options;
    }

    private Map<String, Function> link(Source source, Nvrtc.Image image) {
        long module = device.driver().loadModule(source.name() + ".cu", image.image());
        modules.add(module);
        Map<String, Function> functions = new LinkedHashMap<>();
        for (String expression : source.functions()) {
            functions.put(expression, new CudaFunction(device, expression,
                    device.driver().function(module, image.names().get(expression))));
        }
        return Map.copyOf(functions);
    }

    void close() {
        modules.forEach(device.driver()::unloadModule);
        modules.clear();
        loaded.clear();
    }
}
