package dev.sequent.transformer.attention;

/**
 * How {@link RoundedAttention} lays out its BF16 copies: head by head, rows of {@link #width} channels, with zeros where the operands
 * end, so that every tile is a whole one.
 */
record RoundedSizes(AttentionSizes sizes) {
    /** Queries of a block, and keys of a tile. */
    static final int BLOCK = 256;

    /** Numbers of rows are multiples of this: few forms of products then cover all lengths. */
    static final int UNIT = 64;

    /** Keys, or queries, of a tile that only some of the block see. */
    static final int EDGE = 128;

    /** Channels come in multiples of a tile register's row. */
    private static final int CHANNELS = 32;

    private static final long CACHE_LINE = 64;

    static int up(int count, int unit) {
        return Math.ceilDiv(count, unit) * unit;
    }

    /** P with the zeros behind it. */
    int width() {
        return up(sizes.width(), CHANNELS);
    }

    /** T with the zeros behind it. */
    int queries() {
        return up(sizes.queries(), UNIT);
    }

    /** S with the zeros behind it. */
    int keys() {
        return up(sizes.keys(), UNIT);
    }

    /** Bytes of one head's copy of queries. */
    long queryBytes() {
        return (long) queries() * width() * Short.BYTES;
    }

    /** Bytes of one head's copy of keys. */
    long keyBytes() {
        return (long) keys() * width() * Short.BYTES;
    }

    /** Query heads of all rows. */
    int heads() {
        return sizes.batch() * sizes.heads();
    }

    /** Key-value heads of all rows. */
    int groups() {
        return sizes.batch() * sizes.groups();
    }

    /** Bytes that the forward pass needs: keys and values. */
    long forwardBytes() {
        return 2 * groups() * keyBytes();
    }

    /** Number of tasks into which the keys of a head are cut in the backward pass; depends on sizes alone. */
    int chunks() {
        return RoundedBackward.chunks(sizes);
    }

    /** Bytes that the backward pass needs; the parts follow each other in the order of the methods below. */
    long backwardBytes() {
        return sums(chunks());
    }

    /** Where the keys start, then the values. */
    long keysAndValues() {
        return 0;
    }

    /** Where the queries start, then the result gradients, then both with their rows interleaved. */
    long queriesAndGradients() {
        return 2 * groups() * keyBytes();
    }

    /** Where the numbers per query start: what is added to their scores, then deltas. */
    long perQuery() {
        return queriesAndGradients() + 4 * heads() * queryBytes();
    }

    /** Where a chunk's query gradients start, F32. */
    long sums(int chunk) {
        return perQuery() + 2L * heads() * queries() * Float.BYTES + chunk * sumBytes();
    }

    /** Bytes of a chunk's query gradients. */
    long sumBytes() {
        return 2 * heads() * queryBytes();
    }

    /** Floats of scratch memory for {@code bytes} bytes. */
    static long floats(long bytes) {
        return Math.ceilDiv(bytes, CACHE_LINE) * CACHE_LINE / Float.BYTES;
    }
}
