package dev.sequent.nn;

import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;

/**
 * A part of a model: parameters and child layers under explicit names, which together are the names of a checkpoint.
 *
 * <p>Subclasses declare them in the constructor, {@code weight = param("weight", init.normal(0.02, V, D))}, and offer a forward method of
 * whatever signature suits them. A layer owns its parameters; {@link #close} releases them. Forward methods do not change a
 * layer, so several threads may use one at the same time.
 */
public abstract class Layer implements AutoCloseable {
    private final Map<String, Parameter> parameters = new LinkedHashMap<>();
    private final Map<String, Layer> children = new LinkedHashMap<>();

    /** Nothing to configure here; subclasses take their configuration. */
    protected Layer() {}

    /** Declares a parameter of this layer and takes over its value. */
    protected final Parameter param(String name, Tensor value, Parameter.Flag... flags) {
        Parameter p = new Parameter(name, value, flags);
        declare(name, parameters.putIfAbsent(name, p) != null || children.containsKey(name));
        return p;
    }

    /** Declares a child layer. A name may contain dots, as in {@code layers.0}. */
    protected final <L extends Layer> L child(String name, L layer) {
        declare(name, children.putIfAbsent(name, layer) != null || parameters.containsKey(name));
        return layer;
    }

    private void declare(String name, boolean taken) {
        if (taken) {
            throw new ConfigException(getClass().getSimpleName(), "distinct names of parameters and children", "'" + name + "' twice");
        }
    }

    /** All parameters of this layer and its descendants under their full names, in declaration order. */
    public final Map<String, Parameter> namedParameters() {
        Map<String, Parameter> all = new LinkedHashMap<>();
        visit("", all::put);
        return all;
    }

    /** All parameters of this layer and its descendants. */
    public final Collection<Parameter> parameters() {
        return namedParameters().values();
    }

    /** Number of learned values. */
    public final long parameterCount() {
        return parameters().stream().mapToLong(p -> p.value().size()).sum();
    }

    private void visit(String prefix, BiConsumer<String, Parameter> visitor) {
        parameters.forEach((name, p) -> visitor.accept(prefix + name, p));
        children.forEach((name, layer) -> layer.visit(prefix + name + ".", visitor));
    }

    /** Child layers by name, in declaration order. */
    public final Map<String, Layer> children() {
        return java.util.Collections.unmodifiableMap(children);
    }

    /** Releases the parameters of this layer and its descendants. */
    @Override
    public void close() {
        children.values().forEach(Layer::close);
        parameters.values().forEach(Parameter::close);
    }
}
