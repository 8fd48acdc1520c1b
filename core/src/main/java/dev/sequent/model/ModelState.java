package dev.sequent.model;

import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.type.DataException;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The states of all layers of a model, and how many real tokens each row has seen. Owned by the caller; used by one thread. After a call
 * that failed it may be refused until it is reset.
 */
public final class ModelState implements AutoCloseable {
    private final List<MixerState> layers;
    private int[] tokens;
    /** Positions of the layers before the call that is changing them, or has failed to; null when the last call came to its end. */
    private long[] before;

    ModelState(List<MixerState> layers, int batch) {
        this.layers = List.copyOf(layers);
        this.tokens = new int[batch];
    }

    /** The layers' states, first to last. */
    public List<MixerState> layers() {
        return layers;
    }

    /** Rows, B. */
    public int batch() {
        return tokens.length;
    }

    /** Tokens seen per row, without padding. */
    public int[] tokens() {
        return tokens.clone();
    }

    /** Fails when a layer cannot take the tokens of {@code info}; see {@link MixerState#requireRoom}. */
    void requireRoom(SequenceInfo info) {
        for (MixerState layer : layers) {
            layer.requireRoom(info);
        }
    }

    /** The layers change from here on, one after the other, until {@link #finish}. */
    void begin() {
        before = positions();
    }

    /** All layers have changed. */
    void finish() {
        before = null;
    }

    /** A call that failed between two layers left the first ones ahead: going on from there would give wrong numbers. */
    void requireWhole(String operation) {
        if (before != null && !Arrays.equals(before, positions())) {
            throw new DataException(operation, "a state whose layers have seen the same tokens", "one after a call that failed between two"
                    + " layers, at positions " + Arrays.toString(positions()) + "; reset it, or go on with a fork from before");
        }
    }

    private long[] positions() {
        return layers.stream().mapToLong(MixerState::position).toArray();
    }

    void advance(int[] lengths) {
        for (int b = 0; b < tokens.length; b++) {
            tokens[b] += lengths[b];
        }
    }

    /** An independent copy. */
    public ModelState fork() {
        List<MixerState> copies = new ArrayList<>();
        try {
            layers.forEach(s -> copies.add(s.fork()));
        } catch (RuntimeException | Error failure) {
            copies.forEach(MixerState::close);
            throw failure;
        }
        ModelState copy = new ModelState(copies, tokens.length);
        copy.tokens = tokens.clone();
        copy.before = before;
        return copy;
    }

    /**
     * Row b becomes what row {@code rows[b]} was. When it fails, the state is unchanged: all layers are copied before the first one
     * changes, which takes as much more memory as the states of the new rows occupy.
     */
    public void reorder(int[] rows) {
        for (int row : rows) {
            if (row < 0 || row >= tokens.length) {
                throw new ShapeException("reorder", "rows in [0, " + tokens.length + ")", row + "");
            }
        }
        List<MixerState.Reordering> prepared = new ArrayList<>();
        try {
            layers.forEach(s -> prepared.add(s.prepareReorder(rows)));
            prepared.forEach(MixerState.Reordering::apply);
        } finally {
            prepared.forEach(MixerState.Reordering::close);
        }
        tokens = Arrays.stream(rows).map(r -> tokens[r]).toArray();
    }

    /** Bytes that the states occupy now. */
    public long bytes() {
        return layers.stream().mapToLong(MixerState::bytes).sum();
    }

    /** Forgets everything. */
    public void reset() {
        layers.forEach(MixerState::reset);
        Arrays.fill(tokens, 0);
        before = null;
    }

    @Override
    public void close() {
        layers.forEach(MixerState::close);
    }
}
