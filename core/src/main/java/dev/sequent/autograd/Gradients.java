package dev.sequent.autograd;

import dev.sequent.tensor.Tensor;
import dev.sequent.type.AutogradException;
import java.util.Map;
import java.util.Set;

/**
 * A loss and its derivatives, keyed by variable. The tensors belong to the scope that was open when they were computed.
 *
 * @param loss the value that was differentiated
 * @param byVariable a gradient of the variable's shape for every requested variable; zeros where the loss does not depend on it
 */
public record Gradients(Tensor loss, Map<Variable, Tensor> byVariable) {
    /** The derivative with respect to {@code variable}. */
    public Tensor of(Variable variable) {
        Tensor g = byVariable.get(variable);
        if (g == null) {
            throw new AutogradException("gradient", "a variable that was passed to valueAndGrad", String.valueOf(variable));
        }
        return g;
    }

    /** The variables, in the order in which they were given. */
    public Set<Variable> variables() {
        return byVariable.keySet();
    }
}
