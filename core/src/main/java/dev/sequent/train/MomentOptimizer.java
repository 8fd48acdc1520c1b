package dev.sequent.train;

import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.AutogradException;
import dev.sequent.type.BackendException;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ReleasedTensorException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** An optimizer that remembers some tensors of every parameter's shape, its moments, all zeros at first. Used by one thread. */
abstract class MomentOptimizer implements Optimizer {
    private final Map<String, Parameter> parameters = new LinkedHashMap<>();
    private final Map<String, List<Tensor>> moments = new LinkedHashMap<>();
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
                    tensors.add(Tensor.zeros(p.value().device(), p.value().dtype(), p.value().shape().toArray()).own());
                }
            }
        } catch (RuntimeException | Error failure) {
            moments.values().forEach(tensors -> tensors.forEach(Tensor::close));
            throw failure;
        }
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
            update(list, matching, learningRate, gradientScale);
        } catch (RuntimeException | Error failure) {
            steps--;
            throw failure;
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new ReleasedTensorException("optimizer", "an open optimizer", "one that has been closed");
        }
    }

    /** Changes the parameters; {@link #steps} already counts this step. */
    abstract void update(List<Parameter> list, List<Tensor> gradients, double learningRate, double gradientScale);

    /** One moment of every parameter, in the order of {@link #update}'s parameters. */
    final List<Tensor> moment(String name) {
        return moments.get(name);
    }

    static List<Tensor> values(List<Parameter> list) {
        return list.stream().map(Parameter::value).toList();
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
        own.forEach((name, target) -> target.write(state.get(name), new long[target.rank()]));
        steps = taken;
    }

    @Override
    public final void close() {
        closed = true;
        moments.values().forEach(tensors -> tensors.forEach(Tensor::close));
    }
}
