package dev.sequent.fused.softmax;

import dev.sequent.fused.HostTensors;
import dev.sequent.tensor.Tensor;
import java.util.Optional;

/** {@link SoftmaxKernel} over F32 rows in host memory. */
final class SoftmaxCpu implements SoftmaxKernel {
    private final HostTensors host;
    private final SoftmaxRows kernel;

    SoftmaxCpu(HostTensors host) {
        this.host = host;
        this.kernel = SoftmaxRows.of(host.vectorised());
    }

    @Override
    public String name() {
        return "softmax/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return HostTensors.refusal(x);
    }

    @Override
    public Tensor forward(Tensor x) {
        Tensor y = host.allocate(x);
        kernel.forward(host.parallel(), host.read(x), host.read(y), HostTensors.rows(x), (int) x.dim(-1));
        return y;
    }

    @Override
    public Tensor backward(Tensor dy, Tensor y) {
        Tensor dx = host.allocate(y);
        kernel.backward(host.parallel(), host.read(dy), host.read(y), host.read(dx), HostTensors.rows(y), (int) y.dim(-1));
        return dx;
    }
}
