package dev.sequent.spi;

import dev.sequent.type.DType;
import java.util.List;
import java.util.Set;

/**
 * What one device of a backend can do.
 *
 * @param description hardware and software behind the device, in one line
 * @param dtypes element types whose tensors can be created and computed with; others are refused with a typed error
 * @param vectorised whether the device's fast kernels are in use; otherwise the description says why not
 * @param detours operations that the device's engine lacks or does differently, for {@code explain()}
 */
public record Capabilities(String description, Set<DType> dtypes, boolean vectorised, List<Detour> detours) {
    /** Capabilities with an immutable list of detours. */
    public Capabilities {
        detours = List.copyOf(detours);
    }

    /** A device that does everything itself. */
    public Capabilities(String description, Set<DType> dtypes, boolean vectorised) {
        this(description, dtypes, vectorised, List.of());
    }
}
