package dev.sequent.spi;

import dev.sequent.type.DType;
import java.util.Set;

/**
 * An operation that a device does not carry out by its engine's own function of that meaning; what no detour mentions is native. Widening
 * 16-bit floats for a function, as the contract wants it, is no detour.
 *
 * @param operation the {@link Backend} method, followed by the function where it takes one: {@code topK}, {@code unary EXPM1}
 * @param dtypes element types for which this holds
 * @param how what is done instead
 * @param reason why, and what exactly, in one line for people
 */
public record Detour(String operation, Set<DType> dtypes, How how, String reason) {
    /** What a backend does about an operation that its engine lacks or does differently. */
    public enum How {
        /** Several of the engine's functions together. */
        COMPOSED,
        /** Loops of the backend over the elements in the host's memory; from another device they are copied there and back. */
        HOST,
        /** A typed error, before the engine is reached. */
        REFUSED
    }

    /** A detour with an immutable set of dtypes. */
    public Detour {
        dtypes = Set.copyOf(dtypes);
    }
}
