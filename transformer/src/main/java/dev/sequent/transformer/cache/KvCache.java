package dev.sequent.transformer.cache;

import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.attention.AttentionMask;
import dev.sequent.type.BackendException;
import dev.sequent.type.CapacityException;
import dev.sequent.type.ReleasedTensorException;
import dev.sequent.type.ShapeException;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Keys and values of the tokens that an attention layer has seen, in memory of a fixed capacity: (B, G, capacity, P) each, so that
 * the tokens of a head are neighbours.
 *
 * <p>The tokens of row b fill the slots {@code [start[b], end[b])} without gaps; padding on the right is not stored, and padding on the
 * left of a row's first tokens is a part of the row in front of its start. As long as all rows end at the same slot, appending is one
 * write. Used by one thread.
 */
public final class KvCache implements MixerState {
    private final StateSpec spec;
    private final int heads;
    private final int width;
    private Tensor keys;
    private Tensor values;
    private int[] start;
    private int[] end;
    private long position;

    /**
     * An empty cache.
     *
     * @param heads G, key-value heads
     * @param width P, channels per head
     */
    public KvCache(StateSpec spec, int heads, int width) {
        this(spec, heads, width, new int[spec.batch()], new int[spec.batch()], 0);
    }

    private KvCache(StateSpec spec, int heads, int width, int[] start, int[] end, long position) {
        this.spec = spec;
        this.heads = heads;
        this.width = width;
        this.start = start;
        this.end = end;
        this.position = position;
        // a scope: when memory runs out half-way, nothing stays behind
        try (Scope _ = Scope.open()) {
            Tensor k = zeros(start.length);
            Tensor v = zeros(start.length);
            this.keys = k.own();
            this.values = v.own();
        }
    }

    private Tensor zeros(int batch) {
        return Tensor.zeros(spec.device(), spec.dtype(), batch, heads, spec.capacity(), width);
    }

    /** Where the real tokens of each row of a chunk lie. */
    private record Chunk(int time, int[] first, int[] last) {
        static Chunk of(SequenceInfo info) {
            int[] first = new int[info.batch()];
            int[] last = new int[info.batch()];
            for (int b = 0; b < info.batch(); b++) {
                last[b] = info.time();
                if (info.flags() != null) {
                    row(info, b, first, last);
                }
            }
            return new Chunk(info.time(), first, last);
        }

        private static void row(SequenceInfo info, int b, int[] first, int[] last) {
            int at = b * info.time();
            int from = 0;
            while (from < info.time() && info.flags()[at + from] == SequenceInfo.SKIP) {
                from++;
            }
            int to = info.time();
            while (to > from && info.flags()[at + to - 1] == SequenceInfo.SKIP) {
                to--;
            }
            for (int t = from; t < to; t++) {
                if (info.flags()[at + t] != 0) {
                    throw new ShapeException("cache", "one document per row, with padding only before or after it",
                            "row " + b + ", position " + t);
                }
            }
            first[b] = from;
            last[b] = to;
        }

        int length(int b) {
            return last[b] - first[b];
        }
    }

    /**
     * Stores the keys and values of further tokens.
     *
     * @param k (B, T, G, P)
     * @param v (B, T, G, P)
     * @param info which of them are padding
     * @return what the T new queries may see of {@link #keys}
     * @throws CapacityException when they do not fit; the cache is then unchanged
     * @throws BackendException while work is recorded for a graph: where tokens go and how many there are differs in
     *     every step
     */
    public AttentionMask append(Tensor k, Tensor v, SequenceInfo info) {
        requireOpen();
        requireNotCapturing();
        k.expect("cache keys", start.length, info.time(), heads, width);
        v.expect("cache values", start.length, info.time(), heads, width);
        Chunk chunk = Chunk.of(info);
        boolean aligned = aligned(chunk);
        int[] nextStart = start.clone();
        int[] nextEnd = ends(chunk, aligned);
        int[] offsets = new int[start.length];
        for (int b = 0; b < start.length; b++) {
            int skipped = aligned ? 0 : chunk.first[b];
            offsets[b] = end[b] - skipped;
            nextStart[b] = start[b] == end[b] ? offsets[b] + chunk.first[b] : start[b];
        }
        try (Scope _ = Scope.open()) {
            write(keys, k, chunk, aligned);
            write(values, v, chunk, aligned);
        }
        start = nextStart;
        end = nextEnd;
        position += chunk.time;
        return mask(chunk, offsets);
    }

    /** Writes the keys and values of one further token of every row, and computes something from all of them. */
    @FunctionalInterface
    public interface TokenWriter {
        /**
         * Writes to {@code slot} of {@code keys} and {@code values}.
         *
         * @param keys (B, G, capacity, P), contiguous
         * @param values (B, G, capacity, P), contiguous
         * @param slot where the token goes; each row's tokens fill the slots in front of it
         */
        Tensor write(Tensor keys, Tensor values, int slot);
    }

    /** What the cache was made for. */
    public StateSpec spec() {
        return spec;
    }

    /** Whether every row begins at the first slot and ends at the same one, so that {@link #append(TokenWriter)} can be used. */
    public boolean isEven() {
        for (int b = 0; b < start.length; b++) {
            if (start[b] != 0 || end[b] != end[0]) {
                return false;
            }
        }
        return start.length > 0;
    }

    /**
     * Stores one further token of every row of an even cache, in place.
     *
     * @param writer stores the token; when it fails, the cache is unchanged
     * @return what {@code writer} returns
     * @throws CapacityException when the token does not fit; the cache is then unchanged
     * @throws BackendException as {@link #append(Tensor, Tensor, SequenceInfo)} does
     */
    public Tensor append(TokenWriter writer) {
        requireOpen();
        requireNotCapturing();
        if (!isEven()) {
            throw new ShapeException("cache", "rows that begin and end at the same slots", Arrays.toString(start) + " to "
                    + Arrays.toString(end));
        }
        requireCapacity(0, end[0] + 1);
        Tensor result = writer.write(keys, values, end[0]);
        for (int b = 0; b < end.length; b++) {
            end[b]++;
        }
        position++;
        return result;
    }

    private void requireNotCapturing() {
        if (spec.device().capturing()) {
            throw new BackendException("capture", "a step that is the same at every position",
                "one that appends to a cache of keys and values");
        }
    }

    private void requireCapacity(int row, int tokens) {
        if (tokens > spec.capacity()) {
            throw new CapacityException("cache", "at most " + spec.capacity() + " tokens", tokens + " in row " + row);
        }
    }

    /** Where the rows end after a chunk, if there is room for it. */
    private int[] ends(Chunk chunk, boolean aligned) {
        int[] next = new int[end.length];
        for (int b = 0; b < end.length; b++) {
            next[b] = end[b] + (aligned ? chunk.time : chunk.length(b));
            requireCapacity(b, next[b]);
        }
        return next;
    }

    @Override
    public void requireRoom(SequenceInfo info) {
        requireOpen();
        if (info.flags() != null || length() + info.time() > spec.capacity()) { // else every row has room
            Chunk chunk = Chunk.of(info);
            ends(chunk, aligned(chunk));
        }
    }

    /** Whether all rows end at one slot and go on there, with padding only in front of rows that are empty. */
    private boolean aligned(Chunk chunk) {
        for (int b = 0; b < start.length; b++) {
            boolean fits = end[b] == end[0] && chunk.last[b] == chunk.time && (chunk.first[b] == 0 || start[b] == end[b]);
            if (!fits) {
                return false;
            }
        }
        return true;
    }

    private void write(Tensor memory, Tensor x, Chunk chunk, boolean aligned) {
        Tensor rows = x.cast(spec.dtype()).permute(0, 2, 1, 3); // (B, G, T, P)
        if (aligned) {
            memory.write(rows, 0, 0, end[0], 0);
            return;
        }
        for (int b = 0; b < start.length; b++) {
            if (chunk.length(b) > 0) {
                memory.write(rows.slice(0, b, b + 1).slice(2, chunk.first[b], chunk.last[b]), b, 0, end[b], 0);
            }
        }
    }

    private AttentionMask mask(Chunk chunk, int[] offsets) {
        int length = length();
        boolean whole = true;
        for (int b = 0; b < start.length; b++) {
            whole &= start[b] == 0 && end[b] == length && chunk.length(b) == chunk.time;
        }
        if (whole) {
            return AttentionMask.CAUSAL;
        }
        int[] queryDocuments = new int[start.length * chunk.time];
        int[] keyDocuments = new int[start.length * length];
        Arrays.fill(queryDocuments, -1);
        Arrays.fill(keyDocuments, -1);
        for (int b = 0; b < start.length; b++) {
            Arrays.fill(queryDocuments, b * chunk.time + chunk.first[b], b * chunk.time + chunk.last[b], 0);
            Arrays.fill(keyDocuments, b * length + start[b], b * length + end[b], 0);
        }
        return AttentionMask.CAUSAL.withOffsets(offsets).withDocuments(queryDocuments, keyDocuments);
    }

    /**
     * Forgets the last {@code count} tokens of every row, as when drafted tokens are rejected.
     *
     * @throws CapacityException when a row has fewer tokens; the cache is then unchanged
     */
    public void rewind(int count) {
        requireOpen();
        for (int b = 0; b < start.length; b++) {
            if (count < 0 || end[b] - start[b] < count) {
                throw new CapacityException("cache", "a number of tokens in [0, " + (end[b] - start[b]) + "] to forget in row " + b,
                        count + "");
            }
        }
        for (int b = 0; b < end.length; b++) {
            end[b] -= count;
        }
        position -= count;
    }

    /** Slots in use: the S of {@link #keys}. */
    public int length() {
        return Arrays.stream(end).max().orElse(0);
    }

    /** Tokens seen per row, without padding. */
    public int[] tokens() {
        int[] tokens = new int[start.length];
        Arrays.setAll(tokens, b -> end[b] - start[b]);
        return tokens;
    }

    /** The stored keys (B, S, G, P): a view that is valid until the next change of the cache. */
    public Tensor keys() {
        return view(keys);
    }

    /** The stored values (B, S, G, P): a view that is valid until the next change of the cache. */
    public Tensor values() {
        return view(values);
    }

    private Tensor view(Tensor memory) {
        requireOpen();
        return Scope.returning(() -> memory.slice(2, 0, length()).permute(0, 2, 1, 3));
    }

    private void requireOpen() {
        if (keys == null) {
            throw new ReleasedTensorException("cache", "an open cache", "one that has been closed");
        }
    }

    @Override
    public int batch() {
        return start.length;
    }

    @Override
    public long position() {
        return position;
    }

    @Override
    public KvCache fork() {
        requireOpen();
        KvCache copy = new KvCache(spec, heads, width, start.clone(), end.clone(), position);
        try (Scope _ = Scope.open()) {
            copy.keys.write(filled(keys), 0, 0, 0, 0);
            copy.values.write(filled(values), 0, 0, 0, 0);
        }
        return copy;
    }

    /** While the number of rows stays, takes more memory only for a copy of the slots in use, and then only until it is applied. */
    @Override
    public Reordering prepareReorder(int[] rows) {
        requireOpen();
        for (int r : rows) {
            if (r < 0 || r >= start.length) {
                throw new ShapeException("reorder", "rows in [0, " + start.length + ")", r + "");
            }
        }
        try (Scope _ = Scope.open()) {
            boolean same = Arrays.equals(rows, IntStream.range(0, start.length).toArray());
            Tensor index = Tensor.of(spec.device(), rows);
            Tensor k = same ? null : reordered(keys, index, rows.length);
            Tensor v = same ? null : reordered(values, index, rows.length);
            return new Rows(rows.clone(), same ? null : k.own(), same ? null : v.own());
        }
    }

    /** The slots in use, (B, G, S, P): capacity beyond them is never copied. */
    private Tensor filled(Tensor memory) {
        return memory.slice(2, 0, length());
    }

    /** The slots in use of the new rows or, where there are more or fewer rows than before, memory of full capacity that holds them. */
    private Tensor reordered(Tensor memory, Tensor index, int rows) {
        Tensor kept = filled(memory).indexSelect(0, index);
        if (rows == start.length) {
            return kept;
        }
        Tensor next = zeros(rows);
        next.write(kept, 0, 0, 0, 0);
        return next;
    }

    /** New rows; without tensors where every row stays what it is. */
    private final class Rows implements Reordering {
        private final int[] rows;
        private Tensor nextKeys;
        private Tensor nextValues;

        private Rows(int[] rows, Tensor nextKeys, Tensor nextValues) {
            this.rows = rows;
            this.nextKeys = nextKeys;
            this.nextValues = nextValues;
        }

        @Override
        public void apply() {
            if (nextKeys != null && rows.length == start.length) {
                keys.write(nextKeys, 0, 0, 0, 0);
                values.write(nextValues, 0, 0, 0, 0);
            } else if (nextKeys != null) {
                Tensor k = keys;
                Tensor v = values;
                keys = nextKeys;
                values = nextValues;
                nextKeys = k;
                nextValues = v;
            }
            start = Arrays.stream(rows).map(r -> start[r]).toArray();
            end = Arrays.stream(rows).map(r -> end[r]).toArray();
        }

        @Override
        public void close() {
            if (nextKeys != null) {
                nextKeys.close();
                nextValues.close();
            }
        }
    }

    @Override
    public long bytes() {
        requireOpen();
        return (keys.size() + values.size()) * spec.dtype().bytes();
    }

    @Override
    public void reset() {
        requireOpen();
        Arrays.fill(start, 0);
        Arrays.fill(end, 0);
        position = 0;
    }

    @Override
    public void close() {
        if (keys != null) {
            keys.close();
            values.close();
            keys = null;
            values = null;
        }
    }
}
