package dev.sequent.fused.embedding;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Indices;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.Shape;
import java.util.Optional;

/** {@link EmbeddingKernel} over F32 tables in host memory. */
final class EmbeddingCpu implements EmbeddingKernel {
    private final HostTensors host;
    private final EmbeddingRows kernel;

    EmbeddingCpu(HostTensors host) {
        this.host = host;
        this.kernel = EmbeddingRows.of(host.vectorised());
    }

    @Override
    public String name() {
        return "embedding/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor table) {
        return table.dim(0) > Integer.MAX_VALUE - 64 ? Optional.of("table is too long") : HostTensors.refusal(table);
    }

    @Override
    public Tensor forward(Tensor table, Tensor ids) {
        Indices indices = host.indices(ids);
        int rows = Math.toIntExact(ids.size());
        indices.check("embedding", rows, table.dim(0), false);
        Tensor y = host.allocate(table, table.dtype(), ids.shape().insert(-1, table.dim(1)));
        kernel.forward(host.parallel(), host.read(table), indices, host.read(y), rows, (int) table.dim(1));
        return y;
    }

    @Override
    public Tensor backward(Tensor dy, Tensor ids, long vocabulary) {
        int rows = Math.toIntExact(ids.size());
        int width = (int) dy.dim(-1);
        Tensor dtable = host.allocate(dy, dy.dtype(), Shape.of(vocabulary, width));
        kernel.backward(host.parallel(), host.read(dy), host.indices(ids), host.read(dtable),
            host.scratch(dy, EmbeddingRows.scratchInts(rows)), rows, width, (int) vocabulary);
        return dtable;
    }
}
