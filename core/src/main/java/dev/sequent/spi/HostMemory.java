package dev.sequent.spi;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * Capability of a backend whose tensors lie in this process's native memory: what a fused CPU kernel needs. Thread-safe.
 */
public interface HostMemory {
    /** The backend's thread pool. */
    Parallel parallel();

    /**
     * To what the operands of F32 matrix products may be rounded: F32, so that they are not, or BF16, with F32 sums. Kernels that contain
     * matrix products follow it.
     */
    default DType products() {
        return DType.F32;
    }

    /**
     * The opened provider of matrix products, empty where the backend uses its own. Kernels may call it from tasks of {@link #parallel()};
     * it is closed with the backend.
     */
    default Optional<MatmulProvider.Matmul> matmulProvider() {
        return Optional.empty();
    }

    /**
     * The memory of a handle's elements with its layout. Valid until the handle is released.
     */
    View view(TensorHandle handle);

    /** A new handle with uninitialised, contiguous, 64-byte aligned memory. */
    TensorHandle allocate(Shape shape, DType dtype, int device);

    /**
     * x W^T over the last axis for a few rows of x, as in generation, in one call; the same numbers as the matrix product of all rows.
     *
     * @param x (..., k)
     * @param weight (n, k), of the dtype of x
     * @return a new handle (..., n); empty where the backend has nothing faster than the matrix product for these operands
     */
    default Optional<TensorHandle> project(TensorHandle x, TensorHandle weight) {
        return Optional.empty();
    }

    /**
     * Elements of a tensor in native memory.
     *
     * @param segment the memory, starting at element 0 of the view and reaching at least to its last element
     * @param strides distance of neighbours along each axis, in elements; 0 along a broadcast axis
     * @param contiguous whether the strides are those of a row-major tensor without gaps
     */
    record View(MemorySegment segment, long[] strides, boolean contiguous) {}
}
