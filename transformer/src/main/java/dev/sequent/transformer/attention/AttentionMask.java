package dev.sequent.transformer.attention;

import dev.sequent.type.ShapeException;

/**
 * Which keys a query sees. Query i of row b stands at key position {@code offsets[b] + i}.
 *
 * @param causal whether a query sees no key after its own position
 * @param window how many keys, ending at its own position, a query sees at most; {@link #UNLIMITED} for all
 * @param offsets position of each row's query 0 among the keys (B), or null for S - T: the last query stands at the last key
 * @param queryDocuments document of every query (B T), or null; a query of a negative document is padding: it sees nothing and its result
 *     is zero
 * @param keyDocuments document of every key (B S), null exactly when {@code queryDocuments} is; a query sees keys of its own document
 *     only, and a key of a negative document is padding: nobody sees it
 */
public record AttentionMask(boolean causal, int window, int[] offsets, int[] queryDocuments, int[] keyDocuments) {
    /** A window that excludes nothing. Far enough from the integer limit that sums of positions do not overflow. */
    public static final int UNLIMITED = 1 << 29;

    /** Every query sees every key at or before its own position. */
    public static final AttentionMask CAUSAL = new AttentionMask(true, UNLIMITED, null, null, null);

    /** Every query sees every key. */
    public static final AttentionMask FULL = new AttentionMask(false, UNLIMITED, null, null, null);

    /** Checks the window and that documents come in pairs. */
    public AttentionMask {
        if (window < 1 || (queryDocuments == null) != (keyDocuments == null)) {
            throw new ShapeException("attention mask", "a window of at least 1, and documents of queries and keys or neither",
                    "window " + window + (queryDocuments == null ? ", no documents of queries" : ", documents of queries")
                            + (keyDocuments == null ? ", none of keys" : ", of keys"));
        }
        window = Math.min(window, UNLIMITED);
    }

    /** The same with another window. */
    public AttentionMask withWindow(int keys) {
        return new AttentionMask(causal, keys, offsets, queryDocuments, keyDocuments);
    }

    /** The same with documents of queries and keys. */
    public AttentionMask withDocuments(int[] ofQueries, int[] ofKeys) {
        return new AttentionMask(causal, window, offsets, ofQueries, ofKeys);
    }

    /** The same with other positions of the rows' first queries. */
    public AttentionMask withOffsets(int[] rows) {
        return new AttentionMask(causal, window, rows, queryDocuments, keyDocuments);
    }

    /** Fails unless the arrays have the lengths that {@code sizes} ask for. */
    void expect(AttentionSizes sizes) {
        long queries = (long) sizes.batch() * sizes.queries();
        long keys = (long) sizes.batch() * sizes.keys();
        if (offsets != null && offsets.length != sizes.batch() || queryDocuments != null && queryDocuments.length != queries
                || keyDocuments != null && keyDocuments.length != keys) {
            throw new ShapeException("attention mask", sizes.batch() + " offsets, documents of " + queries + " queries and " + keys
                    + " keys",
                    length(offsets) + ", " + length(queryDocuments) + " and " + length(keyDocuments));
        }
    }

    private static String length(int[] array) {
        return array == null ? "none" : array.length + "";
    }

    private long offset(AttentionSizes sizes, int row) {
        return offsets == null ? sizes.keys() - sizes.queries() : offsets[row];
    }

    /** First key that query {@code i} may see. */
    int firstKey(AttentionSizes sizes, int row, int i) {
        return Math.clamp(i + offset(sizes, row) - window + 1, 0, sizes.keys());
    }

    /** One past the last key that query {@code i} may see. */
    int endKey(AttentionSizes sizes, int row, int i) {
        return causal ? Math.clamp(i + offset(sizes, row) + 1, 0, sizes.keys()) : sizes.keys();
    }

    /** First query that may see key {@code j}. */
    int firstQuery(AttentionSizes sizes, int row, int j) {
        return causal ? Math.clamp(j - offset(sizes, row), 0, sizes.queries()) : 0;
    }

    /** One past the last query that may see key {@code j}. */
    int endQuery(AttentionSizes sizes, int row, int j) {
        return Math.clamp(j - offset(sizes, row) + window, 0, sizes.queries());
    }

    /** Whether documents restrict anything. */
    boolean hasDocuments() {
        return queryDocuments != null;
    }

    /** Whether key {@code j} of a row is padding. */
    boolean isPadding(AttentionSizes sizes, int row, int j) {
        return keyDocuments != null && keyDocuments[row * sizes.keys() + j] < 0;
    }

    /** Whether query {@code i} and key {@code j} of a row belong to the same document. */
    boolean sameDocument(AttentionSizes sizes, int row, int i, int j) {
        if (queryDocuments == null) {
            return true;
        }
        int document = queryDocuments[row * sizes.queries() + i];
        return document >= 0 && document == keyDocuments[row * sizes.keys() + j];
    }

    /** Whether query {@code i} sees key {@code j}. */
    boolean sees(AttentionSizes sizes, int row, int i, int j) {
        return j >= firstKey(sizes, row, i) && j < endKey(sizes, row, i) && sameDocument(sizes, row, i, j);
    }

    /** How many pairs of queries {@code [i, iEnd)} and keys {@code [j, jEnd)} of a row share a document. */
    Meeting meeting(AttentionSizes sizes, int row, int i, int iEnd, int j, int jEnd) {
        if (queryDocuments == null) {
            return Meeting.ALL;
        }
        long queryRange = range(queryDocuments, row * sizes.queries() + i, row * sizes.queries() + iEnd);
        long keyRange = range(keyDocuments, row * sizes.keys() + j, row * sizes.keys() + jEnd);
        int queryMin = (int) (queryRange >> 32);
        int queryMax = (int) queryRange;
        int keyMin = (int) (keyRange >> 32);
        int keyMax = (int) keyRange;
        if (queryMax < 0 || keyMax < 0 || queryMax < keyMin || keyMax < queryMin) {
            return Meeting.NONE;
        }
        return queryMin == queryMax && keyMin == keyMax && queryMin == keyMin ? Meeting.ALL : Meeting.SOME;
    }

    /** Smallest number in the upper half, largest in the lower. */
    private static long range(int[] documents, int from, int to) {
        int min = Integer.MAX_VALUE;
        int max = Integer.MIN_VALUE;
        for (int i = from; i < to; i++) {
            min = Math.min(min, documents[i]);
            max = Math.max(max, documents[i]);
        }
        return (long) min << 32 | max & 0xffffffffL;
    }

    /** How many pairs of a block of queries and a block of keys share a document. */
    enum Meeting { NONE, SOME, ALL }
}
