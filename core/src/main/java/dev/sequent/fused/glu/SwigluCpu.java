package dev.sequent.fused.glu;

import dev.sequent.fused.HostTensors;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link SwigluKernel} over F32 rows in host memory. */
final class SwigluCpu implements SwigluKernel {
    /** Tensors without gaps are cut into rows of this length, which share out evenly. */
    private static final int ROW = 4096;

    private final HostTensors host;
    private final SwigluRows kernel;

    SwigluCpu(HostTensors host) {
        this.host = host;
        this.kernel = SwigluRows.of(host.vectorised());
    }

    @Override
    public String name() {
        return "swiglu/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return HostTensors.refusal(x);
    }

    private static SwigluRows.Matrix flat(MemorySegment segment) {
        return new SwigluRows.Matrix(segment, 0, ROW);
    }

    @Override
    public Tensor forward(Tensor gate, Tensor up) {
        Tensor y = host.allocate(gate);
        kernel.forward(host.parallel(), flat(host.read(gate)), flat(host.read(up)), flat(host.read(y)), y.size(), ROW);
        return y;
    }

    @Override
    public Tensor[] backward(Tensor dy, Tensor gate, Tensor up) {
        Tensor dgate = host.allocate(gate);
        Tensor dup = host.allocate(up);
        kernel.backward(host.parallel(), flat(host.read(dy)), flat(host.read(gate)), flat(host.read(up)), flat(host.read(dgate)),
            flat(host.read(dup)), dy.size(), ROW);
        return new Tensor[] {dgate, dup};
    }

    @Override
    public Tensor forwardHalves(Tensor x, boolean gateFirst) {
        int width = (int) (x.dim(-1) / 2);
        Shape half = x.shape().with(-1, width);
        Tensor y = host.allocate(x, x.dtype(), half);
        MemorySegment data = host.read(x);
        kernel.forward(host.parallel(), half(data, width, gateFirst), half(data, width, !gateFirst),
            new SwigluRows.Matrix(host.read(y), 0, width), y.size(), width);
        return y;
    }

    @Override
    public Tensor backwardHalves(Tensor dy, Tensor x, boolean gateFirst) {
        int width = (int) dy.dim(-1);
        Tensor dx = host.allocate(x);
        MemorySegment data = host.read(x);
        MemorySegment derivative = host.read(dx);
        kernel.backward(host.parallel(), new SwigluRows.Matrix(host.read(dy), 0, width), half(data, width, gateFirst),
            half(data, width, !gateFirst), half(derivative, width, gateFirst), half(derivative, width, !gateFirst), dy.size(), width);
        return dx;
    }

    private static SwigluRows.Matrix half(MemorySegment x, int width, boolean first) {
        return new SwigluRows.Matrix(x, first ? 0 : width, 2L * width);
    }
}
