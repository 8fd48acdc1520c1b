package dev.sequent.nn;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * Where and how new parameters are made: device, element type and the random stream they are drawn from. Initial values are
 * drawn in F32 (or F64) and then converted, so that a model has the same values in every dtype up to rounding.
 *
 * <p>One stream for the whole model makes it reproducible from one seed. Used by one thread.
 */
public final class Init {
    private final Device device;
    private final DType dtype;
    private final Rng rng;
    /** What has been made, or null where nobody wants to know. */
    private final Ledger ledger;
    private final boolean blank;

    /** Tensors that have been made, and how many values they may still grow to. */
    private static final class Ledger {
        final List<Tensor> made = new ArrayList<>();
        long left;

        Ledger(long left) {
            this.left = left;
        }
    }

    private Init(Device device, DType dtype, Rng rng, Ledger ledger, boolean blank) {
        this.device = device;
        this.dtype = dtype;
        this.rng = rng;
        this.ledger = ledger;
        this.blank = blank;
    }

    /** Parameters of type {@code dtype}, where they are not kept in F32, from the stream {@code rng}. */
    public Init(Device device, DType dtype, Rng rng) {
        this(device, dtype, rng, null, false);
    }

    /** F32 parameters from the stream of {@code seed}. */
    public Init(Device device, long seed) {
        this(device, DType.F32, new Rng(seed));
    }

    /** Zeros instead of random values, which saves their work where they are replaced at once, as when a model is loaded. */
    public static Init blank(Device device, DType dtype) {
        return new Init(device, dtype, new Rng(0), null, true);
    }

    /** Where parameters live. */
    public Device device() {
        return device;
    }

    /** Element type of parameters that are not kept in F32. */
    public DType dtype() {
        return dtype;
    }

    /** The stream. */
    public Rng rng() {
        return rng;
    }

    /** The same device and stream for parameters of another type. */
    public Init withDType(DType other) {
        return new Init(device, other, rng, ledger, blank);
    }

    /**
     * The same, but remembering what it makes, for {@link #discard}, and refusing to make more than {@code limit} values in all. A tensor
     * is refused before its memory is taken, which makes this a guard against configurations that are not to be trusted.
     */
    public Init remembering(long limit) {
        return new Init(device, dtype, rng, new Ledger(limit), blank);
    }

    /** {@link #remembering(long)} with the limit of this Init, if it has one. */
    public Init remembering() {
        return remembering(ledger == null ? Long.MAX_VALUE : ledger.left);
    }

    /**
     * Releases everything that an Init from {@link #remembering} has made: for constructors that fail half-way, for example for lack of
     * memory.
     */
    public void discard() {
        if (ledger != null) {
            ledger.made.forEach(Tensor::close);
            ledger.made.clear();
        }
    }

    /** Normal values. */
    public Tensor normal(double std, long... shape) {
        admit(Shape.of(shape).size());
        return make(() -> blank ? Tensor.zeros(device, dtype, shape) : rng.normal(device, wide(), 0, std, shape));
    }

    /** Uniform values in [low, high). */
    public Tensor uniform(double low, double high, long... shape) {
        admit(Shape.of(shape).size());
        return make(() -> blank ? Tensor.zeros(device, dtype, shape) : rng.uniform(device, wide(), low, high, shape));
    }

    /** PyTorch's default for linear layers: uniform in +-1/sqrt(fanIn), that is kaiming_uniform with a = sqrt 5. */
    public Tensor kaiming(long fanIn, long... shape) {
        double bound = 1 / Math.sqrt(fanIn);
        return uniform(-bound, bound, shape);
    }

    /** Equal values. */
    public Tensor constant(double value, long... shape) {
        admit(Shape.of(shape).size());
        return make(() -> Tensor.full(device, dtype, value, shape));
    }

    /** Any computed value, converted to the parameters' dtype. */
    public Tensor make(Supplier<Tensor> value) {
        Tensor tensor = Scope.returning(() -> {
            Tensor computed = value.get();
            admit(computed.size());
            return computed.cast(dtype).contiguous();
        });
        if (ledger != null) {
            ledger.made.add(tensor);
            ledger.left -= tensor.size();
        }
        return tensor;
    }

    private void admit(long values) {
        if (ledger != null && values > ledger.left) {
            throw new ConfigException("init", "parameters that take at most " + ledger.left + " further values", values + "");
        }
    }

    private DType wide() {
        return dtype == DType.F64 ? DType.F64 : DType.F32;
    }
}
