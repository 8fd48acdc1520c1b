package dev.sequent.fused.embedding;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sequent.fused.Indices;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * Positions sorted by id, those of one id in ascending order.
 *
 * <p>Sorted in two steps, each of which is cut by sizes alone. First, chunks of positions are dealt out to at most {@link #MAX_BUCKETS}
 * equal ranges of ids, as a radix sort does: every chunk counts, places are handed out to chunks in order, every chunk places. Then every
 * range of more than one id counts its ids and orders its positions. A small batch is one chunk, so that only the second step, which looks at the whole
 * vocabulary, is a parallel loop. Cost O(rows + V). Immutable once sorted, and thread-safe.
 */
final class SortedPositions {
    private static final int MAX_BUCKETS = 256;
    private static final int CHUNK = 4096;
    private static final int MAX_CHUNKS = 64;
    /** Positions and ids of a task of the second step. */
    private static final int WORK_PER_TASK = 4096;

    private final Indices ids;
    private final int rows;
    private final int vocabulary;
    /** Ids are in one range when they are equal without their lowest {@code shift} bits. */
    private final int shift;
    private final int buckets;
    private final int chunkRows;
    private final int chunks;
    /** Where the positions of id v end in {@link #order}, for every v. */
    private final MemorySegment ends;
    private final MemorySegment order;
    /** Positions by range of ids. */
    private final MemorySegment dealt;
    /** Places of every chunk and range: the next one to write to. */
    private final MemorySegment places;
    /** Where every range begins, and the number of positions. */
    private final int[] begins;

    private SortedPositions(Indices ids, int rows, int vocabulary, MemorySegment scratch) {
        this.ids = ids;
        this.rows = rows;
        this.vocabulary = vocabulary;
        shift = shift(vocabulary);
        buckets = buckets(vocabulary);
        chunkRows = chunkRows(rows);
        chunks = Math.ceilDiv(rows, chunkRows);
        begins = new int[buckets + 1];
        ends = scratch.asSlice(0, (long) vocabulary << 2);
        order = scratch.asSlice(ends.byteSize(), (long) rows << 2);
        // ranges of one id are in order once they have been dealt out
        dealt = shift == 0 ? order : scratch.asSlice(ends.byteSize() + order.byteSize(), (long) rows << 2);
        places = scratch.asSlice(ends.byteSize() + 2 * order.byteSize(), (long) chunks * buckets << 2);
    }

    /** Ints of memory for so many positions and ids. */
    static long ints(int rows, int vocabulary) {
        return vocabulary + 2L * rows + (long) Math.ceilDiv(rows, chunkRows(rows)) * buckets(vocabulary);
    }

    private static int shift(int vocabulary) {
        return Math.max(0, 32 - Integer.numberOfLeadingZeros(Math.max(vocabulary - 1, 0)) - Integer.numberOfTrailingZeros(MAX_BUCKETS));
    }

    private static int buckets(int vocabulary) {
        return vocabulary == 0 ? 0 : (vocabulary - 1 >>> shift(vocabulary)) + 1;
    }

    private static int chunkRows(int rows) {
        return Math.max(CHUNK, Math.ceilDiv(rows, MAX_CHUNKS));
    }

    /** Sorts the first {@code rows} positions by their ids, all in [0, vocabulary); {@code scratch} is used as long as the result. */
    static SortedPositions sort(Parallel parallel, Indices ids, int rows, int vocabulary, MemorySegment scratch) {
        SortedPositions sorted = new SortedPositions(ids, rows, vocabulary, scratch);
        sorted.sort(parallel);
        return sorted;
    }

    /** Number of ids. */
    int vocabulary() {
        return vocabulary;
    }

    /** Index of the first position of id v; of v = V: the number of positions. */
    int start(int v) {
        return v == 0 ? 0 : ends.getAtIndex(JAVA_INT, v - 1);
    }

    /** Position number {@code i} in the order of ids. */
    int position(int i) {
        return order.getAtIndex(JAVA_INT, i);
    }

    private void sort(Parallel parallel) {
        if (chunks == 1) {
            count(0);
            handOut();
            deal(0);
        } else if (chunks > 1) {
            parallel.forEach(chunks, this::count);
            handOut();
            parallel.forEach(chunks, this::deal);
        }
        if (shift == 0) {
            for (int v = 0; v < vocabulary; v++) {
                ends.setAtIndex(JAVA_INT, v, begins[v + 1]);
            }
            return;
        }
        int tasks = Math.clamp(((long) rows + vocabulary) / WORK_PER_TASK, 1, Math.max(buckets, 1));
        if (tasks == 1) {
            orderRanges(0, buckets);
        } else {
            parallel.forEach(tasks, task -> orderRanges((int) ((long) buckets * task / tasks), (int) ((long) buckets * (task + 1) / tasks)));
        }
    }

    private int end(int chunk) {
        return Math.min(rows, (chunk + 1) * chunkRows);
    }

    private MemorySegment placesOf(int chunk) {
        return places.asSlice((long) chunk * buckets << 2, (long) buckets << 2);
    }

    private void count(int chunk) {
        MemorySegment counts = placesOf(chunk);
        counts.fill((byte) 0);
        for (int r = chunk * chunkRows, end = end(chunk); r < end; r++) {
            increment(counts, (int) ids.at(r) >>> shift);
        }
    }

    /** Adds 1 to a counter and answers what it was. */
    private static int increment(MemorySegment counters, long index) {
        int value = counters.getAtIndex(JAVA_INT, index);
        counters.setAtIndex(JAVA_INT, index, value + 1);
        return value;
    }

    /** Turns counts into places: range after range, and within a range chunk after chunk. */
    private void handOut() {
        int place = 0;
        for (int bucket = 0; bucket < buckets; bucket++) {
            begins[bucket] = place;
            for (int chunk = 0; chunk < chunks; chunk++) {
                long at = (long) chunk * buckets + bucket;
                int count = places.getAtIndex(JAVA_INT, at);
                places.setAtIndex(JAVA_INT, at, place);
                place += count;
            }
        }
        begins[buckets] = place;
    }

    private void deal(int chunk) {
        MemorySegment next = placesOf(chunk);
        for (int r = chunk * chunkRows, end = end(chunk); r < end; r++) {
            dealt.setAtIndex(JAVA_INT, increment(next, (int) ids.at(r) >>> shift), r);
        }
    }

    private void orderRanges(int from, int to) {
        for (int bucket = from; bucket < to; bucket++) {
            int low = bucket << shift;
            int high = (int) Math.min(vocabulary, ((long) bucket + 1) << shift);
            orderRange(low, high, begins[bucket], begins[bucket + 1]);
        }
    }

    /** Orders the positions {@code dealt[begin .. end)}, whose ids are in [low, high): counts, adds up and places. */
    private void orderRange(int low, int high, int begin, int end) {
        MemorySegment counters = ends.asSlice((long) low << 2, (long) high - low << 2);
        counters.fill((byte) 0);
        for (int i = begin; i < end; i++) {
            increment(counters, ids.at(dealt.getAtIndex(JAVA_INT, i)) - low);
        }
        int place = begin;
        for (int v = 0; v < high - low; v++) {
            int count = counters.getAtIndex(JAVA_INT, v);
            counters.setAtIndex(JAVA_INT, v, place);
            place += count;
        }
        for (int i = begin; i < end; i++) {
            int r = dealt.getAtIndex(JAVA_INT, i);
            order.setAtIndex(JAVA_INT, increment(counters, ids.at(r) - low), r);
        }
    }
}
