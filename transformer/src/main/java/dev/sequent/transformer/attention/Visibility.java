package dev.sequent.transformer.attention;

/**
 * Which keys a query sees. Query i stands at key position i + S - T.
 *
 * @param causal a query sees no key after its own position
 * @param window a query sees at most this many keys that end at its own position; {@link #UNLIMITED} for all
 * @param queryDocuments document of every query, row by row, or null; a query of a negative document sees nothing
 * @param queryStride distance of batch rows in {@code queryDocuments}
 * @param keyDocuments document of every key, or null exactly when {@code queryDocuments} is; a key of a negative document is never seen, nor read
 * @param keyStride distance of batch rows in {@code keyDocuments}
 */
record Visibility(boolean causal, int window, int[] queryDocuments, int queryStride, int[] keyDocuments, int keyStride) {
    /** A window that excludes nothing. Far enough from the integer limit that sums of positions do not overflow. */
    static final int UNLIMITED = 1 << 29;

    /** Causal attention over everything before. */
    static final Visibility CAUSAL = new Visibility(true, UNLIMITED, null, 0, null, 0);

    /** First key that query {@code i} may see. */
    int firstKey(AttentionSizes sizes, int i) {
        return Math.clamp((long) i + sizes.offset() - window + 1, 0, sizes.keys());
    }

    /** One past the last key that query {@code i} may see. */
    int endKey(AttentionSizes sizes, int i) {
        return causal ? Math.clamp((long) i + sizes.offset() + 1, 0, sizes.keys()) : sizes.keys();
    }

    /** First query that may see key {@code j}. */
    int firstQuery(AttentionSizes sizes, int j) {
        return causal ? Math.clamp((long) j - sizes.offset(), 0, sizes.queries()) : 0;
    }

    /** One past the last query that may see key {@code j}. */
    int endQuery(AttentionSizes sizes, int j) {
        return Math.clamp((long) j - sizes.offset() + window, 0, sizes.queries());
    }

    /** Whether documents restrict anything. */
    boolean hasDocuments() {
        return queryDocuments != null;
    }

    /** Whether key {@code j} of a row is padding. */
    boolean isPadding(int row, int j) {
        return keyDocuments != null && keyDocuments[row * keyStride + j] < 0;
    }

    /** Whether query {@code i} and key {@code j} of a row belong to the same document. */
    boolean sameDocument(int row, int i, int j) {
        if (queryDocuments == null) {
            return true;
        }
        int document = queryDocuments[row * queryStride + i];
        return document >= 0 && document == keyDocuments[row * keyStride + j];
    }

    /**
     * How queries {@code [i, iEnd)} and keys {@code [j, jEnd)} of a row meet, as far as documents tell.
     */
    Meeting meeting(int row, int i, int iEnd, int j, int jEnd) {
        if (queryDocuments == null) {
            return Meeting.ALL;
        }
        long queryRange = range(queryDocuments, row * queryStride + i, row * queryStride + iEnd);
        long keyRange = range(keyDocuments, row * keyStride + j, row * keyStride + jEnd);
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
