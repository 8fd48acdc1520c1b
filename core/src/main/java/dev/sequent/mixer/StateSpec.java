package dev.sequent.mixer;

import dev.sequent.tensor.Device;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;

/**
 * What a state is for.
 *
 * @param batch rows, B
 * @param capacity the most tokens per row that a growing state must hold; recurrent states have no limit and ignore it
 * @param dtype element type of stored activations
 * @param device where the state lives
 */
public record StateSpec(int batch, int capacity, DType dtype, Device device) {
    /** Checks the sizes. */
    public StateSpec {
        if (batch < 1 || capacity < 1 || !dtype.isFloat()) {
            throw new ConfigException("state", "batch >= 1, capacity >= 1 and a float dtype",
                    "batch " + batch + ", capacity " + capacity + ", " + dtype);
        }
    }
}
