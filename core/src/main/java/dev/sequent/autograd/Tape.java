package dev.sequent.autograd;

import dev.sequent.op.Op;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.tensor.Tracer;
import dev.sequent.tensor.Tracing;
import dev.sequent.type.AutogradException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The record of one differentiated computation. Used by one thread; closed when its gradients have been taken. */
final class Tape implements Tracer, AutoCloseable {
    private final Tape enclosing;
    private final Set<Object> tracked = Collections.newSetFromMap(new IdentityHashMap<>());
    private final List<Node> nodes = new ArrayList<>();
    private final Map<Object, Tensor> gradients = new IdentityHashMap<>();

    private Tape(Tape enclosing) {
        this.enclosing = enclosing;
    }

    /** A tape that tracks what depends on {@code variables}; operations are also shown to the thread's current tape. */
    static Tape record(Collection<? extends Variable> variables) {
        Tape tape = new Tape(Tracing.current() instanceof Tape t ? t : null);
        for (Variable v : variables) {
            Tensor value = v.value();
            if (!value.dtype().isFloat()) {
                throw new AutogradException("valueAndGrad", "variables of a float dtype", value.toString());
            }
            tape.tracked.add(value.identity());
        }
        return tape;
    }

    /** A tape inside this one's backward pass that also tracks everything this tape tracked: for recomputation. */
    Tape recomputing(Tensor input) {
        Tape inner = new Tape(enclosing);
        inner.tracked.addAll(tracked);
        inner.tracked.add(input.identity());
        return inner;
    }

    /** Whether another differentiation encloses this one. */
    boolean isNested() {
        return enclosing != null;
    }

    boolean tracks(Tensor t) {
        return t != null && tracked.contains(t.identity());
    }

    boolean tracksAny(Tensor... tensors) {
        for (Tensor t : tensors) {
            if (tracks(t)) {
                return true;
            }
        }
        return enclosing != null && enclosing.tracksAny(tensors);
    }

    private boolean tracksAnyOf(Object[] identities) {
        for (Object identity : identities) {
            if (identity != null && tracked.contains(identity)) {
                return true;
            }
        }
        return enclosing != null && enclosing.tracksAnyOf(identities);
    }

    @Override
    public void record(Op op, Tensor[] inputs, Tensor output) {
        if (enclosing != null) {
            enclosing.record(op, inputs, output);
        }
        boolean[] needed = needed(inputs);
        if (needed == null || !output.dtype().isFloat()) {
            return;
        }
        nodes.add(Node.primitive(op, inputs, needed, output));
        tracked.add(output.identity());
    }

    void recordCustom(CustomOp op, Tensor[] inputs, Tensor[] outputs, Tensor[] saved) {
        if (enclosing != null) {
            enclosing.recordCustom(op, inputs, outputs, saved);
        }
        boolean[] needed = needed(inputs);
        if (needed == null) {
            return;
        }
        nodes.add(Node.custom(op, inputs, needed, outputs, saved));
        for (Tensor t : outputs) {
            if (t != null && t.dtype().isFloat()) {
                tracked.add(t.identity());
            }
        }
    }

    void recordCheckpoint(Checkpoint.Segment segment, Tensor input, Tensor output) {
        if (enclosing != null) {
            throw new AutogradException("checkpoint", "no enclosing differentiation", "a second derivative through a recomputed block");
        }
        nodes.add(Node.checkpoint(segment, input, output));
        tracked.add(output.identity());
    }

    private boolean[] needed(Tensor[] inputs) {
        boolean any = false;
        boolean[] needed = new boolean[inputs.length];
        for (int i = 0; i < inputs.length; i++) {
            needed[i] = tracks(inputs[i]);
            any |= needed[i];
        }
        return any ? needed : null;
    }

    /** Propagates {@code cotangents} from outputs to everything tracked; consumes the record. */
    void backward(List<Tensor> outputs, List<Tensor> cotangents) {
        Tracing.with(enclosing, () -> {
            for (int i = 0; i < outputs.size(); i++) {
                if (cotangents.get(i) != null && tracks(outputs.get(i))) {
                    accumulate(outputs.get(i).identity(), cotangents.get(i).alias());
                }
            }
            while (!nodes.isEmpty()) {
                try (Node node = nodes.removeLast(); Scope _ = Scope.open()) {
                    propagate(node);
                }
            }
            return null;
        });
    }

    private void propagate(Node node) {
        Tensor[] dy = new Tensor[node.outputs().length];
        boolean any = false;
        for (int i = 0; i < dy.length; i++) {
            dy[i] = node.outputs()[i] == null ? null : gradients.remove(node.outputs()[i]);
            any |= dy[i] != null;
        }
        if (!any) {
            return;
        }
        try {
            Tensor[] dx = derivatives(node, dy);
            for (int i = 0; i < dx.length; i++) {
                if (dx[i] != null && node.needed()[i]) {
                    // a derivative may be the incoming gradient itself, or one tensor for two operands: each entry gets a life of its own
                    accumulate(node.inputs()[i], dx[i].alias());
                }
            }
        } finally {
            Node.release(dy);
        }
    }

    private Tensor[] derivatives(Node node, Tensor[] dy) {
        return switch (node) {
            case Node.Primitive p -> Derivatives.of(p, dy[0]);
            case Node.Custom c -> {
                // what an operation saves may be computed from its operands where no tape sees it, so the operands themselves are asked
                if (enclosing != null && (enclosing.tracksAnyOf(c.inputs()) || enclosing.tracksAny(dy))) {
                    throw new AutogradException("[" + c.op().name()
                            + "] has a first derivative only; for second derivatives use the decomposition " + "(-Dsequent.fused=off)");
                }
                yield Tracing.off(() -> c.op().backward(c.saved(), c.needed(), dy));
            }
            case Node.Recomputed r -> r.segment().backward(this, r.input(), dy[0]);
        };
    }

    private void accumulate(Object identity, Tensor gradient) {
        Tensor present = gradients.get(identity);
        Tensor sum = gradient;
        if (present != null) {
            sum = present.add(gradient);
            present.close();
            gradient.close();
        }
        gradients.put(identity, sum.own());
    }

    /** Moves the gradients that a recomputation has collected, except its input's, into this tape. */
    void absorb(Tape inner, Tensor input) {
        Tensor own = inner.gradients.remove(input.identity());
        inner.gradients.forEach(this::accumulate);
        inner.gradients.clear();
        if (own != null) {
            inner.gradients.put(input.identity(), own);
        }
    }

    /** The gradient with respect to a variable's value as a tensor of the innermost scope, or null when there is none. */
    Tensor gradient(Tensor value) {
        Tensor g = gradients.get(value.identity());
        return g == null ? null : g.alias();
    }

    @Override
    public void close() {
        nodes.forEach(Node::close);
        nodes.clear();
        gradients.values().forEach(Tensor::close);
        gradients.clear();
        tracked.clear();
    }
}
