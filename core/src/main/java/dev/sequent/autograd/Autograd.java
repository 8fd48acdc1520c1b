package dev.sequent.autograd;

import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracing;
import dev.sequent.type.AutogradException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Reverse-mode automatic differentiation over tensor operations.
 *
 * <pre>{@code
 * Variable w = Variable.of(weights);
 * Gradients g = Autograd.valueAndGrad(List.of(w), () -> x.matmul(w.value()).square().mean());
 * Tensor dw = g.of(w);
 * }</pre>
 *
 * <p>Operations are recorded on a tape while the body runs, only where they depend on a variable. The backward pass is a loop over
 * the tape that releases saved values as it consumes them. Derivatives are themselves tensor operations, so calls can be nested
 * for second derivatives wherever only primitives are involved; a {@link CustomOp} has first derivatives only and says so.
 *
 * <p>Recording belongs to the thread; different threads can differentiate at the same time.
 */
public final class Autograd {
    private Autograd() {}

    /**
     * Runs {@code body}, which returns a scalar, and differentiates it.
     *
     * @param variables what to differentiate with respect to; float tensors
     * @param body computes the loss, a tensor with one element
     * @throws AutogradException when the result is not a float scalar
     */
    public static Gradients valueAndGrad(Collection<? extends Variable> variables, Supplier<Tensor> body) {
        try (Scope scope = Scope.open()) {
            try (Tape tape = Tape.record(variables)) {
                Tensor loss = run(tape, body);
                if (loss == null || loss.size() != 1 || !loss.dtype().isFloat()) {
                    throw new AutogradException("valueAndGrad", "a float scalar", String.valueOf(loss));
                }
                Tensor seed = Tensor.ones(loss.device(), loss.dtype(), loss.shape().toArray());
                Map<Variable, Tensor> gradients = gradients(tape, variables, List.of(loss), List.of(seed));
                gradients.values().forEach(scope::keep);
                return new Gradients(scope.keep(loss), gradients);
            }
        }
    }

    /** What a differentiated function with several outputs returns: the outputs and the gradients of their weighted sum. */
    public record Pullback(List<Tensor> outputs, Map<Variable, Tensor> gradients) {}

    /**
     * Runs {@code body} and computes the product of its Jacobian's transpose with {@code cotangents}, one per output and of its shape and
     * dtype; a null cotangent counts as zeros.
     *
     * @throws AutogradException when there are more or fewer cotangents than outputs, or one is of another dtype
     * @throws dev.sequent.type.ShapeException when a cotangent is of another shape
     */
    public static Pullback vjp(Collection<? extends Variable> variables, Supplier<List<Tensor>> body, List<Tensor> cotangents) {
        try (Scope scope = Scope.open()) {
            try (Tape tape = Tape.record(variables)) {
                List<Tensor> outputs = new ArrayList<>();
                try (Scope inner = Scope.open()) {
                    Tracing.with(tape, body).forEach(t -> outputs.add(inner.keep(t)));
                }
                requireFit(outputs, cotangents);
                Map<Variable, Tensor> gradients = gradients(tape, variables, outputs, cotangents);
                outputs.forEach(scope::keep);
                gradients.values().forEach(scope::keep);
                return new Pullback(outputs, gradients);
            }
        }
    }

    private static void requireFit(List<Tensor> outputs, List<Tensor> cotangents) {
        if (outputs.size() != cotangents.size()) {
            throw new AutogradException("vjp", outputs.size() + " cotangents, one per output", cotangents.size() + "");
        }
        for (int i = 0; i < outputs.size(); i++) {
            Tensor given = cotangents.get(i);
            if (given != null && outputs.get(i) != null) {
                given.expect("cotangent " + i, outputs.get(i).shape().toArray());
                if (given.dtype() != outputs.get(i).dtype()) {
                    throw new AutogradException("vjp", "cotangent " + i + " of dtype " + outputs.get(i).dtype(), given.toString());
                }
            }
        }
    }

    private static Tensor run(Tape tape, Supplier<Tensor> body) {
        try (Scope inner = Scope.open()) {
            return inner.keep(Tracing.with(tape, body));
        }
    }

    private static Map<Variable, Tensor> gradients(Tape tape, Collection<? extends Variable> variables, List<Tensor> outputs,
            List<Tensor> cotangents) {
        tape.backward(outputs, cotangents);
        Map<Variable, Tensor> result = new LinkedHashMap<>();
        for (Variable v : variables) {
            Tensor value = v.value();
            Tensor g = tape.gradient(value);
            result.put(v, g != null ? g : Tensor.zeros(value.device(), value.dtype(), value.shape().toArray()));
        }
        return result;
    }

    /** Whether the current thread records operations for derivatives. */
    public static boolean isRecording() {
        return Tracing.current() instanceof Tape;
    }

    /** Runs {@code body} without recording: for inference and for values that are constants of the loss. */
    public static <T> T noGrad(Supplier<T> body) {
        return Tracing.off(body);
    }
}
