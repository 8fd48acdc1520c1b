package dev.sequent.transformer.attention;

import dev.sequent.fused.LaneSum;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** Moves rows of P floats between native memory, heap tiles and panels. Stateless. */
final class Rows {
    private static final VectorSpecies<Float> F = Tiles.F;
    private static final int LANES = Tiles.LANES;
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER);

    /** Lane i reads row i of a row tile, or of a panel. */
    private static final int[] COLUMN_STEPS = steps(Tiles.COLUMNS);
    private static final int[] PANEL_STEPS = steps(Tiles.PANEL);

    private Rows() {}

    private static int[] steps(int stride) {
        int[] steps = new int[LANES];
        Arrays.setAll(steps, i -> i * stride);
        return steps;
    }

    /** Copies rows of one head into row tiles, multiplied by {@code factor}. */
    static void load(HeadsView view, int row, int token, int head, int count, int width, float factor, RowTiles tiles) {
        load(view, row, token, head, count, width, factor, tiles, 0);
    }

    /** Copies rows of one head into row tiles, from row {@code to} on, multiplied by {@code factor}. */
    static void load(HeadsView view, int row, int token, int head, int count, int width, float factor, RowTiles tiles, int to) {
        for (int d = 0; d < width; d += Tiles.COLUMNS) {
            int columns = Math.min(Tiles.COLUMNS, width - d);
            for (int r = 0; r < count; r++) {
                long at = (view.index(row, token + r, head) + d) * Float.BYTES;
                loadRow(view.memory().asSlice(at, columns * 4L), columns, factor, tiles.data(), tiles.at(to + r, d));
            }
        }
    }

    private static void loadRow(MemorySegment source, int width, float factor, float[] tile, int to) {
        FloatVector f = FloatVector.broadcast(F, factor);
        int main = F.loopBound(width);
        int d = 0;
        // four loads at four places in the code: each is then a stream of equal strides, which the processor foresees
        for (; d + 4 * LANES <= main; d += 4 * LANES) {
            FloatVector x0 = FloatVector.fromMemorySegment(F, source, d * 4L, ORDER);
            FloatVector x1 = FloatVector.fromMemorySegment(F, source, (d + LANES) * 4L, ORDER);
            FloatVector x2 = FloatVector.fromMemorySegment(F, source, (d + 2 * LANES) * 4L, ORDER);
            FloatVector x3 = FloatVector.fromMemorySegment(F, source, (d + 3 * LANES) * 4L, ORDER);
            x0.mul(f).intoArray(tile, to + d);
            x1.mul(f).intoArray(tile, to + d + LANES);
            x2.mul(f).intoArray(tile, to + d + 2 * LANES);
            x3.mul(f).intoArray(tile, to + d + 3 * LANES);
        }
        for (; d < main; d += LANES) {
            FloatVector.fromMemorySegment(F, source, d * 4L, ORDER).mul(f).intoArray(tile, to + d);
        }
        for (; d < width; d++) {
            tile[to + d] = source.get(FLOAT, d * 4L) * factor;
        }
    }

    /** Sets the tile rows of padding keys to zero, so that whatever lies there cannot reach a result. */
    static void clearPadding(AttentionCall call, int row, int token, int count, RowTiles tiles) {
        int width = call.sizes().width();
        for (int r = 0; r < count; r++) {
            if (call.mask().isPadding(call.sizes(), row, token + r)) {
                for (int d = 0; d < width; d += Tiles.COLUMNS) {
                    int at = tiles.at(r, d);
                    Arrays.fill(tiles.data(), at, at + Tiles.COLUMNS, 0f);
                }
            }
        }
    }

    /** Writes the transposition of {@link Tiles#PANEL} tile rows, from row {@code first} on, into a panel of {@code width} rows. */
    static void transpose(RowTiles tiles, int first, int width, MemorySegment panel, int to) {
        for (int d = 0; d < width; d += Tiles.COLUMNS) {
            int columns = Math.min(Tiles.COLUMNS, width - d);
            transposeTile(tiles.data(), tiles.at(first, d), columns, panel, to + d * Tiles.PANEL);
        }
    }

    private static void transposeTile(float[] tile, int from, int columns, MemorySegment panel, int to) {
        for (int d = 0; d < columns; d++) {
            int target = to + d * Tiles.PANEL;
            for (int i = 0; i < Tiles.PANEL; i += LANES) {
                FloatVector.fromArray(F, tile, from + d + i * Tiles.COLUMNS, COLUMN_STEPS, 0)
                        .intoMemorySegment(panel, (target + i) * 4L, ORDER);
            }
        }
    }

    /** Sets scores to negative infinity. */
    static void hide(MemorySegment scores, int from, int to) {
        for (int i = from; i < to; i++) {
            scores.set(FLOAT, i * 4L, Float.NEGATIVE_INFINITY);
        }
    }

    /** Writes lane {@code i} of a panel's rows as row {@code i} of a head, multiplied by {@code factors[at + i]}. */
    static void storeLanes(float[] panel, int from, int count, int width, float[] factors, int at, HeadsView view, int row, int token,
            int head) {
        for (int i = 0; i < count; i++) {
            MemorySegment target = view.memory().asSlice(view.index(row, token + i, head) * Float.BYTES, width * 4L);
            storeLane(panel, from + i, width, factors[at + i], target);
        }
    }

    private static void storeLane(float[] panel, int from, int width, float factor, MemorySegment target) {
        FloatVector f = FloatVector.broadcast(F, factor);
        int main = F.loopBound(width);
        for (int d = 0; d < main; d += LANES) {
            FloatVector.fromArray(F, panel, from + d * Tiles.PANEL, PANEL_STEPS, 0).mul(f).intoMemorySegment(target, d * 4L, ORDER);
        }
        for (int d = main; d < width; d++) {
            target.set(FLOAT, d * 4L, panel[from + d * Tiles.PANEL] * factor);
        }
    }

    /**
     * Writes rows of a row tile, multiplied by {@code factor}, to {@code columns} channels from channel {@code d} on of rows of a head, or
     * adds them to what is there.
     */
    static void store(float[] tile, int from, int count, int d, int columns, float factor, HeadsView view, int row, int token,
            int head, boolean add) {
        for (int r = 0; r < count; r++) {
            MemorySegment target = view.memory().asSlice((view.index(row, token + r, head) + d) * Float.BYTES, columns * 4L);
            if (add) {
                addRow(tile, from + r * Tiles.COLUMNS, columns, factor, target);
            } else {
                storeRow(tile, from + r * Tiles.COLUMNS, columns, factor, target);
            }
        }
    }

    private static void addRow(float[] tile, int from, int width, float factor, MemorySegment target) {
        FloatVector f = FloatVector.broadcast(F, factor);
        int main = F.loopBound(width);
        for (int d = 0; d < main; d += LANES) {
            FloatVector.fromArray(F, tile, from + d).fma(f, FloatVector.fromMemorySegment(F, target, d * 4L, ORDER))
                    .intoMemorySegment(target, d * 4L, ORDER);
        }
        for (int d = main; d < width; d++) {
            target.set(FLOAT, d * 4L, target.get(FLOAT, d * 4L) + tile[from + d] * factor);
        }
    }

    private static void storeRow(float[] tile, int from, int width, float factor, MemorySegment target) {
        FloatVector f = FloatVector.broadcast(F, factor);
        int main = F.loopBound(width);
        for (int d = 0; d < main; d += LANES) {
            FloatVector.fromArray(F, tile, from + d).mul(f).intoMemorySegment(target, d * 4L, ORDER);
        }
        for (int d = main; d < width; d++) {
            target.set(FLOAT, d * 4L, tile[from + d] * factor);
        }
    }

    /** Adds the rows {@code first <= t < end} of a head of {@code from} to those of {@code to}. */
    static void add(HeadsView from, HeadsView to, int row, int head, int first, int end, int width) {
        for (int t = first; t < end; t++) {
            MemorySegment source = from.memory().asSlice(from.index(row, t, head) * Float.BYTES, width * 4L);
            addRow(source, to.memory().asSlice(to.index(row, t, head) * Float.BYTES, width * 4L), width);
        }
    }

    private static void addRow(MemorySegment source, MemorySegment target, int width) {
        int main = F.loopBound(width);
        for (int d = 0; d < main; d += LANES) {
            FloatVector.fromMemorySegment(F, target, d * 4L, ORDER).add(FloatVector.fromMemorySegment(F, source, d * 4L, ORDER))
                    .intoMemorySegment(target, d * 4L, ORDER);
        }
        for (int d = main; d < width; d++) {
            target.set(FLOAT, d * 4L, target.get(FLOAT, d * 4L) + source.get(FLOAT, d * 4L));
        }
    }

    /** Sets the rows {@code first <= t < end} of a head to zero. */
    static void clear(HeadsView view, int row, int head, int first, int end, int width) {
        for (int t = first; t < end; t++) {
            view.memory().asSlice(view.index(row, t, head) * Float.BYTES, width * 4L).fill((byte) 0);
        }
    }

    /** Sum of the products of two vectors. */
    static float dot(MemorySegment x, MemorySegment y, int width) {
        int main = F.loopBound(width);
        FloatVector sum = FloatVector.zero(F);
        for (int d = 0; d < main; d += LANES) {
            sum = FloatVector.fromMemorySegment(F, x, d * 4L, ORDER).fma(FloatVector.fromMemorySegment(F, y, d * 4L, ORDER), sum);
        }
        float total = LaneSum.of(sum);
        for (int d = main; d < width; d++) {
            total += x.get(FLOAT, d * 4L) * y.get(FLOAT, d * 4L);
        }
        return total;
    }
}
