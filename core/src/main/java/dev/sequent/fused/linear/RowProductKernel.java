package dev.sequent.fused.linear;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/**
 * Contract of linear maps of a few rows, as in generation, where a token is a row: one call, with the numbers of the matrix product. Called
 * without recording.
 */
public interface RowProductKernel extends Kernel {
    /**
     * x W^T over the last axis.
     *
     * @param x (..., in)
     * @param weight (out, in), of the dtype of x
     * @return (..., out); empty where this kernel is not for these operands
     */
    Optional<Tensor> project(Tensor x, Tensor weight);
}
