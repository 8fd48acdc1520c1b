package dev.sequent.spi;

import dev.sequent.type.DType;
import java.util.Set;

/**
 * What one device of a backend can do.
 *
 * @param description hardware and software behind the device, in one line
 * @param dtypes element types whose tensors can be created and computed with
 * @param vectorised whether the device's fast kernels are in use; otherwise the description says why not
 */
public record Capabilities(String description, Set<DType> dtypes, boolean vectorised) {}
