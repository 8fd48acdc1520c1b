package dev.sequent.train;

import dev.sequent.autograd.Autograd;
import dev.sequent.nn.Parameter;
import dev.sequent.op.CompareOp;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.AutogradException;
import dev.sequent.type.BackendException;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * An optimizer that remembers some tensors of every parameter's shape, its moments, all zeros at first.
 *
 * <p>Parameters in F16 or BF16 are trained as F32: their moments are F32, and so is a copy of each of them, {@code master} in
 * {@link #state}, of which the parameter is the rounded value. In 16 bits most updates would be lost, because they are smaller than the
 * distance of neighbouring numbers. Where somebody else has changed a parameter the optimizer goes on from its new value. Used by one
 * thread.
 */
abstract class MomentOptimizer implements Optimizer {
    private static final String MASTER = "master";

    private final Map<String, Parameter> parameters = new LinkedHashMap<>();
    private final Map<String, List<Tensor>> moments = new LinkedHashMap<>();
    /** F32 values of the parameters that are narrower. */
    private final Map<Parameter, Tensor> masters = new LinkedHashMap<>();
    private long steps;
    private boolean closed;

    /** An optimizer of those of the parameters, given by checkpoint name, that are not frozen. */
    MomentOptimizer(Map<String, Parameter> named, String... momentNames) {
        named.forEach((name, p) -> {
            if (!p.has(Parameter.Flag.FROZEN)) {
                parameters.put(name, p);
            }
        });
        try {
            for (String moment : momentNames) {
                List<Tensor> tensors = new ArrayList<>();
                moments.put(moment, tensors);
                for (Parameter p : parameters.values()) {
                    tensors.add(Tensor.zeros(p.value().device(), wide(p), p.value().shape().toArray()).own());
                }
            }
            for (Parameter p : parameters.values()) {
                if (p.value().dtype() != wide(p)) {
                    masters.put(p, Autograd.noGrad(() -> p.value().cast(wide(p)).own()));
                }
            }
        } catch (RuntimeException | Error failure) {
            release();
            throw failure;
        }
    }

    private static DType wide(Parameter p) {
        DType dtype = p.value().dtype();
        return dtype == DType.F16 || dtype == DType.BF16 ? DType.F32 : dtype;
    }

    @Override
    public final long steps() {
        return steps;
    }

    @Override
    public final void step(Map<Parameter, Tensor> gradients, double learningRate, double gradientScale) {
        requireOpen();
        List<Parameter> list = new ArrayList<>(parameters.values());
        if (list.stream().anyMatch(p -> p.value().device().capturing())) {
            throw new BackendException("capture", "a step that is the same every time",
                "one of an optimizer, which depends on its number and learning rate");
        }
        List<Tensor> matching = new ArrayList<>(list.size());
        parameters.forEach((name, p) -> {
            Tensor gradient = gradients.get(p);
            if (gradient == null) {
                throw new AutogradException("optimizer", "a gradient for every parameter", "none for " + name);
            }
            matching.add(gradient.expect("gradient of " + name, p.value().shape().toArray()));
        });
        steps++;
        try (Scope _ = Scope.open()) {
            Autograd.noGrad(() -> {
                masters.forEach(MomentOptimizer::follow);
                matching.replaceAll(g -> g.dtype() == DType.F16 || g.dtype() == DType.BF16 ? g.cast(DType.F32) : g);
                update(list, list.stream().map(p -> masters.getOrDefault(p, p.value())).toList(), matching, learningRate, gradientScale);
                masters.forEach((p, master) -> overwrite(p.value(), master.cast(p.value().dtype())));
                return null;
            });
        } catch (RuntimeException | Error failure) {
            steps--;
            throw failure;
        }
    }

    /** Takes over those elements of a parameter that are no longer the rounded ones of its F32 copy. */
    private static void follow(Parameter p, Tensor master) {
        Tensor same = p.value().compare(CompareOp.EQ, master.cast(p.value().dtype()));
        overwrite(master, same.where(master, p.value().cast(master.dtype())));
    }

    private static void overwrite(Tensor target, Tensor value) {
        target.write(value, new long[target.rank()]);
    }

    private void requireOpen() {
        if (closed) {
            throw new ReleasedTensorException("optimizer", "an open optimizer", "one that has been closed");
        }
    }

    /**
     * Changes the parameters' {@code values}, in place; {@link #steps} already counts this step. Values, gradients and moments are at least
     * F32.
     */
    abstract void update(List<Parameter> list, List<Tensor> values, List<Tensor> gradients, double learningRate, double gradientScale);

    /** One moment of every parameter, in the order of {@link #update}'s parameters. */
    final List<Tensor> moment(String name) {
        return moments.get(name);
    }

    @Override
    public final Map<String, Tensor> state() {
        requireOpen();
        Map<String, Tensor> state = new LinkedHashMap<>();
        moments.forEach((moment, tensors) -> {
            int i = 0;
            for (String name : parameters.keySet()) {
                state.put(moment + "." + name, tensors.get(i++));
            }
        });
        parameters.forEach((name, p) -> {
            if (masters.containsKey(p)) {
                state.put(MASTER + "." + name, masters.get(p));
            }
        });
        return state;
    }

    @Override
    public final void restore(Map<String, Tensor> state, long taken) {
        Map<String, Tensor> own = state();
        if (taken < 0 || !own.keySet().equals(state.keySet())) {
            throw new CheckpointException("optimizer", "steps >= 0 and the tensors " + own.keySet(), taken + " and " + state.keySet());
        }
        own.forEach((name, target) -> {
            Tensor source = state.get(name);
            if (!source.shape().equals(target.shape()) || source.dtype() != target.dtype()) {
                throw new CheckpointException("optimizer", name + " as " + target, source.toString());
            }
        });
        own.forEach((name, target) -> overwrite(target, state.get(name)));
        steps = taken;
    }

    @Override
    public final void close() {
        closed = true;
        release();
    }

    private void release() {
        moments.values().forEach(tensors -> tensors.forEach(Tensor::close));
        masters.values().forEach(Tensor::close);
    }
}
