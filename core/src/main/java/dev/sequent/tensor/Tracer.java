package dev.sequent.tensor;

import dev.sequent.op.Op;

/** Something that watches the primitives of the current thread as they are executed: automatic differentiation. */
public interface Tracer {
    /** Called after a primitive has been executed. The operands and the result are live. */
    void record(Op op, Tensor[] inputs, Tensor output);
}
