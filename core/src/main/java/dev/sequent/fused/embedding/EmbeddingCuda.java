package dev.sequent.fused.embedding;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;
import java.util.Optional;

/**
 * {@link EmbeddingKernel} in device code: {@code embedding.cu}, which tells how. Ids are checked on the device, and the host waits for the
 * answer, except while work is recorded for a graph: in its replays an id outside of the table gives NaN. Thread-safe.
 */
final class EmbeddingCuda implements EmbeddingKernel {
    private static final int THREADS = 128;
    /** Columns of the table that a block of the derivative adds up. */
    private static final int COLUMNS = 4 * THREADS;

    private final DeviceTensors device;

    EmbeddingCuda(DeviceTensors device) {
        this.device = device;
    }

    /** The program for dtypes of the table and the ids. */
    static Source source(DType dtype, DType index) {
        String t = DeviceTensors.type(dtype);
        String both = "<" + t + ", " + DeviceTensors.type(index) + ">";
        return DeviceTensors.source(EmbeddingCuda.class, "embedding", "embedding_forward" + both, "embedding_backward" + both, "fill_zero<"
            + t + ">",
            "check_indices<" + DeviceTensors.type(index) + ">");
    }

    private DeviceCode.Function function(Tensor table, Tensor ids, String name) {
        return device.function(table, List.of(table.dtype(), ids.dtype()), () -> source(table.dtype(), ids.dtype()), name);
    }

    @Override
    public String name() {
        return "embedding/cuda";
    }

    @Override
    public Optional<String> refusal(Tensor table) {
        if (table.size() == 0 || table.dim(1) > 65535L * COLUMNS) {
            return Optional.of("takes at least one element and at most " + 65535L * COLUMNS + " columns, given " + table.shape());
        }
        return DeviceTensors.refusal(table);
    }

    @Override
    public Tensor forward(Tensor table, Tensor ids) {
        Tensor indices = device.dense(ids);
        Tensor y = device.allocate(table, table.dtype(), ids.shape().insert(-1, table.dim(1)));
        if (ids.size() > 0) {
            device.checkIndices("embedding", function(table, ids, "check_indices"), indices, table.dim(0), false);
            device.launch(function(table, ids, "embedding_forward"), DeviceTensors.covering(y.size()), device.dense(table), indices, y,
                y.size(), table.dim(0), (int) table.dim(1));
        }
        return y;
    }

    @Override
    public Tensor backward(Tensor dy, Tensor ids, long vocabulary) {
        int width = (int) dy.dim(-1);
        int rows = Math.toIntExact(ids.size());
        Tensor dtable = device.allocate(dy, dy.dtype(), Shape.of(vocabulary, width));
        device.launch(function(dy, ids, "fill_zero"), DeviceTensors.covering(dtable.size()), dtable, dtable.size());
        device.launch(function(dy, ids, "embedding_backward"), Grid.of(rows, THREADS).blocks(rows, Math.ceilDiv(width, COLUMNS), 1),
            device.dense(dy),
            device.dense(ids), dtable, (long) rows, vocabulary, width);
        return dtable;
    }
}
