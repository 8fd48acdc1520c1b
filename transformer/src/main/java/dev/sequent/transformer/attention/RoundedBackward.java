package dev.sequent.transformer.attention;

import dev.sequent.spi.MatmulProvider;
import dev.sequent.transformer.attention.AttentionMask.Meeting;
import dev.sequent.transformer.attention.RoundedRows.Order;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The backward pass of {@link RoundedAttention}; the formulas are those of {@link PanelBackward}.
 *
 * <p>A tile has one row per key and one column per query, so that of its five products only dq = ds k reads a tile transposed. A task owns
 * every n-th block of keys of one key-value head, visits blocks and queries in ascending order and adds to query gradients of its own,
 * which makes the result independent of the number of threads.
 */
final class RoundedBackward {
    private static final int BLOCK = RoundedSizes.BLOCK;
    private static final int EDGE = RoundedSizes.EDGE;
    private static final int UNIT = RoundedSizes.UNIT;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** Tasks to aim for, and the fewest keys that are worth a task of their own. */
    private static final int TASKS = 32;
    private static final int LEAST_KEYS = 512;

    private final AttentionCall call;
    private final AttentionGradients gradients;
    private final RoundedSizes packed;
    private final MatmulProvider.Matmul provider;
    private final MemorySegment workspace;
    private final float factor;

    RoundedBackward(AttentionCall call, AttentionGradients gradients, MatmulProvider.Matmul provider) {
        this.call = call;
        this.gradients = gradients;
        this.packed = new RoundedSizes(call.sizes());
        this.provider = provider;
        this.workspace = gradients.workspace();
        this.factor = RoundedAttention.factor(call.scale());
    }

    /** Number of tasks into which the keys of a head are cut. */
    static int chunks(AttentionSizes sizes) {
        return Math.clamp(sizes.keys() / LEAST_KEYS, 1, Math.ceilDiv(TASKS, sizes.batch() * sizes.groups()));
    }

    /** Number of pieces in which a head's keys and values are copied. */
    int keyPieces() {
        return Math.ceilDiv(packed.keys(), BLOCK);
    }

    /** Number of pieces in which a head's queries and result gradients are copied. */
    int queryPieces() {
        return Math.ceilDiv(packed.queries(), BLOCK);
    }

    private MemorySegment keys(int group) {
        return workspace.asSlice(packed.keysAndValues() + group * packed.keyBytes(), packed.keyBytes());
    }

    private MemorySegment values(int group) {
        return workspace.asSlice(packed.keysAndValues() + (packed.groups() + group) * packed.keyBytes(), packed.keyBytes());
    }

    /** A head's queries (0) or result gradients (1), in the given order. */
    private MemorySegment rows(int head, int which, Order order) {
        long copy = (order == Order.PLAIN ? which : which + 2L) * packed.heads() + head;
        return workspace.asSlice(packed.queriesAndGradients() + copy * packed.queryBytes(), packed.queryBytes());
    }

    /** What is added to the scores of a head's queries (0), or their deltas (1). */
    private MemorySegment numbers(int head, int which) {
        long bytes = (long) packed.queries() * Float.BYTES;
        return workspace.asSlice(packed.perQuery() + ((long) which * packed.heads() + head) * bytes, bytes);
    }

    /** A head's query gradients from one chunk of keys, F32, rows interleaved. */
    private MemorySegment sums(int head, int chunk) {
        return workspace.asSlice(packed.sums(chunk) + 2 * head * packed.queryBytes(), 2 * packed.queryBytes());
    }

    /** Copies a piece of the keys and values of a head. */
    void packKeys(int group, int piece) {
        AttentionSizes sizes = call.sizes();
        int row = group / sizes.groups();
        int head = group % sizes.groups();
        int first = piece * BLOCK;
        int count = Math.min(BLOCK, packed.keys() - first);
        for (HeadsView view : new HeadsView[] {call.k(), call.v()}) {
            MemorySegment to = view == call.k() ? keys(group) : values(group);
            new RoundedRows.Source(view, row, head, first, count, sizes.keys(), sizes.width(), 1)
                    .pack(Order.PLAIN, to, first, packed.width());
            if (call.mask().hasDocuments()) {
                RoundedRows.clearPadding(call.mask(), sizes, row, first, count, Order.PLAIN, to, packed.width());
            }
        }
    }

    /** Copies a piece of the queries and result gradients of a head, and computes what is needed per query. */
    void packQueries(int rowAndHead, int piece) {
        AttentionSizes sizes = call.sizes();
        int row = rowAndHead / sizes.heads();
        int head = rowAndHead % sizes.heads();
        int first = piece * BLOCK;
        int count = Math.min(BLOCK, packed.queries() - first);
        for (Order order : Order.values()) {
            new RoundedRows.Source(call.q(), row, head, first, count, sizes.queries(), sizes.width(), RoundedAttention.sign(call.scale()))
                    .pack(order, rows(rowAndHead, 0, order), first, packed.width());
            new RoundedRows.Source(gradients.dout(), row, head, first, count, sizes.queries(), sizes.width(), 1)
                    .pack(order, rows(rowAndHead, 1, order), first, packed.width());
        }
        MemorySegment shifts = numbers(rowAndHead, 0);
        MemorySegment deltas = numbers(rowAndHead, 1);
        for (int i = first; i < first + count; i++) {
            float lse = i < sizes.queries() ? call.lse().get(FLOAT, call.lseIndex(row, head, i) * Float.BYTES) : Float.NEGATIVE_INFINITY;
            // a query that sees nothing has no probability anywhere
            shifts.set(FLOAT, i * 4L, lse == Float.NEGATIVE_INFINITY ? lse : -lse * Softmax.LOG2_E);
            deltas.set(FLOAT, i * 4L, i < sizes.queries() ? delta(row, head, i) : 0);
        }
    }

    private float delta(int row, int head, int i) {
        int width = call.sizes().width();
        MemorySegment out = call.out().vector(row, i, head, width);
        return RoundedRows.dot(out, gradients.dout().vector(row, i, head, width), width, call.out().dtype());
    }

    /** A block of keys of one key-value head. */
    private record Block(int row, int group, int k0, int count) {
        int rows() {
            return RoundedSizes.up(count, UNIT);
        }
    }

    /** Computes dk and dv of a chunk of the keys of a head, and its share of dq. */
    void chunk(int rowAndGroup, int chunk, RoundedScratch s) {
        AttentionSizes sizes = call.sizes();
        int row = rowAndGroup / sizes.groups();
        int shared = sizes.headsPerGroup();
        for (int h = 0; h < shared; h++) {
            sums(rowAndGroup * shared + h, chunk).fill((byte) 0);
        }
        for (int k0 = chunk * BLOCK; k0 < sizes.keys(); k0 += packed.chunks() * BLOCK) {
            block(new Block(row, rowAndGroup, k0, Math.min(BLOCK, sizes.keys() - k0)), chunk, s);
        }
    }

    private void block(Block b, int chunk, RoundedScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        long bytes = (long) b.rows() * packed.width() * Float.BYTES;
        s.firstSums.asSlice(0, bytes).fill((byte) 0);
        s.secondSums.asSlice(0, bytes).fill((byte) 0);
        int start = mask.firstQuery(sizes, b.row, b.k0) / UNIT * UNIT;
        int end = mask.endQuery(sizes, b.row, b.k0 + b.count - 1);
        int common = mask.firstQuery(sizes, b.row, b.k0 + b.count - 1);
        for (int h = 0; h < sizes.headsPerGroup(); h++) {
            int head = b.group * sizes.headsPerGroup() + h;
            int queries = 0;
            for (int q0 = start; q0 < end; q0 += queries) {
                queries = q0 >= common ? BLOCK : EDGE;
                tile(b, head, q0, Math.min(queries, end - q0), chunk, s);
            }
        }
        for (int j = 0; j < b.count; j++) {
            long at = (long) j * packed.width() * Float.BYTES;
            int group = b.group % sizes.groups();
            int width = sizes.width();
            MemorySegment dk = gradients.dk().vector(b.row, b.k0 + j, group, width);
            RoundedRows.store(s.firstSums, at, width, Math.abs(call.scale()), dk, gradients.dk().dtype());
            MemorySegment dv = gradients.dv().vector(b.row, b.k0 + j, group, width);
            RoundedRows.store(s.secondSums, at, width, 1, dv, gradients.dv().dtype());
        }
    }

    /** The keys of a block that any of {@code queries} queries sees, against those. */
    private void tile(Block b, int head, int q0, int queries, int chunk, RoundedScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int from = Math.max(0, mask.firstKey(sizes, b.row, q0) - b.k0) / UNIT * UNIT;
        int to = Math.min(b.count, mask.endKey(sizes, b.row, q0 + queries - 1) - b.k0);
        Meeting meeting = from < to ? mask.meeting(sizes, b.row, q0, q0 + queries, b.k0 + from, b.k0 + to) : Meeting.NONE;
        if (meeting == Meeting.NONE) {
            return;
        }
        int width = packed.width();
        int rows = RoundedSizes.up(to - from, UNIT);
        int columns = RoundedSizes.up(queries, UNIT);
        long key = (long) (b.k0 + from) * width * Short.BYTES;
        long query = (long) q0 * width * Short.BYTES;
        MemorySegment keys = keys(b.group).asSlice(key);
        MemorySegment queryRows = rows(head, 0, Order.PLAIN).asSlice(query);
        MemorySegment gradientRows = rows(head, 1, Order.PLAIN).asSlice(query);
        provider.gemmBf16(false, true, rows, columns, width, keys, width, queryRows, width, 0, s.scores, BLOCK);
        MemorySegment values = values(b.group).asSlice(key);
        provider.gemmBf16(false, true, rows, columns, width, values, width, gradientRows, width, 0, s.products, BLOCK);
        boolean inside = meeting == Meeting.ALL && queries == columns && q0 >= mask.firstQuery(sizes, b.row, b.k0 + to - 1)
                && q0 + queries <= mask.endQuery(sizes, b.row, b.k0 + from);
        MemorySegment shifts = numbers(head, 0);
        MemorySegment deltas = numbers(head, 1);
        for (int j = 0; j < to - from; j++) {
            if (inside) {
                RoundedTiles.gradient(s.scores, s.products, j * BLOCK * Float.BYTES, queries, factor, shifts, deltas, q0 * Float.BYTES,
                        s.weights, s.slopes, j * BLOCK * Short.BYTES);
            } else {
                row(b, head, b.k0 + from + j, j, q0, queries, columns, meeting, s);
            }
        }
        for (int j = to - from; j < rows; j++) {
            RoundedAttention.clear(s.weights, j * BLOCK, j * BLOCK + columns);
            RoundedAttention.clear(s.slopes, j * BLOCK, j * BLOCK + columns);
        }
        long sum = (long) from * width * Float.BYTES;
        provider.gemmBf16(false, false, rows, width, columns, s.slopes, BLOCK, rows(head, 0, Order.INTERLEAVED).asSlice(query), width, 1,
                s.firstSums.asSlice(sum), width);
        provider.gemmBf16(false, false, rows, width, columns, s.weights, BLOCK, rows(head, 1, Order.INTERLEAVED).asSlice(query), width, 1,
                s.secondSums.asSlice(sum), width);
        provider.gemmBf16(true, false, columns, width, rows, s.slopes, BLOCK, keys, width, 1, sums(head, chunk).asSlice(2 * query), width);
    }

    /** Turns the scores of key {@code k}, in row {@code r} of the tile, into weights and score gradients. */
    private void row(Block b, int head, int k, int r, int q0, int queries, int columns, Meeting meeting, RoundedScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int first = Math.clamp(mask.firstQuery(sizes, b.row, k) - q0, 0, queries);
        int end = Math.clamp(mask.endQuery(sizes, b.row, k) - q0, first, queries);
        int from = first / UNIT * UNIT;
        int to = first == end ? from : RoundedSizes.up(end, UNIT);
        int at = r * BLOCK;
        RoundedAttention.hide(s.scores, at + from, at + first);
        RoundedAttention.hide(s.scores, at + end, at + to);
        if (meeting == Meeting.SOME) {
            for (int i = first; i < end; i++) {
                if (!mask.sameDocument(sizes, b.row, q0 + i, k)) {
                    RoundedAttention.hide(s.scores, at + i, at + i + 1);
                }
            }
        }
        RoundedAttention.clear(s.weights, at, at + from);
        RoundedAttention.clear(s.weights, at + to, at + columns);
        RoundedAttention.clear(s.slopes, at, at + from);
        RoundedAttention.clear(s.slopes, at + to, at + columns);
        if (from < to) {
            RoundedTiles.gradient(s.scores, s.products, (at + from) * Float.BYTES, to - from, factor, numbers(head, 0), numbers(head, 1),
                    (q0 + from) * Float.BYTES, s.weights, s.slopes, (at + from) * Short.BYTES);
        }
    }

    /** Adds the shares of all chunks of keys to a piece of dq of one head; comes after {@link #chunk}. */
    void collect(int rowAndHead, int piece) {
        AttentionSizes sizes = call.sizes();
        int row = rowAndHead / sizes.heads();
        int head = rowAndHead % sizes.heads();
        int width = packed.width();
        MemorySegment total = sums(rowAndHead, 0);
        for (int i = piece * BLOCK; i < Math.min(sizes.queries(), (piece + 1) * BLOCK); i++) {
            long at = (long) RoundedTiles.slot(i) * width * Float.BYTES;
            for (int chunk = 1; chunk < packed.chunks(); chunk++) {
                RoundedRows.add(sums(rowAndHead, chunk), at, total, at, width);
            }
            RoundedRows.store(total, at, sizes.width(), call.scale(),
                    gradients.dq().vector(row, i, head, sizes.width()), gradients.dq().dtype());
        }
    }
}
