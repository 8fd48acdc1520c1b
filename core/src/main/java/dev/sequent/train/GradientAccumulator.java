package dev.sequent.train;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/** Adds up gradients of several batches. Owns the sums; used by one thread. */
public final class GradientAccumulator implements AutoCloseable {
    private final Map<Parameter, Tensor> sums = new LinkedHashMap<>();

    /** An accumulator at zero. */
    public GradientAccumulator() {}

    /** Adds the gradients of one batch, which stay owned by the caller. */
    public void add(Map<Parameter, Tensor> gradients) {
        gradients.forEach((parameter, gradient) -> {
            Tensor present = sums.get(parameter);
            if (present == null) {
                sums.put(parameter, gradient.alias().own());
            } else {
                sums.put(parameter, Scope.returning(() -> present.add(gradient)).own());
                present.close();
            }
        });
    }

    /**
     * Differentiates a loss and adds {@code share} times its gradients; only one batch's activations are in memory at a time.
     *
     * @param body computes the loss, a scalar
     * @return {@code share} times the loss
     */
    public double add(Collection<Parameter> parameters, Supplier<Tensor> body, double share) {
        try (Scope _ = Scope.open()) {
            Gradients g = Autograd.valueAndGrad(parameters, () -> share == 1 ? body.get() : body.get().mul(share));
            Map<Parameter, Tensor> byParameter = new LinkedHashMap<>();
            parameters.forEach(p -> byParameter.put(p, g.of(p)));
            add(byParameter);
            return g.loss().item();
        }
    }

    /** The sums; they stay owned by this accumulator and are gone once it is closed. */
    public Map<Parameter, Tensor> gradients() {
        return Collections.unmodifiableMap(sums);
    }

    @Override
    public void close() {
        sums.values().forEach(Tensor::close);
        sums.clear();
    }
}
