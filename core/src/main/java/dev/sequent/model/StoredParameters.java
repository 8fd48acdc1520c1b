package dev.sequent.model;

import dev.sequent.io.SafetensorsFile;
import dev.sequent.io.StoredTensor;
import dev.sequent.io.TensorFiles;
import dev.sequent.io.WeightStore;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Moves a model's parameters between the model and files that keep them as a {@link KeyMap} says. */
final class StoredParameters {
    private final KeyMap map;
    private final Map<String, Parameter> parameters;
    private final List<KeyMap.Slot> slots;

    StoredParameters(KeyMap map, Map<String, Parameter> parameters) {
        this.map = map;
        this.parameters = parameters;
        Map<String, Shape> shapes = new LinkedHashMap<>();
        parameters.forEach((name, p) -> shapes.put(name, p.value().shape()));
        this.slots = map.slots(shapes);
    }

    /** The tensors to write; each is computed when its turn comes. */
    List<SafetensorsFile.Source> sources() {
        List<SafetensorsFile.Source> sources = new ArrayList<>();
        for (KeyMap.Slot slot : slots) {
            DType dtype = parameters.get(slot.parameters().getFirst()).value().dtype();
            sources.add(TensorFiles.source(slot.key(), dtype, slot.shape(), () -> stored(slot)));
        }
        return sources;
    }

    private Tensor stored(KeyMap.Slot slot) {
        Tensor[] values = slot.parameters().stream().map(name -> parameters.get(name).value()).toArray(Tensor[]::new);
        Tensor whole = values.length == 1 ? values[0] : Tensor.concat(0, values);
        return slot.layout() == KeyMap.Layout.TRANSPOSED ? flipped(whole) : whole;
    }

    private static Tensor flipped(Tensor t) {
        return t.rank() == 2 ? t.transpose(0, 1).contiguous() : t;
    }

    /**
     * Requires that {@code store} holds exactly these parameters: names, shapes, floating-point values, and copies that are equal.
     *
     * @return the names under which the store has them
     * @throws CheckpointException when it does not
     */
    Map<String, String> requireFit(WeightStore store) {
        Set<String> stored = new HashSet<>();
        store.tensors().forEach(t -> stored.add(t.name()));
        boolean bare = map.isBare(stored);
        Map<String, String> names = new LinkedHashMap<>();
        slots.forEach(slot -> names.put(slot.key(), map.find(slot.key(), stored, bare)));
        store.requireExactly(names.values(), name -> map.isIgnored(name) || map.copies().containsKey(name));
        slots.forEach(slot -> require(store, names.get(slot.key()), slot.shape()));
        map.copies().forEach((copy, parameter) -> {
            KeyMap.Slot slot = slots.stream().filter(s -> s.parameters().contains(parameter)).findFirst().orElseThrow();
            if (stored.contains(copy)) {
                requireEqual(store, copy, names.get(slot.key()));
            }
        });
        return names;
    }

    /** Requires a floating-point tensor of a shape. */
    static void require(WeightStore store, String name, Shape shape) {
        StoredTensor tensor = store.tensor(name);
        if (!tensor.shape().equals(shape)) {
            throw new CheckpointException("load", name + " of shape " + shape + ", as configured", tensor.shape().toString());
        }
        if (!tensor.dtype().isFloat()) {
            throw new CheckpointException("load", name + " of a floating-point type", tensor.dtype().toString());
        }
    }

    private static void requireEqual(WeightStore store, String copy, String original) {
        StoredTensor a = store.tensor(copy);
        StoredTensor b = store.tensor(original);
        boolean equal = a.shape().equals(b.shape()) && a.dtype() == b.dtype();
        if (!equal || MemorySegment.mismatch(store.data(copy), 0, a.bytes(), store.data(original), 0, b.bytes()) >= 0) {
            throw new CheckpointException("load", copy + " equal to " + original + ", as tie_word_embeddings says",
                    equal ? "other values" : a.dtype() + " " + a.shape() + " and " + b.dtype() + " " + b.shape());
        }
    }

    /** Replaces the parameters by the tensors of {@code store}, converted to the parameters' types, after {@link #requireFit}. */
    void assign(WeightStore store) {
        Map<String, String> names = requireFit(store);
        for (KeyMap.Slot slot : slots) {
            try (Scope _ = Scope.open()) {
                assign(store, slot, names.get(slot.key()));
            }
        }
    }

    private void assign(WeightStore store, KeyMap.Slot slot, String name) {
        Parameter first = parameters.get(slot.parameters().getFirst());
        Tensor stored = TensorFiles.load(store, name, first.value().device(), first.value().dtype());
        Tensor whole = slot.layout() == KeyMap.Layout.TRANSPOSED ? flipped(stored) : stored;
        if (slot.parameters().size() == 1) {
            first.set(whole);
            return;
        }
        long at = 0;
        for (String parameter : slot.parameters()) {
            Tensor value = parameters.get(parameter).value();
            value.write(whole.slice(0, at, at + value.dim(0)).cast(value.dtype()), new long[value.rank()]);
            at += value.dim(0);
        }
    }
}
