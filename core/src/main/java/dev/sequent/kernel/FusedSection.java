package dev.sequent.kernel;

import dev.sequent.service.Services;
import dev.sequent.spi.Backend;
import dev.sequent.spi.ExplainSection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;

/** Which fused operations have kernels on which backends; the others run as decompositions into a backend's operations. Thread-safe. */
public final class FusedSection implements ExplainSection {
    private static final String DECOMPOSITION = "decomposition";

    /** A section; {@link ServiceLoader} calls this. */
    public FusedSection() {}

    @Override
    public String title() {
        return "fused operations: kernels, which may still refuse a problem, or the decomposition (-Dsequent.fused=auto|off|require)";
    }

    @Override
    public Map<String, List<String>> rows(List<Backend> backends) {
        List<KernelProvider> providers = new ArrayList<>();
        // the table of a device warns of those that cannot be loaded
        Services.load(KernelProvider.class, KernelTable.class.getClassLoader(), providers::add, _ -> { });
        Map<String, List<String>> rows = new TreeMap<>();
        for (KernelProvider provider : providers) {
            String operation = provider.contract().getSimpleName().replaceFirst("Kernel$", "");
            rows.computeIfAbsent(operation, _ -> backends.stream().map(backend -> kernels(providers, provider.contract(), backend))
                    .toList());
        }
        return rows;
    }

    private static String kernels(List<KernelProvider> providers, Class<? extends Kernel> contract, Backend backend) {
        List<String> names = providers.stream().filter(p -> p.contract() == contract && p.backend().equals(backend.name()))
                .flatMap(p -> p.create(backend).stream()).map(Kernel::name).toList();
        return names.isEmpty() ? DECOMPOSITION : String.join(", ", names);
    }
}
