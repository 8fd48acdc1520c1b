package dev.sequent.fused.glu;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.Optional;

/** {@link SwigluKernel} in device code: {@code swiglu.cu}. Halves of one tensor are read and written where they lie. Thread-safe. */
final class SwigluCuda implements SwigluKernel {
    private final DeviceTensors device;

    SwigluCuda(DeviceTensors device) {
        this.device = device;
    }

    /** The program for a dtype. */
    static Source source(DType dtype) {
        String t = "<" + DeviceTensors.type(dtype) + ">";
        return DeviceTensors.source(SwigluCuda.class, "swiglu", "swiglu_forward" + t, "swiglu_backward" + t);
    }

    private DeviceCode.Function function(Tensor x, String name) {
        return device.function(x, x.dtype(), () -> source(x.dtype()), name);
    }

    @Override
    public String name() {
        return "swiglu/cuda";
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return x.size() == 0 ? Optional.of("takes at least one element, given " + x.shape()) : DeviceTensors.refusal(x);
    }

    @Override
    public Tensor forward(Tensor gate, Tensor up) {
        Tensor y = device.allocate(gate);
        forward(device.dense(gate), 0, device.dense(up), 0, y, 1, 1);
        return y;
    }

    @Override
    public Tensor[] backward(Tensor dy, Tensor gate, Tensor up) {
        Tensor dgate = device.allocate(gate);
        Tensor dup = device.allocate(up);
        backward(dy, device.dense(gate), 0, device.dense(up), 0, dgate, dup, 1, 1);
        return new Tensor[] {dgate, dup};
    }

    @Override
    public Tensor forwardHalves(Tensor x, boolean gateFirst) {
        int width = (int) (x.dim(-1) / 2);
        Tensor y = device.allocate(x, x.dtype(), x.shape().with(-1, width));
        Tensor data = device.dense(x);
        forward(data, gateFirst ? 0 : width, data, gateFirst ? width : 0, y, width, 2L * width);
        return y;
    }

    @Override
    public Tensor backwardHalves(Tensor dy, Tensor x, boolean gateFirst) {
        int width = (int) dy.dim(-1);
        Tensor dx = device.allocate(x);
        Tensor data = device.dense(x);
        backward(dy, data, gateFirst ? 0 : width, data, gateFirst ? width : 0, dx, dx, width, 2L * width);
        return dx;
    }

    private void forward(Tensor gate, int gateAt, Tensor up, int upAt, Tensor y, int width, long distance) {
        device.launch(function(y, "swiglu_forward"), DeviceTensors.covering(y.size()), gate, gateAt, up, upAt, y, y.size(), width,
            distance);
    }

    private void backward(Tensor dy, Tensor gate, int gateAt, Tensor up, int upAt, Tensor dgate, Tensor dup, int width, long distance) {
        device.launch(function(dy, "swiglu_backward"), DeviceTensors.covering(dy.size()), device.dense(dy), gate, gateAt, up, upAt, dgate,
            dup, dy.size(), width, distance);
    }
}
