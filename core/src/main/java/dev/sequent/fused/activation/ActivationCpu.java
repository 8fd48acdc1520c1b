package dev.sequent.fused.activation;

import dev.sequent.autograd.UnaryDerivativeKernel;
import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Rows;
import dev.sequent.op.UnaryOp;
import dev.sequent.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link UnaryDerivativeKernel} of activations over F32 tensors in host memory. Thread-safe. */
final class ActivationCpu implements UnaryDerivativeKernel {
    /** Tensors are cut into rows of this length, which share out evenly. */
    private static final int ROW = 4096;

    private final HostTensors host;
    private final ActivationMath math;

    ActivationCpu(HostTensors host) {
        this.host = host;
        this.math = ActivationMath.of(host.vectorised());
    }

    @Override
    public String name() {
        return "derivatives of activations/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(UnaryOp f, Tensor x) {
        return ActivationMath.has(f) ? HostTensors.refusal(x) : Optional.of("has no derivative of " + f);
    }

    @Override
    public Tensor derivative(UnaryOp f, Tensor dy, Tensor value) {
        Tensor dx = f == UnaryOp.GELU ? value.mul(Math.sqrt(0.5)).unary(UnaryOp.ERF).contiguous() : host.allocate(value);
        MemorySegment from = host.read(dy);
        MemorySegment values = host.read(value);
        MemorySegment to = host.read(dx);
        long size = value.size();
        Rows.forEach(host.parallel(), Math.toIntExact(Math.ceilDiv(size, ROW)), ROW, (first, end) -> {
            for (int r = first; r < end; r++) {
                long at = (long) r * ROW;
                math.derivative(f, from, values, to, at, (int) Math.min(ROW, size - at));
            }
        });
        return dx;
    }
}
