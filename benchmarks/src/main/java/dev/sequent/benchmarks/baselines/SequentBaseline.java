package dev.sequent.benchmarks.baselines;

import dev.sequent.autograd.Autograd;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.attention.Attention;
import dev.sequent.transformer.attention.AttentionMask;
import java.util.Arrays;
import java.util.List;

/** Our attention without positions, over all tokens: the same function as the libraries' layers. There is no LSTM here. */
final class SequentBaseline implements Baseline {
    private final Device device = Device.open("cpu");
    private final Scope scope = Scope.open();
    private List<Tensor> projections;
    private Tensor input;
    private Tensor result;

    @Override
    public void prepare(Weights weights, float[] x) {
        if (!weights.layer().equals("attention")) {
            throw new IllegalArgumentException("expected attention, given " + weights.layer() + ", which Sequent does not have");
        }
        projections = Arrays.stream(weights.matrices()).map(w -> Tensor.of(device, w, Weights.WIDTH, Weights.WIDTH)).toList();
        input = Tensor.of(device, x, 1, x.length / Weights.WIDTH, Weights.WIDTH);
    }

    @Override
    public Object call() {
        if (result != null) {
            result.close();
        }
        result = Autograd.noGrad(() -> Scope.returning(() -> {
            Tensor mixed = Attention.apply(heads(0), heads(1), heads(2), AttentionMask.FULL, 1 / Math.sqrt(Weights.WIDTH / Weights.HEADS));
            return mixed.reshape(input.shape().toArray()).matmul(projections.get(3), false, true);
        }));
        device.synchronize();
        return result;
    }

    private Tensor heads(int projection) {
        return input.matmul(projections.get(projection), false, true).reshape(1, input.dim(1), Weights.HEADS,
                Weights.WIDTH / Weights.HEADS);
    }

    @Override
    public float[] result() {
        return result.toFloats();
    }

    @Override
    public void close() {
        scope.close();
        device.close();
    }
}
