package dev.sequent.transformer.position;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Rows;
import dev.sequent.spi.HostMemory.View;
import dev.sequent.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link RotaryKernel} over F32 tensors in host memory. */
final class RotaryCpu implements RotaryKernel {
    private final HostTensors host;
    private final RotaryMath math;

    RotaryCpu(HostTensors host) {
        this.host = host;
        this.math = RotaryMath.of(host.vectorised());
    }

    @Override
    public String name() {
        return "rotary/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return HostTensors.refusal(x);
    }

    @Override
    public Tensor rotate(Tensor x, RotaryTable table, int[] positions, boolean inverse) {
        View view = host.view(x);
        View source = view.strides()[3] == 1 || x.dim(3) == 1 ? view : host.view(x.contiguous());
        Tensor y = host.allocate(x);
        MemorySegment target = host.read(y);
        int time = (int) x.dim(1);
        int heads = (int) x.dim(2);
        int width = (int) x.dim(3);
        float sign = inverse ? -1 : 1;
        Rows.forEach(host.parallel(), positions.length, heads * width, (from, to) -> {
            for (int r = from; r < to; r++) {
                long at = r / time * source.strides()[0] + r % time * source.strides()[1];
                for (int h = 0; h < heads; h++) {
                    MemorySegment in = source.segment().asSlice((at + h * source.strides()[2]) * Float.BYTES, width * 4L);
                    MemorySegment out = target.asSlice(((long) r * heads + h) * width * Float.BYTES, width * 4L);
                    math.rotate(in, out, table, positions[r] * table.half(), table.half(), width, sign);
                }
            }
        });
        return y;
    }
}
