package dev.sequent.fused.loss;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;
import java.util.Optional;

/**
 * {@link CrossEntropyKernel} in device code: {@code cross_entropy.cu}, which tells how. Losses have the dtype of the logits, their
 * logarithmic sums are F32. Targets are checked on the device, and the host waits for the answer, except while work is
 * recorded for a graph. Thread-safe.
 */
final class CrossEntropyCuda implements CrossEntropyKernel {
    private static final int THREADS = 256;

    private final DeviceTensors device;

    CrossEntropyCuda(DeviceTensors device) {
        this.device = device;
    }

    /** The program for dtypes of logits and targets. */
    static Source source(DType dtype, DType index) {
        String t = DeviceTensors.type(dtype);
        String both = "<" + t + ", " + DeviceTensors.type(index) + ">";
        return DeviceTensors.source(CrossEntropyCuda.class, "cross_entropy", "loss_forward" + both, "loss_backward" + both,
            "loss_and_gradient" + both,
            "mean_loss<" + t + ">", "check_indices<" + DeviceTensors.type(index) + ">");
    }

    private DeviceCode.Function function(Tensor logits, Tensor targets, String name) {
        return device.function(logits, List.of(logits.dtype(), targets.dtype()), () -> source(logits.dtype(), targets.dtype()), name);
    }

    @Override
    public String name() {
        return "cross-entropy/cuda";
    }

    @Override
    public Optional<String> refusal(Tensor logits) {
        return logits.size() == 0 ? Optional.of("takes at least one element, given " + logits.shape()) : DeviceTensors.refusal(logits);
    }

    /** Checks that targets are below V; tells their number as {@link DeviceTensors#checkIndices} does. */
    private Tensor check(Tensor logits, Tensor targets) {
        return device.checkIndices("cross_entropy", function(logits, targets, "check_indices"), targets, logits.dim(-1), true);
    }

    @Override
    public Losses forward(Tensor logits, Tensor targets) {
        Tensor indices = device.dense(targets);
        check(logits, indices);
        Tensor loss = device.allocate(logits, logits.dtype(), targets.shape());
        Tensor lse = device.allocate(logits, DType.F32, targets.shape());
        device.launch(function(logits, targets, "loss_forward"), DeviceTensors.forRows(targets.size(), THREADS), device.dense(logits),
            indices, loss, lse,
            targets.size(), (int) logits.dim(-1));
        return new Losses(loss, lse);
    }

    @Override
    public Tensor backward(Tensor dloss, Tensor logits, Tensor targets, Tensor logSumExp) {
        Tensor dlogits = device.allocate(logits);
        device.launch(function(logits, targets, "loss_backward"), DeviceTensors.forRows(targets.size(), THREADS), device.dense(dloss),
            device.dense(logits),
            device.dense(targets), logSumExp, dlogits, targets.size(), (int) logits.dim(-1));
        return dlogits;
    }

    @Override
    public Mean mean(Tensor logits, Tensor targets, boolean withGradient) {
        Tensor indices = device.dense(targets);
        Tensor found = check(logits, indices);
        Tensor gradient = withGradient ? device.allocate(logits) : null;
        Tensor losses = device.scratch(logits, targets.size());
        device.launch(function(logits, targets, "loss_and_gradient"), DeviceTensors.forRows(targets.size(), THREADS), device.dense(logits),
            indices, losses, gradient,
            found, targets.size(), (int) logits.dim(-1));
        Tensor loss = device.allocate(logits, logits.dtype(), Shape.of());
        device.launch(function(logits, targets, "mean_loss"), DeviceTensors.forRows(1, THREADS), losses, targets.size(), found, loss);
        return new Mean(loss, gradient);
    }

    @Override
    public Tensor scale(Tensor gradient, Tensor dloss) {
        if (dloss.device().capturing()) {
            return gradient.mul(dloss);
        }
        double factor = dloss.item();
        return factor == 1 ? gradient : gradient.mul(factor);
    }
}
