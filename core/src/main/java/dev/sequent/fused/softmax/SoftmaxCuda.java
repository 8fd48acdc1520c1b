package dev.sequent.fused.softmax;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.Optional;

/** {@link SoftmaxKernel} in device code: {@code softmax.cu}. Thread-safe. */
final class SoftmaxCuda implements SoftmaxKernel {
    private static final int THREADS = 256;

    private final DeviceTensors device;

    SoftmaxCuda(DeviceTensors device) {
        this.device = device;
    }

    /** The program for a dtype. */
    static Source source(DType dtype) {
        String t = "<" + DeviceTensors.type(dtype) + ">";
        return DeviceTensors.source(SoftmaxCuda.class, "softmax", "softmax_forward" + t, "softmax_backward" + t);
    }

    private DeviceCode.Function function(Tensor x, String name) {
        return device.function(x, x.dtype(), () -> source(x.dtype()), name);
    }

    @Override
    public String name() {
        return "softmax/cuda";
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return x.size() == 0 ? Optional.of("takes at least one element, given " + x.shape()) : DeviceTensors.refusal(x);
    }

    @Override
    public Tensor forward(Tensor x) {
        Tensor y = device.allocate(x);
        long rows = DeviceTensors.rows(x);
        device.launch(function(x, "softmax_forward"), DeviceTensors.forRows(rows, THREADS), device.dense(x), y, rows, (int) x.dim(-1));
        return y;
    }

    @Override
    public Tensor backward(Tensor dy, Tensor y) {
        Tensor dx = device.allocate(y);
        long rows = DeviceTensors.rows(y);
        device.launch(function(y, "softmax_backward"), DeviceTensors.forRows(rows, THREADS), device.dense(dy), device.dense(y), dx, rows,
            (int) y.dim(-1));
        return dx;
    }
}
