package dev.sequent.fused.loss;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Indices;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link CrossEntropyKernel} over F32 rows in host memory. */
final class CrossEntropyCpu implements CrossEntropyKernel {
    private final HostTensors host;
    private final CrossEntropyRows kernel;

    CrossEntropyCpu(HostTensors host) {
        this.host = host;
        this.kernel = CrossEntropyRows.of(host.vectorised());
    }

    @Override
    public String name() {
        return "cross-entropy/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor logits) {
        return HostTensors.refusal(logits);
    }

    private Indices targets(Tensor targets, long vocabulary) {
        Indices indices = host.indices(targets);
        indices.check("cross_entropy", Math.toIntExact(targets.size()), vocabulary, true);
        return indices;
    }

    @Override
    public Losses forward(Tensor logits, Tensor targets) {
        Tensor loss = host.allocate(logits, DType.F32, targets.shape());
        Tensor lse = host.allocate(logits, DType.F32, targets.shape());
        int rows = Math.toIntExact(targets.size());
        kernel.forward(host.parallel(), host.read(logits), targets(targets, logits.dim(-1)), host.read(loss), host.read(lse), rows,
            (int) logits.dim(-1));
        return new Losses(loss, lse);
    }

    @Override
    public Tensor backward(Tensor dloss, Tensor logits, Tensor targets, Tensor logSumExp) {
        Tensor dlogits = host.allocate(logits);
        kernel.backward(host.parallel(), host.read(dloss), host.read(logits), host.indices(targets), host.read(logSumExp),
                host.read(dlogits),
            Math.toIntExact(targets.size()), (int) logits.dim(-1));
        return dlogits;
    }

    @Override
    public Mean mean(Tensor logits, Tensor targets, boolean withGradient) {
        int rows = Math.toIntExact(targets.size());
        int width = (int) logits.dim(-1);
        Indices indices = targets(targets, width);
        int count = 0;
        for (int r = 0; r < rows; r++) {
            count += indices.at(r) >= 0 ? 1 : 0;
        }
        Tensor gradient = withGradient ? host.allocate(logits) : null;
        MemorySegment losses = host.scratch(logits, rows);
        if (withGradient) {
            kernel.forwardWithGradient(host.parallel(), host.read(logits), indices, losses, host.read(gradient), 1f / Math.max(count, 1),
                    rows, width);
        } else {
            kernel.forward(host.parallel(), host.read(logits), indices, losses, host.scratch(logits, rows), rows, width);
        }
        double sum = 0;
        for (int r = 0; r < rows; r++) {
            sum += losses.getAtIndex(JAVA_FLOAT, r);
        }
        Tensor loss = host.allocate(logits, DType.F32, Shape.of());
        host.read(loss).set(JAVA_FLOAT, 0, (float) (sum / Math.max(count, 1)));
        return new Mean(loss, gradient);
    }

    @Override
    public Tensor scale(Tensor gradient, Tensor dloss) {
        float factor = host.read(dloss).get(JAVA_FLOAT, 0);
        return factor == 1 ? gradient : gradient.mul(factor);
    }
}
