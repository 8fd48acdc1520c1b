package dev.sequent.nn;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.function.Supplier;

/**
 * Where and how new parameters are made: device, element type and the random stream they are drawn from. Initial values are
 * drawn in F32 (or F64) and then converted, so that a model has the same values in every dtype up to rounding.
 *
 * @param device where parameters live
 * @param dtype element type of parameters that are not kept in F32
 * @param rng the stream; one stream for the whole model makes it reproducible from one seed
 */
public record Init(Device device, DType dtype, Rng rng) {
    /** F32 parameters from the stream of {@code seed}. */
    public Init(Device device, long seed) {
        this(device, DType.F32, new Rng(seed));
    }

    /** Normal values. */
    public Tensor normal(double std, long... shape) {
        return make(() -> rng.normal(device, wide(), 0, std, shape));
    }

    /** Uniform values in [low, high). */
    public Tensor uniform(double low, double high, long... shape) {
        return make(() -> rng.uniform(device, wide(), low, high, shape));
    }

    /** PyTorch's default for linear layers: uniform in +-1/sqrt(fanIn), that is kaiming_uniform with a = sqrt 5. */
    public Tensor kaiming(long fanIn, long... shape) {
        double bound = 1 / Math.sqrt(fanIn);
        return uniform(-bound, bound, shape);
    }

    /** Equal values. */
    public Tensor constant(double value, long... shape) {
        return make(() -> Tensor.full(device, dtype, value, shape));
    }

    /** Any computed value, converted to the parameters' dtype. */
    public Tensor make(Supplier<Tensor> value) {
        return Scope.returning(() -> value.get().cast(dtype).contiguous());
    }

    private DType wide() {
        return dtype == DType.F64 ? DType.F64 : DType.F32;
    }
}
