package dev.sequent.autograd;

import dev.sequent.tensor.Tensor;

/** Something with a value with respect to which a derivative can be taken: a layer's parameter, or a wrapped tensor. */
public interface Variable {
    /** The current value. */
    Tensor value();

    /** A variable that stands for a fixed tensor; equal only to itself. */
    static Variable of(Tensor tensor) {
        return new Variable() {
            @Override
            public Tensor value() {
                return tensor;
            }
        };
    }
}
