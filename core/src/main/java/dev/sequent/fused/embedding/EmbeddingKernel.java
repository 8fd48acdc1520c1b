package dev.sequent.fused.embedding;

import dev.sequent.kernel.Kernel;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** Contract of a fused table look-up; see {@link Lookup}. Called without recording, inside a scope. */
public interface EmbeddingKernel extends Kernel {
    /** Why this kernel cannot work on the table; empty when it can. */
    Optional<String> refusal(Tensor table);

    /** Rows of the table (V, D) for ids of any shape; ids out of range are a {@link dev.sequent.type.ShapeException}. */
    Tensor forward(Tensor table, Tensor ids);

    /** Derivative by the table: (V, D), equal sums for any number of threads. */
    Tensor backward(Tensor dy, Tensor ids, long vocabulary);
}
