package dev.sequent.nn;

import dev.sequent.autograd.Split;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.fused.linear.Projections;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracing;
import java.util.Arrays;

/**
 * y = x W^T + b for x of shape (..., in) and W of shape (out, in). Checkpoint names {@code weight}, {@code bias}.
 */
public final class Linear extends Layer {
    private final Parameter weight;
    private final Parameter bias;

    /** Takes over initial values; {@code bias} may be null. */
    public Linear(Tensor weight, Tensor bias) {
        this.weight = param("weight", weight);
        this.bias = bias == null ? null : param("bias", bias, Parameter.Flag.NO_DECAY);
    }

    /** PyTorch's default initial values: uniform in +-1/sqrt(in). */
    public Linear(Init init, long in, long out, boolean bias) {
        this(init.kaiming(in, out, in), bias ? init.kaiming(in, out) : null);
    }

    /** Normal initial weights and a zero bias, as in GPT-2 and Llama. */
    public static Linear normal(Init init, double std, long in, long out, boolean bias) {
        return new Linear(init.normal(std, out, in), bias ? init.constant(0, out) : null);
    }

    /** Applies the layer to the last axis of {@code x}. */
    public Tensor forward(Tensor x) {
        Tensor y = project(x, weight.value());
        return bias == null ? y : y.add(bias.value());
    }

    /** Applies several layers to one input; cheaper to differentiate than one by one. */
    public static Tensor[] together(Tensor x, Linear... layers) {
        Tensor[] weights = Arrays.stream(layers).map(l -> l.weight.value()).toArray(Tensor[]::new);
        Tensor[] y = Tracing.current() == null ? Projections.underived(x, weights) : Projections.apply(x, weights);
        for (int i = 0; i < y.length; i++) {
            y[i] = layers[i].bias == null ? y[i] : y[i].add(layers[i].bias.value());
        }
        return y;
    }

    /**
     * Applies the layer and cuts the result along its last axis.
     *
     * @param sizes of the pieces, which add up to all of it
     */
    public Tensor[] pieces(Tensor x, long... sizes) {
        if (Tracing.current() == null) {
            return forward(x).split(-1, sizes);
        }
        // with a weight for each piece no piece of the derivative is copied to stand beside the others
        Tensor[] y = Projections.apply(x, Split.apply(weight.value(), 0, sizes));
        if (bias != null) {
            Tensor[] biases = Split.apply(bias.value(), 0, sizes);
            for (int i = 0; i < y.length; i++) {
                y[i] = y[i].add(biases[i]);
            }
        }
        return y;
    }

    /** x W^T over the last axis: all leading axes as rows of one matrix. */
    public static Tensor project(Tensor x, Tensor weight) {
        if (Tracing.current() != null) {
            return Projections.apply(x, weight)[0];
        }
        return Projections.underived(x, weight);
    }

    /** The work of applying the layer to every token. */
    public Work work(Workload w) {
        return work(w, w.tokens());
    }

    /** The work of applying the layer to {@code rows} tokens. */
    Work work(Workload w, double rows) {
        long out = weight.value().dim(0);
        return Work.linear(w, rows, weight.value().dim(1), out).plus(bias == null ? Work.NONE : new Work(0, rows * out, 0));
    }

    /** (out, in). */
    public Parameter weight() {
        return weight;
    }

    /** (out), or null. */
    public Parameter bias() {
        return bias;
    }
}
