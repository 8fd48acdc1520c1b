package dev.sequent.tensor;

import dev.sequent.backend.Backends;
import dev.sequent.backend.ShapeBackend;
import dev.sequent.spi.Backend;
import dev.sequent.spi.Capabilities;
import dev.sequent.spi.GraphCapture;
import dev.sequent.spi.MemoryStats;
import dev.sequent.type.DType;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.function.Function;

/**
 * Where tensors live and are computed: one device of an opened backend.
 *
 * <pre>{@code
 * try (Device cpu = Device.open("cpu")) {
 *     Tensor x = Tensor.arange(cpu, 4);
 * }
 * }</pre>
 *
 * <p>Thread-safe. Closing a device closes its backend; tensors on it become unusable.
 */
public final class Device implements AutoCloseable {
    private final Backend backend;
    private final int index;
    private final ConcurrentMap<Class<?>, Object> attachments = new ConcurrentHashMap<>();

    /** Device {@code index} of a backend. */
    public Device(Backend backend, int index) {
        this.backend = backend;
        this.index = index;
    }

    /** Opens a backend by name and returns its first device. */
    public static Device open(String backend) {
        return open(backend, Map.of());
    }

    /** Opens a backend by name with options and returns its first device. */
    public static Device open(String backend, Map<String, String> options) {
        return new Device(Backends.openBackend(backend, options), 0);
    }

    /** Opens the preferred backend that works here (system property {@code sequent.backend} overrides the choice). */
    public static Device openBest() {
        return new Device(Backends.openBestBackend(), 0);
    }

    /** A device whose tensors have shapes and no values, for models that are laid out and not computed: {@link ShapeBackend}. */
    public static Device shapes() {
        return new Device(new ShapeBackend(), 0);
    }

    /** The backend behind this device. */
    public Backend backend() {
        return backend;
    }

    /** Number of this device within its backend. */
    public int index() {
        return index;
    }

    /** What this device can do. */
    public Capabilities capabilities() {
        return backend.capabilities(index);
    }

    /** Whether tensors of {@code dtype} can live here. */
    public boolean supports(DType dtype) {
        return capabilities().dtypes().contains(dtype);
    }

    /** Memory in use. */
    public MemoryStats memory() {
        return backend.memory(index);
    }

    /** Returns when all work given to this device has been done. */
    public void synchronize() {
        backend.synchronize(index);
    }

    /** An optional facility of the backend. */
    public <T> Optional<T> facility(Class<T> type) {
        return backend.facility(type);
    }

    /** Whether the calling thread records work of this device for a graph, so that values cannot be looked at; see {@link GraphCapture}. */
    public boolean capturing() {
        return backend.facility(GraphCapture.class).map(c -> c.capturing(index)).orElse(false);
    }

    /** An object that belongs to this device, created on first use: kernel tables and the like. */
    public <T> T attachment(Class<T> type, Function<Device, T> create) {
        Object present = attachments.get(type);
        if (present == null) {
            present = attachments.computeIfAbsent(type, t -> create.apply(this));
        }
        return type.cast(present);
    }

    @Override
    public void close() {
        backend.close();
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof Device d && d.backend == backend && d.index == index;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(backend) * 31 + index;
    }

    /** For example {@code cpu:0}. */
    @Override
    public String toString() {
        return backend.name() + ":" + index;
    }
}
