package dev.sequent.spi;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;

/**
 * A backend's opaque reference to a tensor value. A handle is immutable except through {@link Backend#write}; whether two
 * handles share memory cannot be observed. Every handle that a backend returns is released exactly once.
 */
public interface TensorHandle {
    /** Shape of the value. */
    Shape shape();

    /** Element type of the value. */
    DType dtype();
}
