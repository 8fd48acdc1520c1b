package dev.sequent.nn;

import dev.sequent.op.CompareOp;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.Optional;

/** Zeroes a fraction of the elements in training and scales up the rest (Srivastava et al. 2014). */
public final class Dropout {
    private Dropout() {}

    /**
     * Applies dropout.
     *
     * @param p probability that an element becomes zero, in [0, 1)
     * @param rng the random stream; empty in evaluation, where {@code x} passes unchanged
     */
    public static Tensor apply(Tensor x, double p, Optional<Rng> rng) {
        if (!(p >= 0 && p < 1)) {
            throw new ConfigException("dropout", "a probability in [0, 1)", p + "");
        }
        if (p == 0 || rng.isEmpty()) {
            return x;
        }
        Tensor keep = rng.get().unit(x.device(), DType.F32, x.shape().toArray()).compare(CompareOp.GE, p);
        return keep.where(x.mul(1 / (1 - p)), Tensor.zeros(x.device(), x.dtype()));
    }
}
