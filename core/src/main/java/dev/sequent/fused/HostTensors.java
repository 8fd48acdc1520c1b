package dev.sequent.fused;

import dev.sequent.spi.HostMemory;
import dev.sequent.spi.HostMemory.View;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.spi.Parallel;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * How kernels on host memory read and make tensors. To be used inside a scope, as custom operations are: dense copies of operands
 * and scratch tensors belong to it. Thread-safe.
 */
public final class HostTensors {
    /** Few enough that numbers of rows and of tasks can be added up as ints. */
    private static final long MOST_ROWS = 1 << 30;

    private final HostMemory memory;
    private final boolean vectorised;

    /**
     * Access to the tensors of one backend.
     *
     * @param vectorised whether kernels should use vector instructions
     */
    public HostTensors(HostMemory memory, boolean vectorised) {
        this.memory = memory;
        this.vectorised = vectorised && Simd.available();
    }

    /** Whether kernels use vector instructions. */
    public boolean vectorised() {
        return vectorised;
    }

    /** How kernels compute, for their names: {@code vector} or {@code scalar}. */
    public String flavour() {
        return vectorised ? "vector" : "scalar";
    }

    /** The backend's thread pool. */
    public Parallel parallel() {
        return memory.parallel();
    }

    /** To what the operands of F32 matrix products inside kernels may be rounded, F32 or BF16: {@link HostMemory#products()}. */
    public DType products() {
        return memory.products();
    }

    /** The provider of matrix products, to be called from tasks of {@link #parallel()} too; empty where there is none. */
    public Optional<MatmulProvider.Matmul> matmulProvider() {
        return memory.matmulProvider();
    }

    /** Why a kernel for rows of F32 cannot work on a tensor; empty when it can. */
    public static Optional<String> refusal(Tensor x) {
        if (x.dtype() != DType.F32) {
            return Optional.of("takes F32, given " + x.dtype());
        }
        if (x.rank() == 0) {
            return Optional.empty();
        }
        boolean fits = x.dim(-1) <= Integer.MAX_VALUE - 64 && x.size() / Math.max(1, x.dim(-1)) <= MOST_ROWS;
        return fits ? Optional.empty() : Optional.of("takes at most " + MOST_ROWS + " rows, of fewer than 2^31 - 64 elements, given "
                + x.shape());
    }

    /** The elements of a tensor in row-major order without gaps; a copy where it is not laid out so. */
    public MemorySegment read(Tensor x) {
        View view = memory.view(x.handle());
        return view.contiguous() ? view.segment() : memory.view(x.contiguous().handle()).segment();
    }

    /** The elements of a tensor where they lie, with their strides: for kernels that take slices of wider tensors. */
    public View view(Tensor x) {
        return memory.view(x.handle());
    }

    /** {@link #read}, or null for null. */
    public MemorySegment readOrNull(Tensor x) {
        return x == null ? null : read(x);
    }

    /** Whether {@link #read} gives the memory of the tensor itself, so that a kernel can change it in place. */
    public boolean isDense(Tensor x) {
        return memory.view(x.handle()).contiguous();
    }

    /** An integer tensor as indices. */
    public Indices indices(Tensor ids) {
        return new Indices(read(ids), ids.dtype() == DType.I64);
    }

    /** An uninitialised dense tensor on the device of {@code like}. */
    public Tensor allocate(Tensor like, DType dtype, Shape shape) {
        return Tensor.wrap(like.device(), memory.allocate(shape, dtype, like.device().index()));
    }

    /** An uninitialised dense tensor with the device, dtype and shape of {@code like}. */
    public Tensor allocate(Tensor like) {
        return allocate(like, like.dtype(), like.shape());
    }

    /** x W^T over the last axis in one call, where the backend has such a product for a few rows; see {@link HostMemory#project}. */
    public Optional<Tensor> project(Tensor x, Tensor weight) {
        return memory.project(x.handle(), weight.handle()).map(y -> Tensor.wrap(x.device(), y));
    }

    /** Memory for {@code elements} elements of 4 bytes, of any content, on the device of {@code like}. */
    public MemorySegment scratch(Tensor like, long elements) {
        return read(allocate(like, DType.F32, Shape.of(elements)));
    }

    /** Number of rows of a tensor whose last axis is a row. */
    public static int rows(Tensor x) {
        return x.size() == 0 ? 0 : Math.toIntExact(x.size() / x.dim(-1));
    }
}
