package dev.sequent.nn;

import dev.sequent.fused.embedding.Lookup;
import dev.sequent.tensor.Tensor;

/** Rows of a (V, D) table chosen by token ids. Checkpoint name {@code weight}. */
public final class Embedding extends Layer {
    private final Parameter weight;

    /** Normal initial values. */
    public Embedding(Init init, double std, long vocabulary, long width) {
        this.weight = param("weight", init.normal(std, vocabulary, width));
    }

    /** (V, D). */
    public Parameter weight() {
        return weight;
    }

    /** Looks up integer ids of any shape; the result has one more axis of size D. */
    public Tensor forward(Tensor ids) {
        return Lookup.apply(weight.value(), ids);
    }
}
