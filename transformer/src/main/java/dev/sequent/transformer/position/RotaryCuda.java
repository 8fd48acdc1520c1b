package dev.sequent.transformer.position;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.Arrays;
import java.util.Optional;

/**
 * {@link RotaryKernel} in device code: {@code rotary.cu}. The rows of the table between the smallest and the largest position travel to the
 * device with every call. Thread-safe.
 */
final class RotaryCuda implements RotaryKernel {
    private final DeviceTensors device;

    RotaryCuda(DeviceTensors device) {
        this.device = device;
    }

    /** The program for a dtype. */
    static Source source(DType dtype) {
        return DeviceTensors.source(RotaryCuda.class, "rotary", "rotate<" + DeviceTensors.type(dtype) + ">");
    }

    @Override
    public String name() {
        return "rotary/cuda";
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return x.size() == 0 ? Optional.of("takes at least one element, given " + x.shape()) : DeviceTensors.refusal(x);
    }

    @Override
    public Tensor rotate(Tensor x, RotaryTable table, int[] positions, boolean inverse) {
        Tensor y = device.allocate(x);
        Tensor in = device.strides(x)[3] == 1 || x.dim(3) == 1 ? x : x.contiguous();
        long[] strides = device.strides(in);
        int first = Arrays.stream(positions).min().orElse(0);
        int end = Arrays.stream(positions).max().orElse(0) + 1;
        Tensor cos = Tensor.of(x.device(), Arrays.copyOfRange(table.cos(), first * table.half(), end * table.half()), end - first,
            table.half());
        Tensor sin = Tensor.of(x.device(), Arrays.copyOfRange(table.sin(), first * table.half(), end * table.half()), end - first,
            table.half());
        long[] sizes = {positions.length, x.dim(1), x.dim(2), x.dim(3), table.half(), strides[0], strides[1], strides[2], first};
        long work = positions.length * x.dim(2) * (x.dim(3) - table.half());
        device.launch(device.function(x, x.dtype(), () -> source(x.dtype()), "rotate"), DeviceTensors.covering(work), in, y, cos, sin,
            Tensor.of(x.device(), positions, positions.length), sizes, inverse ? -1f : 1f);
        return y;
    }
}
