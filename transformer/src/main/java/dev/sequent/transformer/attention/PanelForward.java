package dev.sequent.transformer.attention;

import dev.sequent.transformer.attention.AttentionMask.Meeting;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The forward pass over blocks of queries with an online softmax (Milakov and Gimelshein 2018; FlashAttention, Dao 2022).
 *
 * <p>Lanes are queries: a tile of scores has one row per key, so maxima and sums of the softmax are vertical, keys and values are read
 * in their natural layout, and only a block's queries and result are transposed, once each. Stateless.
 */
final class PanelForward {
    /** Queries of a block. */
    static final int BLOCK = 2 * Tiles.PANEL;

    private static final int PANEL = Tiles.PANEL;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private PanelForward() {}

    /** Number of query blocks per head. */
    static int blocks(AttentionSizes sizes) {
        return Math.ceilDiv(sizes.queries(), BLOCK);
    }

    /**
     * Computes the block of queries that starts at {@code q0}.
     *
     * @param id a number of this call, by which threads recognise what they have loaded for it
     */
    static void block(AttentionCall call, long id, int row, int head, int q0, PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        int count = Math.min(BLOCK, sizes.queries() - q0);
        int width = sizes.width();
        Rows.load(call.q(), row, q0, head, count, width, call.scale() * Softmax.LOG2_E, s.blockRows);
        for (int p = 0; p * PANEL < count; p++) {
            Rows.transpose(s.blockRows, p * PANEL, width, s.firstPanels, s.panel(p, 0));
        }
        Arrays.fill(s.firstSums, 0f);
        Arrays.fill(s.maximum, Softmax.NO_MAXIMUM);
        Arrays.fill(s.sum, 0f);
        AttentionMask mask = call.mask();
        int end = mask.endKey(sizes, row, q0 + count - 1);
        for (int k0 = mask.firstKey(sizes, row, q0); k0 < end; k0 += PanelScratch.ROWS) {
            tile(call, id, row, head, q0, count, k0, Math.min(PanelScratch.ROWS, end - k0), s);
        }
        store(call, row, head, q0, count, s);
    }

    private static void tile(AttentionCall call, long id, int row, int head, int q0, int count, int k0, int keys, PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        if (mask.meeting(sizes, row, q0, q0 + count, k0, k0 + keys) == Meeting.NONE) {
            return;
        }
        int first = load(call, id, row, head / sizes.headsPerGroup(), k0, keys, s);
        for (int p = 0; p * PANEL < count; p++) {
            panel(call, row, q0, Math.min(PANEL, count - p * PANEL), k0, keys, first, p, s);
        }
    }

    /**
     * Brings keys and values into row tiles and returns the row of key {@code k0}. A head that is read more than once is brought as a
     * whole.
     */
    private static int load(AttentionCall call, long id, int row, int group, int k0, int keys, PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        boolean reused = blocks(sizes) * sizes.headsPerGroup() > 1;
        if (!reused || (long) sizes.keys() * s.width > PanelScratch.MOST_FLOATS) {
            s.release();
            loadRows(call, row, group, k0, keys, s);
            return 0;
        }
        int head = row * sizes.groups() + group;
        if (!s.holds(id, head)) {
            s.release();
            s.firstRows.reserve(sizes.keys());
            s.secondRows.reserve(sizes.keys());
            loadRows(call, row, group, 0, sizes.keys(), s);
            s.hold(id, head);
        }
        return k0;
    }

    private static void loadRows(AttentionCall call, int row, int group, int k0, int keys, PanelScratch s) {
        Rows.load(call.k(), row, k0, group, keys, call.sizes().width(), 1f, s.firstRows);
        Rows.load(call.v(), row, k0, group, keys, call.sizes().width(), 1f, s.secondRows);
        if (call.mask().hasDocuments()) {
            Rows.clearPadding(call, row, k0, keys, s.firstRows);
            Rows.clearPadding(call, row, k0, keys, s.secondRows);
        }
    }

    /** One panel of queries against one tile of keys. */
    private static void panel(AttentionCall call, int row, int q0, int queries, int k0, int keys, int first, int p,
            PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int q = q0 + p * PANEL;
        int from = Math.max(0, mask.firstKey(sizes, row, q) - k0);
        int to = Math.min(keys, mask.endKey(sizes, row, q + queries - 1) - k0);
        if (from >= to) {
            return;
        }
        Meeting meeting = mask.meeting(sizes, row, q, q + queries, k0 + from, k0 + to);
        if (meeting == Meeting.NONE) {
            return;
        }
        scores(sizes.width(), first, from - from % Tiles.ROWS, to, p, s);
        mask(call, row, q, queries, k0, from, to, meeting, s.scores);
        if (Softmax.advance(to - from, s.scores, from * PANEL, s.maximum, s.sum, s.alpha, p * PANEL)) {
            Softmax.rescale(sizes.width(), s.firstSums, s.panel(p, 0), s.alpha, p * PANEL);
        }
        for (int d = 0; d < sizes.width(); d += Tiles.COLUMNS) {
            int columns = Math.min(Tiles.COLUMNS, sizes.width() - d);
            int rows = s.secondRows.at(first + from, d);
            Tiles.outer(columns, to - from, s.secondRows.data(), rows, s.scores, from * PANEL, s.firstSums, s.panel(p, d));
        }
    }

    private static void scores(int width, int first, int from, int to, int p, PanelScratch s) {
        for (int d = 0; d < width; d += Tiles.COLUMNS) {
            int columns = Math.min(Tiles.COLUMNS, width - d);
            for (int j = from; j < to; j += Tiles.ROWS) {
                Tiles.dots(columns, s.firstRows.data(), s.firstRows.at(first + j, d), s.firstPanels, s.panel(p, d), s.scores, j * PANEL,
                        d > 0 ? s.moreScores : null);
            }
        }
    }

    /** Sets the scores of pairs that do not see each other to negative infinity. */
    private static void mask(AttentionCall call, int row, int q, int queries, int k0, int from, int to, Meeting meeting,
            MemorySegment scores) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int firstEnd = mask.endKey(sizes, row, q);
        int lastFirst = mask.firstKey(sizes, row, q + queries - 1);
        for (int j = Math.max(from, firstEnd - k0); j < to; j++) {
            int hidden = Math.min(PANEL, mask.firstQuery(sizes, row, k0 + j) - q);
            Rows.hide(scores, j * PANEL, j * PANEL + hidden);
        }
        for (int j = from; j < Math.min(to, lastFirst - k0); j++) {
            int seen = Math.max(0, mask.endQuery(sizes, row, k0 + j) - q);
            Rows.hide(scores, j * PANEL + Math.min(PANEL, seen), (j + 1) * PANEL);
        }
        if (meeting == Meeting.SOME) {
            for (int j = from; j < to; j++) {
                for (int i = 0; i < queries; i++) {
                    if (!mask.sameDocument(sizes, row, q + i, k0 + j)) {
                        Rows.hide(scores, j * PANEL + i, j * PANEL + i + 1);
                    }
                }
            }
        }
    }

    private static void store(AttentionCall call, int row, int head, int q0, int count, PanelScratch s) {
        for (int i = 0; i < count; i++) {
            float sum = s.sum[i];
            s.alpha[i] = sum == 0f ? 0f : 1f / sum;
            if (call.lse() != null) {
                float lse = sum == 0f ? Float.NEGATIVE_INFINITY : s.maximum[i] * Softmax.LN_2 + (float) Math.log(sum);
                call.lse().set(FLOAT, call.lseIndex(row, head, q0 + i) * Float.BYTES, lse);
            }
        }
        for (int p = 0; p * PANEL < count; p++) {
            Rows.storeLanes(s.firstSums, s.panel(p, 0), Math.min(PANEL, count - p * PANEL), call.sizes().width(), s.alpha,
                    p * PANEL, call.out(), row, q0 + p * PANEL, head);
        }
    }
}
