package dev.sequent.examples;

import dev.sequent.backend.Backends;
import dev.sequent.spi.Backend;
import dev.sequent.tensor.Device;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Where a program computes. */
final class DeviceOptions {
    /** Backends whose engines are too large to be fetched by everybody: profiles of the same names bring them. */
    private static final Set<String> ENGINES = Set.of("djl", "nd4j");

    private static final String F32 = "f32";
    private static final String BF16 = "bf16";

    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(names = "--backend", paramLabel = "NAME[:N]", defaultValue = "cpu",
            description =
                    "where to compute: cpu, reference, cuda, nd4j or djl, and which of its devices; nd4j and djl need Maven's -Pnd4j or "
                    + "-Pdjl (default: ${DEFAULT-VALUE})")
    private String backend;

    @Option(names = "--threads", paramLabel = "N", defaultValue = "0", description = "threads of the backend (default: all cores)")
    private int threads;

    @Option(names = "--precision", paramLabel = "NAME", defaultValue = F32,
            description =
                    "matrix products: f32, or bf16 to round what is multiplied to BF16, faster on processors with BF16 tiles; weights, "
                    + "sums and everything else stay F32 (default: ${DEFAULT-VALUE})")
    private String precision;

    /** f32 or bf16. */
    String precision() {
        return precision;
    }

    /** Opens the device. */
    Device open() {
        String[] parts = backend.split(":", -1);
        require(parts.length == 1 || parts.length == 2 && parts[1].matches("[0-9]{1,3}"), "NAME or NAME:NUMBER");
        Programs.require(threads >= 0, spec, "--threads", "at least 1, or 0 for all cores", threads);
        boolean known = Backends.providers().stream().anyMatch(provider -> provider.name().equals(parts[0]));
        require(known || !ENGINES.contains(parts[0]), "on the class path: give Maven the profile -P" + parts[0]
                + ", which fetches the engine");
        Backend opened = Backends.openBackend(parts[0], options(parts[0]));
        int device = parts.length == 1 ? 0 : Integer.parseInt(parts[1]);
        if (device >= opened.deviceCount()) {
            int devices = opened.deviceCount();
            opened.close();
            require(false, "a device of " + parts[0] + ", which has " + devices);
        }
        return new Device(opened, device);
    }

    private Map<String, String> options(String name) {
        Map<String, String> options = new HashMap<>();
        if (threads != 0) {
            options.put("threads", Integer.toString(threads));
        }
        Programs.require(precision.equals(F32) || precision.equals(BF16), spec, "--precision", F32 + " or " + BF16, precision);
        if (precision.equals(BF16)) {
            Programs.require(name.equals("cpu"), spec, "--precision", F32 + " on the backend " + name, precision);
            options.put("products", BF16);
        }
        return options;
    }

    private void require(boolean fits, String expected) {
        Programs.require(fits, spec, "--backend", expected, backend);
    }
}
