package dev.sequent.fused.norm;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Optional;

/** {@link NormKernel} in device code: {@code norm.cu}, which tells how. Thread-safe. */
final class NormCuda implements NormKernel {
    private static final int THREADS = 256;
    private static final int COLUMNS = 32;
    /** Rows are summed in at most so many parts, which depend on the shape alone. */
    private static final int MOST_PARTS = 64;
    private static final int LEAST_PART = 32;

    private final DeviceTensors device;

    NormCuda(DeviceTensors device) {
        this.device = device;
    }

    /** The program for a dtype. */
    static Source source(DType dtype) {
        String t = "<" + DeviceTensors.type(dtype) + ">";
        return DeviceTensors.source(NormCuda.class, "norm", "norm_forward" + t, "norm_backward" + t, "norm_weights" + t, "sum_parts" + t);
    }

    private DeviceCode.Function function(Tensor x, String name) {
        return device.function(x, x.dtype(), () -> source(x.dtype()), name);
    }

    @Override
    public String name() {
        return "norm/cuda";
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return x.size() == 0 ? Optional.of("takes at least one element, given " + x.shape()) : DeviceTensors.refusal(x);
    }

    @Override
    public Result forward(Tensor x, Tensor residual, Tensor weight, Tensor bias, boolean centred, double eps) {
        long rows = DeviceTensors.rows(x);
        Tensor sum = residual == null ? null : device.allocate(x);
        Tensor y = device.allocate(x);
        Tensor mean = centred ? device.scratch(x, rows) : null;
        Tensor rstd = device.scratch(x, rows);
        device.launch(function(x, "norm_forward"), DeviceTensors.forRows(rows, THREADS), device.dense(x), device.dense(residual),
            device.dense(weight),
            device.dense(bias), sum, y, mean, rstd, rows, (int) x.dim(-1), (float) eps);
        return new Result(sum, y, mean, rstd);
    }

    @Override
    public Gradients backward(Tensor dy, Tensor dsum, Tensor s, Tensor weight, Tensor mean, Tensor rstd, boolean bias) {
        long rows = DeviceTensors.rows(s);
        int width = (int) s.dim(-1);
        Tensor ds = device.allocate(s);
        Tensor gradient = device.dense(dy);
        Tensor x = device.dense(s);
        device.launch(function(s, "norm_backward"), DeviceTensors.forRows(rows, THREADS), gradient, device.dense(dsum), x,
            device.dense(weight), mean, rstd, ds, rows, width);
        int block = Math.toIntExact(Math.max(LEAST_PART, Math.ceilDiv(rows, MOST_PARTS)));
        int parts = Math.toIntExact(Math.ceilDiv(rows, block));
        Tensor weightParts = device.allocate(s, DType.F32, Shape.of(parts, width));
        Tensor biasParts = bias ? device.allocate(s, DType.F32, Shape.of(parts, width)) : null;
        int columns = Math.ceilDiv(width, COLUMNS);
        device.launch(function(s, "norm_weights"), Grid.of(columns, THREADS).blocks(columns, parts, 1), gradient, x, mean, rstd,
            weightParts, biasParts, rows,
            width, block);
        Tensor dweight = device.allocate(weight);
        Tensor dbias = bias ? device.allocate(weight) : null;
        device.sumParts(function(s, "sum_parts"), weightParts, parts, dweight);
        device.sumParts(function(s, "sum_parts"), biasParts, parts, dbias);
        return new Gradients(ds, dweight, dbias);
    }
}
