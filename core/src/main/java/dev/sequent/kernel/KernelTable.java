package dev.sequent.kernel;

import dev.sequent.service.Services;
import dev.sequent.tensor.Device;
import dev.sequent.type.BackendException;
import dev.sequent.type.ConfigException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * The kernels of one device. A fused operation asks here for a kernel and otherwise runs its decomposition.
 *
 * <p>The system property {@code sequent.fused}, read when the table is made, is {@code auto} (default), {@code off} (always the
 * decomposition) or {@code require} (a missing or unsuitable kernel is an error that states the reason). A provider that cannot be loaded,
 * fails to make its kernel, or makes one of a name that the contract has already, is a warning, and the others are used. Thread-safe.
 */
public final class KernelTable {
    /** When kernels are used. */
    public enum Policy { AUTO, OFF, REQUIRE }

    private final Device device;
    private final Policy policy;
    private final Map<Class<? extends Kernel>, List<Kernel>> kernels = new LinkedHashMap<>();
    private final List<String> failures = new ArrayList<>();
    /** Who made the kernel of a name, by contract. */
    private final Map<Class<? extends Kernel>, Map<String, KernelProvider>> makers = new LinkedHashMap<>();

    private KernelTable(Device device) {
        this(device, KernelTable.class.getClassLoader());
    }

    KernelTable(Device device, ClassLoader loader) {
        this.device = device;
        this.policy = policyOf(System.getProperty("sequent.fused", "auto"));
        Services.load(KernelProvider.class, loader, this::add, this::warn);
    }

    private void add(KernelProvider provider) {
        if (provider.backend().equals(device.backend().name())) {
            Class<? extends Kernel> contract = provider.contract();
            provider.create(device.backend()).ifPresent(k -> {
                Services.register(makers.computeIfAbsent(contract, _ -> new LinkedHashMap<>()), k.name(), provider);
                kernels.computeIfAbsent(contract, _ -> new ArrayList<>()).add(k);
            });
        }
    }

    private void warn(String failure) {
        failures.add(failure);
        System.getLogger("dev.sequent.kernel").log(System.Logger.Level.WARNING,
                () -> "A provider of kernels is not used on " + device + ": " + failure);
    }

    private static Policy policyOf(String text) {
        return switch (text) {
            case "auto" -> Policy.AUTO;
            case "off" -> Policy.OFF;
            case "require" -> Policy.REQUIRE;
            default -> throw new ConfigException("sequent.fused", "auto, off or require", text);
        };
    }

    /** The table of a device, made on first use. */
    public static KernelTable of(Device device) {
        return device.attachment(KernelTable.class, KernelTable::new);
    }

    /** When kernels are used on this device. */
    public Policy policy() {
        return policy;
    }

    /**
     * The first kernel of {@code contract} that accepts the problem.
     *
     * @param refusal asks a kernel why it cannot compute the problem; empty means that it can
     * @return the kernel, or empty when the caller should run the decomposition
     * @throws BackendException under {@link Policy#REQUIRE} when there is none
     */
    public <K extends Kernel> Optional<K> select(Class<K> contract, Function<K, Optional<String>> refusal) {
        StringBuilder reasons = new StringBuilder();
        Optional<K> found = search(contract, refusal, reasons);
        if (found.isEmpty() && policy == Policy.REQUIRE) {
            failures.forEach(failure -> reasons.append("; not loaded: ").append(failure));
            throw new BackendException("[" + contract.getSimpleName() + "] expected a kernel on " + device
                    + " (sequent.fused=require), given none" + reasons);
        }
        return found;
    }

    /** As {@link #select}, but empty under every policy: for a caller that can pose the problem to kernels in another form, too. */
    public <K extends Kernel> Optional<K> find(Class<K> contract, Function<K, Optional<String>> refusal) {
        return search(contract, refusal, new StringBuilder());
    }

    private <K extends Kernel> Optional<K> search(Class<K> contract, Function<K, Optional<String>> refusal, StringBuilder reasons) {
        if (policy == Policy.OFF) {
            return Optional.empty();
        }
        for (Kernel kernel : kernels.getOrDefault(contract, List.of())) {
            K candidate = contract.cast(kernel);
            Optional<String> reason = refusal.apply(candidate);
            if (reason.isEmpty()) {
                return Optional.of(candidate);
            }
            reasons.append("; ").append(kernel.name()).append(": ").append(reason.get());
        }
        return Optional.empty();
    }

    /** The kernels of this device by contract, for {@code explain()}. */
    public Map<String, List<String>> explain() {
        Map<String, List<String>> table = new LinkedHashMap<>();
        kernels.forEach((contract, list) -> table.put(contract.getSimpleName(), list.stream().map(Kernel::name).toList()));
        return table;
    }
}
