package dev.sequent.transformer.attention;

import dev.sequent.spi.MatmulProvider;
import dev.sequent.transformer.attention.AttentionMask.Meeting;
import dev.sequent.transformer.attention.RoundedRows.Order;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** The forward pass of {@link RoundedAttention} over one block of queries, with an online softmax. Stateless. */
final class RoundedForward {
    private static final int BLOCK = RoundedSizes.BLOCK;
    private static final int EDGE = RoundedSizes.EDGE;
    private static final int UNIT = RoundedSizes.UNIT;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private final AttentionCall call;
    private final RoundedSizes packed;
    private final MatmulProvider.Matmul provider;
    private final MemorySegment workspace;
    private final float factor;

    /**
     * A call.
     *
     * @param workspace {@link RoundedSizes#forwardBytes} bytes
     */
    RoundedForward(AttentionCall call, MatmulProvider.Matmul provider, MemorySegment workspace) {
        this.call = call;
        this.packed = new RoundedSizes(call.sizes());
        this.provider = provider;
        this.workspace = workspace;
        this.factor = RoundedAttention.factor(call.scale());
    }

    /** Number of blocks of queries of a head. */
    int blocks() {
        return Math.ceilDiv(call.sizes().queries(), BLOCK);
    }

    /** Number of pieces in which a head's keys and values are copied. */
    int pieces() {
        return Math.ceilDiv(packed.keys(), BLOCK);
    }

    /** Copies a piece of the keys and values of a head; comes before {@link #block}. */
    void pack(int group, int piece) {
        AttentionSizes sizes = call.sizes();
        int row = group / sizes.groups();
        int head = group % sizes.groups();
        int first = piece * BLOCK;
        int count = Math.min(BLOCK, packed.keys() - first);
        int width = packed.width();
        new RoundedRows.Source(call.k(), row, head, first, count, sizes.keys(), sizes.width(), 1)
                .pack(Order.PLAIN, keys(group), first, width);
        new RoundedRows.Source(call.v(), row, head, first, count, sizes.keys(), sizes.width(), 1)
                .pack(Order.INTERLEAVED, values(group), first, width);
        if (call.mask().hasDocuments()) {
            RoundedRows.clearPadding(call.mask(), sizes, row, first, count, Order.PLAIN, keys(group), width);
            RoundedRows.clearPadding(call.mask(), sizes, row, first, count, Order.INTERLEAVED, values(group), width);
        }
    }

    private MemorySegment keys(int group) {
        return workspace.asSlice(group * packed.keyBytes(), packed.keyBytes());
    }

    private MemorySegment values(int group) {
        return workspace.asSlice((packed.groups() + group) * packed.keyBytes(), packed.keyBytes());
    }

    /** A block of queries of one head. */
    private record Block(int row, int head, int group, int q0, int count) {
        int rows() {
            return RoundedSizes.up(count, UNIT);
        }
    }

    /** Computes a block of queries of a query head. */
    void block(int rowAndHead, int index, RoundedScratch s) {
        AttentionSizes sizes = call.sizes();
        int row = rowAndHead / sizes.heads();
        int head = rowAndHead % sizes.heads();
        int q0 = index * BLOCK;
        Block b = new Block(row, head, row * sizes.groups() + head / sizes.headsPerGroup(), q0, Math.min(BLOCK, sizes.queries() - q0));
        new RoundedRows.Source(call.q(), row, head, q0, b.rows(), sizes.queries(), sizes.width(), RoundedAttention.sign(call.scale()))
                .pack(Order.PLAIN, s.rows, 0, packed.width());
        Arrays.fill(s.maximum, Softmax.NO_MAXIMUM);
        Arrays.fill(s.sums, 0f);
        s.firstSums.asSlice(0, (long) b.rows() * packed.width() * Float.BYTES).fill((byte) 0);
        AttentionMask mask = call.mask();
        int end = mask.endKey(sizes, row, q0 + b.count - 1);
        int common = mask.endKey(sizes, row, q0);
        int keys = 0;
        for (int k0 = mask.firstKey(sizes, row, q0) / UNIT * UNIT; k0 < end; k0 += keys) {
            keys = k0 + BLOCK <= common ? BLOCK : EDGE;
            tile(b, k0, Math.min(keys, end - k0), s);
        }
        store(b, s);
    }

    /** The queries of a block that see any of {@code keys} keys against those. */
    private void tile(Block b, int k0, int keys, RoundedScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int from = Math.max(0, mask.firstQuery(sizes, b.row, k0) - b.q0) / UNIT * UNIT;
        int to = Math.min(b.count, mask.endQuery(sizes, b.row, k0 + keys - 1) - b.q0);
        Meeting meeting = from < to ? mask.meeting(sizes, b.row, b.q0 + from, b.q0 + to, k0, k0 + keys) : Meeting.NONE;
        if (meeting == Meeting.NONE) {
            return;
        }
        int width = packed.width();
        int rows = RoundedSizes.up(to - from, UNIT);
        int columns = RoundedSizes.up(keys, UNIT);
        provider.gemmBf16(false, true, rows, columns, width, s.rows.asSlice((long) from * width * Short.BYTES), width,
                keys(b.group).asSlice((long) k0 * width * Short.BYTES), width, 0, s.scores, BLOCK);
        boolean inside = meeting == Meeting.ALL && keys == columns && k0 + keys <= mask.endKey(sizes, b.row, b.q0 + from)
                && k0 >= mask.firstKey(sizes, b.row, b.q0 + to - 1);
        for (int i = 0; i < to - from; i++) {
            if (inside) {
                advance(from + i, i * BLOCK, keys, s);
            } else {
                row(b, from + i, i, k0, keys, columns, meeting, s);
            }
        }
        for (int i = to - from; i < rows; i++) {
            RoundedAttention.clear(s.weights, i * BLOCK, i * BLOCK + columns);
        }
        MemorySegment values = values(b.group).asSlice((long) k0 * width * Short.BYTES);
        MemorySegment sums = s.firstSums.asSlice((long) from * width * Float.BYTES);
        provider.gemmBf16(false, false, rows, width, columns, s.weights, BLOCK, values, width, 1, sums, width);
    }

    /** Turns the scores of query {@code i} of the block, in row {@code r} of the tile, into weights. */
    private void row(Block b, int i, int r, int k0, int keys, int columns, Meeting meeting, RoundedScratch s) {
        AttentionSizes sizes = call.sizes();
        AttentionMask mask = call.mask();
        int first = Math.clamp(mask.firstKey(sizes, b.row, b.q0 + i) - k0, 0, keys);
        int end = Math.clamp(mask.endKey(sizes, b.row, b.q0 + i) - k0, first, keys);
        int from = first / UNIT * UNIT;
        int to = first == end ? from : RoundedSizes.up(end, UNIT);
        int at = r * BLOCK;
        RoundedAttention.hide(s.scores, at + from, at + first);
        RoundedAttention.hide(s.scores, at + end, at + to);
        if (meeting == Meeting.SOME) {
            for (int j = first; j < end; j++) {
                if (!mask.sameDocument(sizes, b.row, b.q0 + i, k0 + j)) {
                    RoundedAttention.hide(s.scores, at + j, at + j + 1);
                }
            }
        }
        RoundedAttention.clear(s.weights, at, at + from);
        RoundedAttention.clear(s.weights, at + to, at + columns);
        if (from < to) {
            advance(i, at + from, to - from, s);
        }
    }

    private void advance(int i, int at, int count, RoundedScratch s) {
        float former = s.maximum[i];
        float most = RoundedTiles.maximum(s.scores, at * Float.BYTES, count);
        if (most > former) {
            s.maximum[i] = most;
            if (former != Softmax.NO_MAXIMUM) {
                float alpha = (float) Math.exp((former - most) * factor * Softmax.LN_2);
                RoundedTiles.rescale(s.firstSums, i * packed.width() * Float.BYTES, packed.width(), alpha);
                for (int l = i * Tiles.LANES; l < (i + 1) * Tiles.LANES; l++) {
                    s.sums[l] *= alpha;
                }
            }
        }
        // before the first key that is seen, all scores are hidden
        float shift = s.maximum[i] == Softmax.NO_MAXIMUM ? 0 : -s.maximum[i] * factor;
        RoundedTiles.weights(s.scores, at * Float.BYTES, count, factor, shift, s.weights, at * Short.BYTES, s.sums, i * Tiles.LANES);
    }

    private void store(Block b, RoundedScratch s) {
        AttentionSizes sizes = call.sizes();
        for (int i = 0; i < b.count; i++) {
            float sum = 0;
            for (int l = i * Tiles.LANES; l < (i + 1) * Tiles.LANES; l++) {
                sum += s.sums[l];
            }
            RoundedRows.store(s.firstSums, (long) i * packed.width() * Float.BYTES, sizes.width(), sum == 0f ? 0f : 1f / sum,
                    call.out().vector(b.row, b.q0 + i, b.head, sizes.width()), call.out().dtype());
            if (call.lse() != null) {
                float lse = sum == 0f ? Float.NEGATIVE_INFINITY : s.maximum[i] * factor * Softmax.LN_2 + (float) Math.log(sum);
                call.lse().set(FLOAT, call.lseIndex(b.row, b.head, b.q0 + i) * Float.BYTES, lse);
            }
        }
    }
}
