package dev.sequent.nn;

import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DTypeException;
import dev.sequent.type.DeviceMismatchException;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.ShapeException;
import java.util.EnumSet;
import java.util.Set;

/**
 * A learned tensor of a layer. It owns its value: the value lives until it is replaced or the layer is closed. Reading is
 * thread-safe; replacing a value while another thread uses it is not.
 */
public final class Parameter implements Variable, AutoCloseable {
    /** How training treats a parameter. */
    public enum Flag {
        /** Weight decay does not apply: norms, biases, A_log, D, step-size biases. */
        NO_DECAY,
        /** Stays in F32 when a model is converted to a narrower dtype. */
        KEEP_F32,
        /** Not changed by an optimizer. */
        FROZEN
    }

    private final String name;
    private volatile Set<Flag> flags;
    private Tensor value;

    Parameter(String name, Tensor value, Flag... flags) {
        this.name = name;
        this.value = value.own();
        this.flags = flags.length == 0 ? Set.of() : Set.copyOf(EnumSet.of(flags[0], flags));
    }

    /** Name within its layer: the last component of the checkpoint name. */
    public String name() {
        return name;
    }

    /**
     * The current value.
     *
     * @throws ReleasedTensorException when the layer has been closed
     */
    @Override
    public Tensor value() {
        if (value.isReleased()) {
            throw new ReleasedTensorException("parameter " + name, "an open layer", "one that has been closed");
        }
        return value;
    }

    /** Whether a flag is set. */
    public boolean has(Flag flag) {
        return flags.contains(flag);
    }

    /**
     * Sets {@link Flag#FROZEN}, for fine-tuning of a part of a model. Optimizers and trainers that are made afterwards leave this parameter
     * alone, and no derivative is computed for it.
     */
    public void freeze() {
        Set<Flag> more = EnumSet.of(Flag.FROZEN);
        more.addAll(flags);
        flags = Set.copyOf(more);
    }

    /** Replaces the value by one of equal shape and dtype on the same device, which this parameter then owns. */
    public void set(Tensor next) {
        if (!next.shape().equals(value.shape())) {
            throw new ShapeException("parameter " + name, "shape " + value.shape(), next.shape().toString());
        }
        if (next.dtype() != value.dtype()) {
            throw new DTypeException("parameter " + name, value.dtype().toString(), next.dtype().toString());
        }
        if (!next.device().equals(value.device())) {
            throw new DeviceMismatchException("parameter " + name, "a value on " + value.device(), next.toString());
        }
        Tensor previous = value;
        value = next.own();
        if (previous != next) {
            previous.close();
        }
    }

    @Override
    public void close() {
        value.close();
    }

    /** Name, dtype and shape. */
    @Override
    public String toString() {
        return name + " " + value;
    }
}
