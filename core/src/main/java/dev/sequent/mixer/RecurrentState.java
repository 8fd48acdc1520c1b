package dev.sequent.mixer;

import dev.sequent.autograd.Autograd;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** The state of a {@link RecurrentMixer}: tensors whose size does not depend on the number of tokens seen. */
public final class RecurrentState implements MixerState {
    /**
     * One tensor of the state.
     *
     * @param name the field's name for it, for example {@code conv} or {@code ssm}
     * @param shape with B first
     * @param dtype element type
     */
    public record Slot(String name, Shape shape, DType dtype) {}

    private final List<Slot> layout;
    private final StateSpec spec;
    private List<Tensor> tensors;
    private int batch;
    private long position;
    /** Whether nothing else refers to the memory of the tensors, derivative records included. */
    private boolean exclusive;

    RecurrentState(List<Slot> layout, StateSpec spec) {
        this(layout, spec, spec.batch(), zeros(layout, spec, spec.batch()));
    }

    private RecurrentState(List<Slot> layout, StateSpec spec, int batch, List<Tensor> tensors) {
        this.layout = layout;
        this.spec = spec;
        this.batch = batch;
        this.tensors = tensors;
        this.exclusive = true;
    }

    private static List<Tensor> zeros(List<Slot> layout, StateSpec spec, int batch) {
        List<Tensor> fresh = new ArrayList<>();
        // a scope of its own: when memory runs out half-way, nothing stays behind
        try (Scope _ = Scope.open()) {
            for (Slot s : layout) {
                fresh.add(Tensor.zeros(spec.device(), s.dtype(), s.shape().with(0, batch).toArray()));
            }
            fresh.forEach(Tensor::own);
        }
        return List.copyOf(fresh);
    }

    /** The state tensors, in the order of the layout; they stay owned by this state, and the next step may overwrite them. */
    public List<Tensor> tensors() {
        if (tensors.isEmpty() && !layout.isEmpty()) {
            throw new ReleasedTensorException("state", "an open state", "one that has been closed");
        }
        return tensors;
    }

    /** Names, shapes and dtypes of the tensors. */
    public List<Slot> layout() {
        return layout;
    }

    /**
     * Replaces the contents after {@code tokens} further tokens; this state takes its own references, converted to the dtypes of the
     * layout.
     *
     * <p>While work is recorded for a graph ({@link dev.sequent.spi.GraphCapture}), the contents are overwritten where they are, so that
     * every replay goes on from the one before; {@link #position} stays, since nothing is computed yet.
     */
    public void replace(List<Tensor> next, long tokens) {
        if (spec.device().capturing()) {
            overwrite(next);
            return;
        }
        List<Tensor> previous = tensors();
        List<Tensor> owned = new ArrayList<>();
        try (Scope _ = Scope.open()) {
            for (int i = 0; i < layout.size(); i++) {
                Tensor t = next.get(i);
                t.expect("state " + layout.get(i).name(), layout.get(i).shape().with(0, t.dim(0)).toArray());
                DType dtype = layout.get(i).dtype();
                owned.add(t == previous.get(i) ? t.alias() : Scope.returning(() -> compact(t.cast(dtype), tokens)).alias());
            }
            owned.forEach(Tensor::own);
        }
        previous.forEach(Tensor::close);
        tensors = List.copyOf(owned);
        exclusive = false;
        batch = tensors.isEmpty() ? batch : (int) tensors.getFirst().dim(0);
        position += tokens;
    }

    /** A copy where {@code t} may be a part of a sequence's activations, which would stay alive with it; derivatives need them anyway. */
    private static Tensor compact(Tensor t, long tokens) {
        if (tokens <= 1 || Autograd.isRecording()) {
            return t.contiguous();
        }
        Tensor copy = Tensor.zeros(t.device(), t.dtype(), t.shape().toArray());
        copy.write(t, new long[t.rank()]);
        return copy;
    }

    /** The state tensors, to be overwritten: copies of them where others, such as a derivative record, may refer to their memory. */
    List<Tensor> exclusive() {
        if (!exclusive) {
            List<Tensor> shared = tensors();
            tensors = copies(shared);
            exclusive = true;
            shared.forEach(Tensor::close);
        }
        return tensors();
    }

    /** The same contents in memory of their own. */
    private List<Tensor> copies(List<Tensor> present) {
        List<Tensor> fresh = zeros(layout, spec, batch);
        try {
            for (int i = 0; i < present.size(); i++) {
                fresh.get(i).write(present.get(i), new long[present.get(i).rank()]);
            }
            return fresh;
        } catch (RuntimeException | Error failure) {
            fresh.forEach(Tensor::close);
            throw failure;
        }
    }

    /** Notes that the contents are those after {@code count} further tokens. */
    void overwritten(long count) {
        position += count;
    }

    private void overwrite(List<Tensor> next) {
        try (Scope _ = Scope.open()) {
            List<Tensor> dense = IntStream.range(0, layout.size()).mapToObj(i -> next.get(i).cast(layout.get(i).dtype()).contiguous())
                    .toList();
            for (int i = 0; i < layout.size(); i++) {
                Tensor current = tensors().get(i);
                if (next.get(i) != current) {
                    current.write(dense.get(i), new long[current.rank()]);
                }
            }
        }
    }

    @Override
    public int batch() {
        return batch;
    }

    @Override
    public long position() {
        return position;
    }

    @Override
    public RecurrentState fork() {
        // memory of its own: recorded steps overwrite it
        RecurrentState copy = new RecurrentState(layout, spec, batch, copies(tensors()));
        copy.position = position;
        return copy;
    }

    @Override
    public Reordering prepareReorder(int[] rows) {
        IntStream.of(rows).filter(r -> r < 0 || r >= batch).findFirst().ifPresent(r -> {
            throw new ShapeException("reorder", "rows in [0, " + batch + ")", r + "");
        });
        try (Scope _ = Scope.open()) {
            Tensor index = Tensor.of(spec.device(), rows);
            List<Tensor> next = tensors().stream().map(t -> t.indexSelect(0, index)).toList();
            next.forEach(Tensor::own);
            return new Next(next);
        }
    }

    /** The tensors after a reordering. */
    private final class Next implements Reordering {
        private final List<Tensor> next;

        private Next(List<Tensor> next) {
            this.next = next;
        }

        @Override
        public void apply() {
            replace(next, 0);
        }

        @Override
        public void close() {
            next.forEach(Tensor::close);
        }
    }

    @Override
    public long bytes() {
        return tensors().stream().mapToLong(t -> t.size() * t.dtype().bytes()).sum();
    }

    @Override
    public void reset() {
        List<Tensor> previous = tensors();
        tensors = zeros(layout, spec, batch);
        exclusive = true;
        previous.forEach(Tensor::close);
        position = 0;
    }

    @Override
    public void close() {
        tensors.forEach(Tensor::close);
        tensors = List.of();
    }
}
