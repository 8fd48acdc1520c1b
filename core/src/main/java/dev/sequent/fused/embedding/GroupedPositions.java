package dev.sequent.fused.embedding;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sequent.fused.Indices;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Positions grouped by id; those of one id are neighbours in ascending order, and the groups stand in an order that the ids alone decide.
 *
 * <p>Grouped in two steps, each of which is cut by sizes alone. First, chunks of positions are dealt out to buckets by the lowest byte of
 * their ids, as a radix sort does: every chunk counts, places are handed out to chunks in order, every chunk places. Frequent ids are
 * neighbours in most vocabularies, and their lowest bytes spread them over the buckets. Then every bucket is sorted by the rest of the
 * id. A small batch is one chunk, so that only the second step is a parallel loop. Immutable once grouped, and thread-safe.
 */
final class GroupedPositions {
    private static final int BITS = Byte.SIZE;
    private static final int BUCKETS = 1 << BITS;
    private static final int CHUNK = 4096;
    private static final int MAX_CHUNKS = 64;
    /** Positions and counters of a task of the second step. */
    private static final int WORK_PER_TASK = 4096;

    private final Indices ids;
    private final int rows;
    private final int vocabulary;
    private final int chunkRows;
    private final int chunks;
    private final MemorySegment order;
    /** Positions by bucket; the same as {@link #order} where a bucket is one id. */
    private final MemorySegment dealt;
    /** Places of every chunk and bucket: the next one to write to. */
    private final MemorySegment places;
    /** Where every bucket begins, and the number of positions. */
    private final int[] begins = new int[BUCKETS + 1];

    private GroupedPositions(Indices ids, int rows, int vocabulary, MemorySegment scratch) {
        this.ids = ids;
        this.rows = rows;
        this.vocabulary = vocabulary;
        chunkRows = chunkRows(rows);
        chunks = Math.ceilDiv(rows, chunkRows);
        long bytes = (long) rows << 2;
        order = scratch.asSlice(0, bytes);
        dealt = vocabulary <= BUCKETS ? order : scratch.asSlice(bytes, bytes);
        places = scratch.asSlice(2 * bytes, (long) chunks * BUCKETS << 2);
    }

    /** Ints of memory for so many positions. */
    static long ints(int rows) {
        return 2L * rows + (long) Math.ceilDiv(rows, chunkRows(rows)) * BUCKETS;
    }

    private static int chunkRows(int rows) {
        return Math.max(CHUNK, Math.ceilDiv(rows, MAX_CHUNKS));
    }

    /** Groups the first {@code rows} positions by their ids, all in [0, vocabulary); {@code scratch} is used as long as the result. */
    static GroupedPositions of(Parallel parallel, Indices ids, int rows, int vocabulary, MemorySegment scratch) {
        GroupedPositions grouped = new GroupedPositions(ids, rows, vocabulary, scratch);
        grouped.group(parallel);
        return grouped;
    }

    /** Position number {@code i} in the order of groups. */
    int position(int i) {
        return order.getAtIndex(JAVA_INT, i);
    }

    /** The id of position number {@code i}. */
    int id(int i) {
        return (int) ids.at(position(i));
    }

    /** The first number of a position, not below {@code i}, at which a group begins; the number of positions where there is none. */
    int groupFrom(int i) {
        return i == 0 || i >= rows ? Math.min(i, rows) : groupEnd(i - 1);
    }

    /** Where the group of position number {@code i} ends. */
    int groupEnd(int i) {
        int id = id(i);
        int last = i;
        int step = 1;
        // groups may be as long as the batch, so steps double, and then halve
        for (; holds(id, (long) last + step); step *= 2) {
            last += step;
        }
        for (step /= 2; step > 0; step /= 2) {
            last += holds(id, (long) last + step) ? step : 0;
        }
        return last + 1;
    }

    private boolean holds(int id, long i) {
        return i < rows && id((int) i) == id;
    }

    private void group(Parallel parallel) {
        if (chunks == 1) {
            count(0);
            handOut();
            deal(0);
        } else if (chunks > 1) {
            parallel.forEach(chunks, this::count);
            handOut();
            parallel.forEach(chunks, this::deal);
        }
        if (vocabulary > BUCKETS) {
            int tasks = Math.clamp(((long) rows + vocabulary) / WORK_PER_TASK, 1, BUCKETS);
            parallel.forEach(tasks, task -> sortBuckets(BUCKETS * task / tasks, BUCKETS * (task + 1) / tasks));
        }
    }

    private int bucket(int position) {
        return (int) ids.at(position) & BUCKETS - 1;
    }

    private int end(int chunk) {
        return (int) Math.min(rows, (chunk + 1L) * chunkRows);
    }

    private MemorySegment placesOf(int chunk) {
        return places.asSlice((long) chunk * BUCKETS << 2, (long) BUCKETS << 2);
    }

    private void count(int chunk) {
        MemorySegment counts = placesOf(chunk);
        counts.fill((byte) 0);
        for (int r = chunk * chunkRows, end = end(chunk); r < end; r++) {
            increment(counts, bucket(r));
        }
    }

    /** Adds 1 to a counter and answers what it was. */
    private static int increment(MemorySegment counters, long index) {
        int value = counters.getAtIndex(JAVA_INT, index);
        counters.setAtIndex(JAVA_INT, index, value + 1);
        return value;
    }

    /** Turns counts into places: bucket after bucket, and within a bucket chunk after chunk. */
    private void handOut() {
        int place = 0;
        for (int bucket = 0; bucket < BUCKETS; bucket++) {
            begins[bucket] = place;
            for (int chunk = 0; chunk < chunks; chunk++) {
                long at = (long) chunk * BUCKETS + bucket;
                int count = places.getAtIndex(JAVA_INT, at);
                places.setAtIndex(JAVA_INT, at, place);
                place += count;
            }
        }
        begins[BUCKETS] = place;
    }

    private void deal(int chunk) {
        MemorySegment next = placesOf(chunk);
        for (int r = chunk * chunkRows, end = end(chunk); r < end; r++) {
            dealt.setAtIndex(JAVA_INT, increment(next, bucket(r)), r);
        }
    }

    private void sortBuckets(int from, int to) {
        int[] counters = new int[(vocabulary - 1 >>> BITS) + 1];
        for (int bucket = from; bucket < to; bucket++) {
            if (begins[bucket] < begins[bucket + 1]) {
                sortBucket(begins[bucket], begins[bucket + 1], counters);
            }
        }
    }

    /** Sorts the positions {@code dealt[begin .. end)} by the higher bits of their ids: counts, adds up and places. */
    private void sortBucket(int begin, int end, int[] counters) {
        Arrays.fill(counters, 0);
        for (int i = begin; i < end; i++) {
            counters[(int) ids.at(dealt.getAtIndex(JAVA_INT, i)) >>> BITS]++;
        }
        int place = begin;
        for (int v = 0; v < counters.length; v++) {
            int count = counters[v];
            counters[v] = place;
            place += count;
        }
        for (int i = begin; i < end; i++) {
            int r = dealt.getAtIndex(JAVA_INT, i);
            order.setAtIndex(JAVA_INT, counters[(int) ids.at(r) >>> BITS]++, r);
        }
    }
}
