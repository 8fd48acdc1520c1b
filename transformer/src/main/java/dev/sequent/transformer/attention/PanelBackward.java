package dev.sequent.transformer.attention;

import dev.sequent.transformer.attention.AttentionMask.Meeting;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The backward pass. Probabilities are recomputed tile by tile from the saved logarithmic sums (FlashAttention-2, Dao 2023):
 *
 * <pre>
 * p = exp(scale q k^T - lse)    delta = rowsum(dout * out)    ds = p * (dout v^T - delta)
 * dv = p^T dout                 dk = scale ds^T q             dq = scale ds k
 * </pre>
 *
 * <p>Lanes are keys: a block of keys and values is transposed once, all queries that see it pass by in their natural layout, and the
 * gradients of the block stay in cache. A task owns one key-value head and every n-th block of its keys, so that under a causal
 * mask tasks have equal shares, visits blocks and queries in ascending order and adds to a dq of its own, which makes the result
 * independent of the number of threads. Stateless.
 */
final class PanelBackward {
    private static final int PANEL = Tiles.PANEL;
    private static final int BLOCK = PanelScratch.BLOCK;
    private static final int QUERIES = PanelScratch.ROWS;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** Tasks to aim for, and the fewest keys that are worth a task of their own. */
    private static final int TASKS = 32;
    private static final int LEAST_KEYS = 512;
    /** Queries of a piece. */
    private static final int PIECE = 256;

    private PanelBackward() {}

    /** Number of tasks, or chunks of keys, of a key-value head; depends on sizes alone. */
    static int chunks(AttentionSizes sizes) {
        int wanted = Math.ceilDiv(TASKS, Math.max(1, sizes.batch() * sizes.groups()));
        return Math.clamp(sizes.keys() / LEAST_KEYS, 1, wanted);
    }

    static long workspaceFloats(AttentionSizes sizes) {
        return deltaFloats(sizes) + (chunks(sizes) - 1) * queryFloats(sizes);
    }

    private static long deltaFloats(AttentionSizes sizes) {
        return Math.ceilDiv((long) sizes.batch() * sizes.heads() * sizes.queries(), 16L) * 16;
    }

    private static long queryFloats(AttentionSizes sizes) {
        return (long) sizes.batch() * sizes.queries() * sizes.heads() * sizes.width();
    }

    /** Where a chunk's task accumulates dq: the first in the result, the others in the workspace. */
    private static HeadsView queryGradient(AttentionCall call, AttentionGradients gradients, int chunk) {
        if (chunk == 0) {
            return gradients.dq();
        }
        AttentionSizes sizes = call.sizes();
        long start = deltaFloats(sizes) + (chunk - 1) * queryFloats(sizes);
        long token = sizes.width();
        long head = token * sizes.queries();
        MemorySegment memory = gradients.workspace().asSlice(start * Float.BYTES, queryFloats(sizes) * Float.BYTES);
        return new HeadsView(memory, head * sizes.heads(), token, head);
    }

    /** Number of pieces into which the queries of a head are cut for {@link #delta} and {@link #collect}. */
    static int pieces(AttentionSizes sizes) {
        return Math.max(1, Math.ceilDiv(sizes.queries(), PIECE));
    }

    private static int pieceEnd(AttentionSizes sizes, int piece) {
        return Math.min(sizes.queries(), (piece + 1) * PIECE);
    }

    /** Computes delta for a piece of the queries of one head; a step before {@link #task}. */
    static void delta(AttentionCall call, AttentionGradients gradients, int row, int head, int piece) {
        AttentionSizes sizes = call.sizes();
        HeadsView out = call.out();
        HeadsView dout = gradients.dout();
        for (int i = piece * PIECE; i < pieceEnd(sizes, piece); i++) {
            float delta = Rows.dot(out.memory().asSlice(out.index(row, i, head) * Float.BYTES, sizes.width() * 4L),
                    dout.memory().asSlice(dout.index(row, i, head) * Float.BYTES, sizes.width() * 4L), sizes.width());
            gradients.workspace().set(FLOAT, call.lseIndex(row, head, i) * Float.BYTES, delta);
        }
    }

    /**
     * Computes dk and dv of one chunk of a key-value head, and its share of dq.
     *
     * @param id a number of this call, by which threads recognise what they have loaded for it
     */
    static void task(AttentionCall call, AttentionGradients gradients, long id, int row, int group, int chunk, PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        HeadsView dq = queryGradient(call, gradients, chunk);
        int head = row * sizes.groups() + group;
        if (!keepsRows(sizes, s)) {
            s.release();
        } else if (!s.holds(id, head)) {
            s.release();
            s.firstRows.reserve(sizes.headsPerGroup() * sizes.queries());
            s.secondRows.reserve(sizes.headsPerGroup() * sizes.queries());
            for (int h = 0; h < sizes.headsPerGroup(); h++) {
                loadRows(call, gradients, row, group * sizes.headsPerGroup() + h, 0, sizes.queries(), h * sizes.queries(), s);
            }
            s.hold(id, head);
        }
        for (int k0 = chunk * BLOCK; k0 < sizes.keys(); k0 += chunks(sizes) * BLOCK) {
            block(call, gradients, dq, row, group, k0, Math.min(BLOCK, sizes.keys() - k0), k0 > chunk * BLOCK, s);
        }
    }

    /** Adds the shares of the later chunks to dq of a piece of the queries of one head; a step after {@link #task}. */
    static void collect(AttentionCall call, AttentionGradients gradients, int row, int head, int piece) {
        AttentionSizes sizes = call.sizes();
        for (int chunk = 1; chunk < chunks(sizes); chunk++) {
            HeadsView share = queryGradient(call, gradients, chunk);
            Rows.add(share, gradients.dq(), row, head, piece * PIECE, pieceEnd(sizes, piece), sizes.width());
        }
    }

    /**
     * All queries against one block of keys.
     *
     * @param add whether dq holds the shares of other blocks
     */
    private static void block(AttentionCall call, AttentionGradients gradients, HeadsView dq, int row, int group, int k0, int keys,
            boolean add, PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        loadBlock(call.v(), call, row, group, k0, keys, s.secondPanels, s);
        loadBlock(call.k(), call, row, group, k0, keys, s.firstPanels, s);
        MemorySegment.copy(s.blockRows.data(), 0, s.keyRows, FLOAT, 0, s.blockRows.data().length);
        Arrays.fill(s.firstSums, 0f);
        Arrays.fill(s.secondSums, 0f);
        int start = mask.firstQuery(sizes, row, k0);
        int end = mask.endQuery(sizes, row, k0 + keys - 1);
        for (int h = 0; h < sizes.headsPerGroup(); h++) {
            int head = group * sizes.headsPerGroup() + h;
            for (int q0 = start; q0 < end; q0 += QUERIES) {
                tile(call, gradients, dq, row, head, q0, Math.min(QUERIES, end - q0), k0, keys, add, s);
            }
            if (!add) {
                Rows.clear(dq, row, head, 0, start, sizes.width());
                Rows.clear(dq, row, head, Math.max(start, end), sizes.queries(), sizes.width());
            }
        }
        Arrays.fill(s.alpha, Softmax.LN_2);
        storeBlock(gradients.dk(), row, group, k0, keys, sizes.width(), s.firstSums, s);
        Arrays.fill(s.alpha, 1f);
        storeBlock(gradients.dv(), row, group, k0, keys, sizes.width(), s.secondSums, s);
    }

    private static void loadBlock(HeadsView view, AttentionCall call, int row, int group, int k0, int keys,
            MemorySegment panels, PanelScratch s) {
        int width = call.sizes().width();
        Rows.load(view, row, k0, group, keys, width, 1f, s.blockRows);
        if (call.mask().hasDocuments()) {
            Rows.clearPadding(call, row, k0, keys, s.blockRows);
        }
        for (int p = 0; p * PANEL < keys; p++) {
            Rows.transpose(s.blockRows, p * PANEL, width, panels, s.panel(p, 0));
        }
    }

    private static void storeBlock(HeadsView view, int row, int group, int k0, int keys, int width, float[] panels, PanelScratch s) {
        for (int p = 0; p * PANEL < keys; p++) {
            Rows.storeLanes(panels, s.panel(p, 0), Math.min(PANEL, keys - p * PANEL), width, s.alpha, 0, view, row, k0 + p * PANEL, group);
        }
    }

    /** Whether a thread loads the rows of all queries of a head once, because several blocks of keys read them. */
    private static boolean keepsRows(AttentionSizes sizes, PanelScratch s) {
        return sizes.keys() > BLOCK && (long) sizes.headsPerGroup() * sizes.queries() * s.width <= PanelScratch.MOST_FLOATS;
    }

    /** Brings queries and result gradients into row tiles, from row {@code to} on. */
    private static void loadRows(AttentionCall call, AttentionGradients gradients, int row, int head, int q0, int queries, int to,
            PanelScratch s) {
        int width = call.sizes().width();
        Rows.load(call.q(), row, q0, head, queries, width, call.scale() * Softmax.LOG2_E, s.firstRows, to);
        Rows.load(gradients.dout(), row, q0, head, queries, width, 1f, s.secondRows, to);
    }

    /** A tile of queries against one block of keys. */
    private static void tile(AttentionCall call, AttentionGradients gradients, HeadsView dq, int row, int head, int q0, int queries, int k0,
            int keys, boolean add, PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        if (call.mask().meeting(sizes, row, q0, q0 + queries, k0, k0 + keys) == Meeting.NONE) {
            if (!add) {
                Rows.clear(dq, row, head, q0, q0 + queries, sizes.width());
            }
            return;
        }
        int rows = keepsRows(sizes, s) ? head % sizes.headsPerGroup() * sizes.queries() + q0 : 0;
        if (!keepsRows(sizes, s)) {
            loadRows(call, gradients, row, head, q0, queries, 0, s);
        }
        for (int i = 0; i < queries; i++) {
            long at = call.lseIndex(row, head, q0 + i) * Float.BYTES;
            float lse = call.lse().get(FLOAT, at);
            s.maximum[i] = lse == Float.NEGATIVE_INFINITY ? Float.POSITIVE_INFINITY : lse * Softmax.LOG2_E;
            s.sum[i] = gradients.workspace().get(FLOAT, at);
        }
        Arrays.fill(s.queryRows, 0f);
        for (int p = 0; p * PANEL < keys; p++) {
            panel(call, row, q0, queries, rows, k0 + p * PANEL, Math.min(PANEL, keys - p * PANEL), p, s);
        }
        for (int d = 0; d < sizes.width(); d += Tiles.COLUMNS) {
            int columns = Math.min(Tiles.COLUMNS, sizes.width() - d);
            Rows.store(s.queryRows, d * QUERIES, queries, d, columns, call.scale(), dq, row, q0, head, add);
        }
    }

    /** A tile of queries against one panel of keys: scores, their gradient, and what they add to dk, dv and dq. */
    private static void panel(AttentionCall call, int row, int q0, int queries, int rows, int k, int keys, int p, PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int from = Math.max(0, mask.firstQuery(sizes, row, k) - q0);
        int to = Math.min(queries, mask.endQuery(sizes, row, k + keys - 1) - q0);
        Meeting meeting = from < to ? mask.meeting(sizes, row, q0 + from, q0 + to, k, k + keys) : Meeting.NONE;
        if (meeting == Meeting.NONE) {
            return;
        }
        int start = from - from % Tiles.ROWS;
        int count = to - start;
        scores(sizes.width(), s.firstRows, rows + start, count, s.firstPanels, p, s.scores, s);
        scores(sizes.width(), s.secondRows, rows + start, count, s.secondPanels, p, s.products, s);
        mask(call, row, q0 + start, count, k, keys, meeting, s.scores);
        Softmax.gradient(count, s.scores, s.products, 0, s.maximum, s.sum, start);
        for (int d = 0; d < sizes.width(); d += Tiles.COLUMNS) {
            int columns = Math.min(Tiles.COLUMNS, sizes.width() - d);
            Tiles.outer(columns, count, s.firstRows.data(), s.firstRows.at(rows + start, d), s.products, 0, s.firstSums, s.panel(p, d));
            Tiles.outer(columns, count, s.secondRows.data(), s.secondRows.at(rows + start, d), s.scores, 0, s.secondSums, s.panel(p, d));
        }
        queryRows(call, row, q0, start, to, k, keys, p, s);
    }

    /** Products of rows with a panel. */
    private static void scores(int width, RowTiles rows, int first, int count, MemorySegment panels, int p, MemorySegment scores,
            PanelScratch s) {
        for (int d = 0; d < width; d += Tiles.COLUMNS) {
            int columns = Math.min(Tiles.COLUMNS, width - d);
            for (int i = 0; i < count; i += Tiles.ROWS) {
                Tiles.dots(columns, rows.data(), rows.at(first + i, d), panels, s.panel(p, d), scores, i * PANEL,
                        d > 0 ? s.moreScores : null);
            }
        }
    }

    /** Sets the scores of pairs that do not see each other to negative infinity. */
    private static void mask(AttentionCall call, int row, int q, int queries, int k, int keys, Meeting meeting, MemorySegment scores) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int allSeen = mask.firstQuery(sizes, row, k + keys - 1) - q;
        for (int i = 0; i < Math.min(queries, allSeen); i++) {
            int seen = Math.max(0, mask.endKey(sizes, row, q + i) - k);
            Rows.hide(scores, i * PANEL + Math.min(seen, PANEL), (i + 1) * PANEL);
        }
        int noneHidden = mask.endQuery(sizes, row, k) - q;
        for (int i = Math.max(0, noneHidden); i < queries; i++) {
            int hidden = Math.min(PANEL, mask.firstKey(sizes, row, q + i) - k);
            Rows.hide(scores, i * PANEL, i * PANEL + hidden);
        }
        if (meeting == Meeting.SOME) {
            for (int i = 0; i < queries; i++) {
                for (int j = 0; j < keys; j++) {
                    if (!mask.sameDocument(sizes, row, q + i, k + j)) {
                        Rows.hide(scores, i * PANEL + j, i * PANEL + j + 1);
                    }
                }
            }
        }
    }

    /** Adds ds k of a panel to the query gradients of the tile's rows {@code [start, end)}; ds of row {@code start} comes first. */
    private static void queryRows(AttentionCall call, int row, int q0, int start, int end, int k, int keys, int p, PanelScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int spare = (end - start) % Tiles.ROWS == 0 ? 0 : Tiles.ROWS - (end - start) % Tiles.ROWS;
        s.products.asSlice((end - start) * PANEL * 4L, spare * PANEL * 4L).fill((byte) 0); // rows of the last group that see nothing here
        for (int i = start; i < end; i += Tiles.ROWS) {
            int from = Math.max(0, mask.firstKey(sizes, row, q0 + i) - k);
            int to = Math.min(keys, mask.endKey(sizes, row, q0 + Math.min(i + Tiles.ROWS, end) - 1) - k);
            for (int d = 0; d < sizes.width() && from < to; d += Tiles.COLUMNS) {
                int columns = Math.min(Tiles.COLUMNS, sizes.width() - d);
                Tiles.product(columns, to - from, s.products, (i - start) * PANEL + from, s.keyRows, s.blockRows.at(p * PANEL + from, d),
                        s.queryRows, d * QUERIES + i * Tiles.COLUMNS);
            }
        }
    }
}
