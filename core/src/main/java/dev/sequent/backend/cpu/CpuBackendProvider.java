package dev.sequent.backend.cpu;

import dev.sequent.service.Services;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.spi.Probe;
import dev.sequent.type.BackendException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;

/**
 * Opens the CPU backend, which runs everywhere without third-party code.
 *
 * <p>Options:
 * <ul>
 * <li>{@code threads}: threads of parallel loops; all processors by default
 * <li>{@code memoryLimit}: most bytes that tensors may take; nine tenths of the machine's or container's memory by default
 * <li>{@code poison}: {@code true} fills fresh memory with NaN, for tests; {@code false} by default
 * <li>{@code vector}: {@code auto} uses the Vector API where it is present, {@code off} does not
 * <li>{@code matmul}: {@code auto} takes the best {@link MatmulProvider} that works here, {@code builtin} none, any other value the
 *     provider of that name
 * <li>{@code products}: {@code bf16} lets products of F32 matrices round their operands to BF16 (8 significant bits) and accumulate in F32,
 *     several times faster on processors with BF16 tiles; tensors stay F32. Needs a provider with BF16 instructions: without one opening
 *     fails, instead of training silently in another precision. {@code f32} by default
 * </ul>
 */
public final class CpuBackendProvider implements BackendProvider {
    /** Name under which the backend is opened. */
    public static final String NAME = "cpu";

    private static final int PRIORITY = 50;
    private static final String VECTOR_MODULE = "jdk.incubator.vector";
    private static final int MIN_LANES = 4;

    /** A provider; {@link ServiceLoader} calls this. */
    public CpuBackendProvider() {}

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
        if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
            return new Probe(Probe.Status.UNSUPPORTED_HARDWARE, "the processor is big-endian", "use the reference backend");
        }
        return Probe.available(hasVectorModule() ? "vector kernels" : "scalar kernels, because module " + VECTOR_MODULE + " is missing");
    }

    @Override
    public Backend open(Map<String, String> options) {
        CpuOptions settings = CpuOptions.of(options);
        Probe probe = probe();
        if (!probe.isAvailable()) {
            throw new BackendException("open cpu", "a little-endian processor", probe.toString());
        }
        System.Logger log = System.getLogger("dev.sequent.backend.cpu");
        Kernels kernels = kernels(settings, log);
        MatmulProvider provider = matmulProvider(settings.matmul(), log);
        CpuBackend backend = new CpuBackend(settings, kernels, provider);
        if (settings.products() == DType.BF16 && !backend.hasBf16Products()) {
            String given = backend.capabilities(0).description();
            backend.close();
            throw new ConfigException("open cpu", "for products=bf16 a provider of matrix products (sequent-onednn) and a processor with "
                    + "BF16 instructions", given);
        }
        log.log(System.Logger.Level.INFO, () -> "CPU backend: " + backend.capabilities(0).description());
        return backend;
    }

    private static boolean hasVectorModule() {
        return ModuleLayer.boot().findModule(VECTOR_MODULE).isPresent();
    }

    private static Kernels kernels(CpuOptions settings, System.Logger log) {
        if (!settings.vector()) {
            return new ScalarKernels("option vector=off");
        }
        if (!hasVectorModule()) {
            log.log(System.Logger.Level.WARNING, "The CPU backend runs on scalar kernels, many times slower than its vector "
                    + "kernels, because the module " + VECTOR_MODULE + " is missing. Start Java with --add-modules " + VECTOR_MODULE + ".");
            return new ScalarKernels("no module " + VECTOR_MODULE);
        }
        // The classes of the vector kernels must not be touched before this point.
        if (VectorMath.LANES < MIN_LANES) {
            log.log(System.Logger.Level.WARNING, "The CPU backend runs on scalar kernels, because Java has no vectors of at least "
                    + MIN_LANES + " floats on this processor.");
            return new ScalarKernels("no vector unit");
        }
        return new VectorKernels();
    }

    /** The provider to use, or null for the built-in product. */
    private static MatmulProvider matmulProvider(String choice, System.Logger log) {
        MatmulProvider best = null;
        if (choice.equals(CpuOptions.BUILTIN)) {
            return null;
        }
        for (MatmulProvider provider : matmulProviders(log)) {
            if (provider.name().equals(choice)) {
                Probe probe = provider.probe();
                if (!probe.isAvailable()) {
                    throw new BackendException("open cpu", "a working matrix product " + choice, probe.toString());
                }
                return provider;
            }
            if (choice.equals(CpuOptions.AUTO) && (best == null || provider.priority() > best.priority())) {
                Probe probe = provider.probe();
                if (probe.isAvailable()) {
                    best = provider;
                } else {
                    log.log(System.Logger.Level.WARNING, () -> "Matrix products do not use " + provider.name() + ": " + probe);
                }
            }
        }
        if (!choice.equals(CpuOptions.AUTO)) {
            throw new BackendException("open cpu", "matmul to be auto, builtin or a provider on the class path", choice);
        }
        return best != null && best.priority() > 0 ? best : null;
    }

    /** Those that can be loaded and say a name of their own and their priority; a warning for each of the others. */
    private static List<MatmulProvider> matmulProviders(System.Logger log) {
        Map<String, MatmulProvider> providers = new LinkedHashMap<>();
        Services.load(MatmulProvider.class, Thread.currentThread().getContextClassLoader(), provider -> {
            provider.priority();
            Services.register(providers, Objects.requireNonNull(provider.name(), "the provider's name"), provider);
        }, failure -> log.log(System.Logger.Level.WARNING, () -> "A provider of matrix products is not used: " + failure));
        return List.copyOf(providers.values());
    }
}
