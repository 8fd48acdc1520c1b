package dev.sequent.fused.embedding;

import dev.sequent.autograd.CustomOp;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DTypeException;
import java.util.Optional;

/**
 * Look-up of rows in a table by integer ids, as embeddings do. Differentiable by the table. A kernel of the device is used where
 * there is one, else tensor operations.
 */
public final class Lookup {
    private Lookup() {}

    /**
     * Rows of the table.
     *
     * @param table (V, D)
     * @param ids I32 or I64 in [0, V), any shape (...)
     * @return (..., D)
     * @throws dev.sequent.type.ShapeException when an id is out of range
     */
    public static Tensor apply(Tensor table, Tensor ids) {
        table.expect("embedding table", -1, -1);
        if (!ids.dtype().isInteger()) {
            throw new DTypeException("embedding", "ids of an integer dtype", ids.toString());
        }
        Optional<EmbeddingKernel> kernel = KernelTable.of(table.device()).select(EmbeddingKernel.class, k -> k.refusal(table));
        return kernel.isPresent() ? CustomOp.apply(new Fused(kernel.get(), table.dim(0)), table, ids)[0] : decompose(table, ids);
    }

    /** The decomposition: runs on every backend and is what kernels are compared with. */
    static Tensor decompose(Tensor table, Tensor ids) {
        return table.indexSelect(0, ids.reshape(ids.size())).reshape(ids.shape().insert(-1, table.dim(1)));
    }

    /** The kernel and its derivative on the tape; operands table and ids. */
    private record Fused(EmbeddingKernel kernel, long vocabulary) implements CustomOp {
        @Override
        public String name() {
            return "embedding";
        }

        @Override
        public Tensor[] forward(Tensor[] in, Saver save) {
            save.save(in[1]);
            return new Tensor[] {kernel.forward(in[0], in[1])};
        }

        @Override
        public Tensor[] backward(Tensor[] saved, boolean[] needed, Tensor[] gradients) {
            return new Tensor[] {kernel.backward(gradients[0], saved[0], vocabulary), null};
        }
    }
}
