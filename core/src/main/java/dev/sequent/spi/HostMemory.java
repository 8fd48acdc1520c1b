package dev.sequent.spi;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;

/**
 * Capability of a backend whose tensors lie in this process's native memory: what a fused CPU kernel needs. Thread-safe.
 */
public interface HostMemory {
    /** The backend's thread pool. */
    Parallel parallel();

    /**
     * The memory of a handle's elements with its layout. Valid until the handle is released.
     */
    View view(TensorHandle handle);

    /** A new handle with uninitialised, contiguous, 64-byte aligned memory. */
    TensorHandle allocate(Shape shape, DType dtype, int device);

    /**
     * Elements of a tensor in native memory.
     *
     * @param segment the memory, starting at element 0 of the view and reaching at least to its last element
     * @param strides distance of neighbours along each axis, in elements; 0 along a broadcast axis
     * @param contiguous whether the strides are those of a row-major tensor without gaps
     */
    record View(MemorySegment segment, long[] strides, boolean contiguous) {}
}
