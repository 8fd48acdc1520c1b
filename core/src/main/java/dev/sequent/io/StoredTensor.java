package dev.sequent.io;

import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;

/**
 * A tensor in a file.
 *
 * @param name  checkpoint name, such as {@code backbone.layers.0.mixer.A_log}
 * @param dtype element type of the stored bytes
 * @param shape sizes of the axes; data is row-major
 * @param bytes number of bytes, equal to elements times bytes per element
 */
public record StoredTensor(String name, DType dtype, Shape shape, long bytes) {
    /** Checks the number of bytes. */
    public StoredTensor {
        if (bytes != SafetensorsHeader.bytes(dtype, shape)) {
            throw new CheckpointException("safetensors", SafetensorsHeader.bytes(dtype, shape) + " bytes for " + dtype + " " + shape,
                    bytes + "");
        }
    }
}
