package dev.sequent.transformer.attention;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * One thread's tiles for heads of up to {@link #width} channels. What is read and written as vectors lies in native memory, aligned so that
 * no vector crosses a cache line; rows of which one float at a time is broadcast lie in arrays.
 */
final class PanelScratch {
    /** Panels of a backward block of keys; a forward block of queries has fewer. */
    static final int PANELS = 4;

    /** Keys of a backward block. */
    static final int BLOCK = PANELS * Tiles.PANEL;

    /** Rows of a tile: keys in the forward pass, queries in the backward pass. A multiple of {@link Tiles#ROWS}. */
    static final int ROWS = 120;

    /** Floats of a tile of scores, {@link #ROWS} rows of one panel. */
    static final int SCORES = ROWS * Tiles.PANEL;

    /** Most floats that a thread keeps of the passing rows of one kind; longer sequences are loaded tile by tile. */
    static final int MOST_FLOATS = 1 << 21;

    /** Bytes of a cache line, and of the widest vector. */
    private static final int ALIGNMENT = 64;

    private static final long NOTHING = -1;

    /** Largest P. */
    final int width;

    /** Rows that pass by: keys and values in the forward pass, queries and result gradients in the backward pass. */
    final RowTiles firstRows;
    final RowTiles secondRows;

    /** The block's own rows: queries in the forward pass, keys in the backward pass. */
    final RowTiles blockRows;

    /** Panels of the block: queries in the forward pass, keys and values in the backward pass. */
    final MemorySegment firstPanels;
    final MemorySegment secondPanels;

    /** Panels that accumulate: the result in the forward pass, gradients of keys and values in the backward pass. */
    final float[] firstSums;
    final float[] secondSums;

    /** Scores, then probabilities, of a panel. */
    final MemorySegment scores = floats(SCORES);

    /** Score gradients of a panel. */
    final MemorySegment products = floats(SCORES);

    /** A few rows of a panel's scores, of the channels behind the first {@link Tiles#COLUMNS}. */
    final MemorySegment moreScores = floats(Tiles.ROWS * Tiles.PANEL);

    /** The backward block's keys, laid out as {@link #blockRows}. */
    final MemorySegment keyRows;

    /** Query gradients of a tile, {@link #ROWS} rows for each {@link Tiles#COLUMNS} channels. */
    final float[] queryRows;

    /** Per query: running maximum, sum and rescaling; in the backward pass logarithmic sum, delta and factors of the result. */
    final float[] maximum = new float[Math.max(ROWS, BLOCK)];
    final float[] sum = new float[Math.max(ROWS, BLOCK)];
    final float[] alpha = new float[Math.max(ROWS, BLOCK)];

    private long heldCall = NOTHING;
    private int heldHead;

    PanelScratch(int width) {
        int tiles = Math.ceilDiv(width, Tiles.COLUMNS);
        this.width = tiles * Tiles.COLUMNS;
        firstRows = new RowTiles(width, ROWS);
        secondRows = new RowTiles(width, ROWS);
        blockRows = new RowTiles(width, BLOCK);
        firstPanels = floats(BLOCK * this.width);
        secondPanels = floats(BLOCK * this.width);
        firstSums = new float[BLOCK * this.width];
        secondSums = new float[BLOCK * this.width];
        keyRows = floats(BLOCK * this.width);
        queryRows = new float[ROWS * this.width];
    }

    /** Memory that is freed when nothing refers to it any more. */
    private static MemorySegment floats(int count) {
        return Arena.ofAuto().allocate(count * 4L, ALIGNMENT);
    }

    /** Notes that the passing rows are all that a call reads of a head. */
    void hold(long call, int head) {
        heldCall = call;
        heldHead = head;
    }

    /** Whether {@link #hold} was called so, and nothing else has been loaded since. */
    boolean holds(long call, int head) {
        return heldCall == call && heldHead == head;
    }

    /** Notes that the passing rows are something else. */
    void release() {
        heldCall = NOTHING;
    }

    /** Start of a panel's row {@code d} in {@link #firstPanels} and its like. */
    int panel(int p, int d) {
        return (p * width + d) * Tiles.PANEL;
    }
}
