package dev.sequent.train;

import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/** Adds up gradients of several batches. Owns the sums; used by one thread. */
public final class GradientAccumulator implements AutoCloseable {
    private final Map<Parameter, Tensor> sums = new LinkedHashMap<>();

    /** An accumulator at zero. */
    public GradientAccumulator() {}

    /** Adds the gradients of one batch. */
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

    /** The sums; they stay owned by this accumulator. */
    public Map<Parameter, Tensor> gradients() {
        return sums;
    }

    @Override
    public void close() {
        sums.values().forEach(Tensor::close);
        sums.clear();
    }
}
