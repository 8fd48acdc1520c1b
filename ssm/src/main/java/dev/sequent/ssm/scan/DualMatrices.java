package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * B and C of a chunk of tokens of one group of heads in working memory, for the backward pass: cut into tiles at documents' beginnings,
 * transposed, and the products C B^T. What lies beyond a tile's rows has no meaning.
 */
final class DualMatrices {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int TILE = DualLayout.TILE;

    /** Rows, (chunk + TILE, N). */
    final float[] b;
    final float[] c;
    /** The transposes (N, rows) of the tiles' rows, one after the other. */
    final float[] bColumns;
    final float[] cColumns;
    /** The tiles' C B^T, (chunk + TILE, TILE). */
    final float[] products;
    /** First tokens of the chunk's tiles, and one past its last token. */
    final int[] starts;
    int tiles;

    private final DualLayout layout;

    DualMatrices(DualLayout layout) {
        this.layout = layout;
        int rows = layout.chunkRow() * layout.states();
        b = DualScratch.take(rows);
        c = DualScratch.take(rows);
        bColumns = DualScratch.take(rows);
        cColumns = DualScratch.take(rows);
        products = DualScratch.take(layout.chunkRow() * TILE);
        starts = new int[layout.chunk() + 1];
    }

    boolean fits(DualLayout layout) {
        return this.layout.equals(layout);
    }

    /** Floats that {@link #store} writes for a chunk. */
    static long floats(DualLayout layout) {
        return (long) layout.chunk() * (4 * layout.states() + TILE);
    }

    /** Reads B and C of {@code count} tokens from {@code token} on. */
    void pack(DualTiles kernels, DualInputs in, int batch, int group, int token, int count) {
        packRows(in, in.b(), batch, group, token, count, b);
        packRows(in, in.c(), batch, group, token, count, c);
        int n = layout.states();
        for (int i = 0; i < tiles; i++) {
            int at = columnsAt(i);
            transpose(c, at, rows(i), cColumns);
            transpose(b, at, rows(i), bColumns);
            kernels.products(c, at, n, bColumns, at, rows(i), products, starts[i] * TILE);
        }
    }

    /** Reads B or C alone, and cuts the chunk into tiles. */
    void packRows(DualInputs in, ScanRows source, int batch, int group, int token, int count, float[] target) {
        cut(in, batch, token, count);
        int states = in.shape().states();
        int padded = layout.states();
        MemorySegment from = source.slice(batch, token, count, group * states, states);
        if (padded > states) {
            Arrays.fill(target, 0);
        }
        for (int t = 0; t < count; t++) {
            if (in.has(batch, token + t, ScanInputs.SKIP)) {
                Arrays.fill(target, t * padded, (t + 1) * padded, 0);
            } else {
                MemorySegment.copy(from, F32, t * source.tokenStride() * Float.BYTES, target, t * padded, states);
            }
        }
    }

    private void cut(DualInputs in, int batch, int token, int count) {
        tiles = 0;
        for (int t = 0; t < count; t++) {
            if (t == 0 || t - starts[tiles - 1] == TILE || in.has(batch, token + t, ScanInputs.RESET)) {
                starts[tiles++] = t;
            }
        }
        starts[tiles] = count;
    }

    private void transpose(float[] source, int at, int rows, float[] columns) {
        int n = layout.states();
        for (int i = 0; i < n; i++) {
            for (int t = 0; t < rows; t++) {
                columns[at + i * rows + t] = source[at + t * n + i];
            }
        }
    }

    /** Copies what {@link #pack} made to {@code place}, from where {@link #load} reads it. */
    void store(MemorySegment place) {
        long at = 0;
        for (float[] part : parts()) {
            int floats = part == products ? TILE : layout.states();
            MemorySegment.copy(part, 0, place, F32, at, starts[tiles] * floats);
            at += (long) layout.chunk() * floats * Float.BYTES;
        }
    }

    /** Reads {@code count} tokens from {@code token} on from where {@link #store} put them. */
    void load(MemorySegment place, DualInputs in, int batch, int token, int count) {
        cut(in, batch, token, count);
        long at = 0;
        for (float[] part : parts()) {
            int floats = part == products ? TILE : layout.states();
            MemorySegment.copy(place, F32, at, part, 0, count * floats);
            at += (long) layout.chunk() * floats * Float.BYTES;
        }
    }

    private float[][] parts() {
        return new float[][] {b, c, bColumns, cColumns, products};
    }

    /** Where a tile's rows of B and C begin, and its columns. */
    int columnsAt(int tile) {
        return starts[tile] * layout.states();
    }

    /** Tokens of a tile. */
    int rows(int tile) {
        return starts[tile + 1] - starts[tile];
    }
}
