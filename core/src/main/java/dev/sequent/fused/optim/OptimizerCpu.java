package dev.sequent.fused.optim;

import dev.sequent.fused.HostTensors;
import dev.sequent.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/** {@link OptimizerKernel} over F32 tensors in host memory. */
final class OptimizerCpu implements OptimizerKernel {
    private final HostTensors host;
    private final TensorSteps kernel;

    OptimizerCpu(HostTensors host) {
        this.host = host;
        this.kernel = TensorSteps.of(host.vectorised());
    }

    @Override
    public String name() {
        return "optimizer/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor x, boolean changed) {
        return HostTensors.refusal(x).or(() -> changed && !host.isDense(x) ? Optional.of("not laid out densely") : Optional.empty());
    }

    @Override
    public void adamw(List<AdamWStep> steps, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> first, List<Tensor> second) {
        kernel.adamw(host.parallel(), chunks(parameters), steps.toArray(AdamWStep[]::new), segments(parameters), segments(gradients),
            segments(first), segments(second));
    }

    @Override
    public void sgd(List<SgdStep> steps, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> velocities) {
        kernel.sgd(host.parallel(), chunks(parameters), steps.toArray(SgdStep[]::new), segments(parameters), segments(gradients),
            segments(velocities));
    }

    @Override
    public double sumSquares(List<Tensor> tensors) {
        return kernel.sumSquares(host.parallel(), chunks(tensors), segments(tensors));
    }

    private static TensorChunks chunks(List<Tensor> tensors) {
        return new TensorChunks(tensors.stream().mapToLong(Tensor::size).toArray());
    }

    private MemorySegment[] segments(List<Tensor> tensors) {
        return tensors.stream().map(host::read).toArray(MemorySegment[]::new);
    }
}
