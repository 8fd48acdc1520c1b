package dev.sequent.transformer.attention;

/** One thread's tiles for heads of up to {@link #width} channels. */
final class PanelScratch {
    /** Panels of a forward block of queries, and of a backward block of keys. */
    static final int PANELS = 2;

    /** Queries of a forward block, or keys of a backward block. */
    static final int BLOCK = PANELS * Tiles.PANEL;

    /** Rows of a tile: keys in the forward pass, queries in the backward pass. A multiple of {@link Tiles#ROWS}. */
    static final int ROWS = 120;

    /** Floats of a row tile of {@link #ROWS} or {@link #BLOCK} rows. */
    private static final int ROW_TILE = Math.max(ROWS, BLOCK) * Tiles.COLUMNS;

    /** Floats of a tile of scores, {@link #ROWS} rows of one panel. */
    static final int SCORES = ROWS * Tiles.PANEL;

    /** Largest P. */
    final int width;

    /** Row tiles that pass by: keys and values in the forward pass, queries and result gradients in the backward pass. */
    final float[] firstRows;
    final float[] secondRows;

    /** The block's own rows: queries in the forward pass, keys in the backward pass. */
    final float[] blockRows;

    /** Panels of the block: queries in the forward pass, keys and values in the backward pass. */
    final float[] firstPanels;
    final float[] secondPanels;

    /** Panels that accumulate: the result in the forward pass, gradients of keys and values in the backward pass. */
    final float[] firstSums;
    final float[] secondSums;

    /** Scores, then probabilities, of every panel. */
    final float[] scores = new float[PANELS * SCORES];

    /** Score gradients of every panel. */
    final float[] products = new float[PANELS * SCORES];

    /** A few rows of query gradients. */
    final float[] queryRows = new float[Tiles.ROWS * Tiles.COLUMNS];

    /** Per query: running maximum, sum and rescaling; in the backward pass logarithmic sum, delta and factors of the result. */
    final float[] maximum = new float[Math.max(ROWS, BLOCK)];
    final float[] sum = new float[Math.max(ROWS, BLOCK)];
    final float[] alpha = new float[Math.max(ROWS, BLOCK)];

    PanelScratch(int width) {
        int tiles = Math.ceilDiv(width, Tiles.COLUMNS);
        this.width = tiles * Tiles.COLUMNS;
        firstRows = new float[tiles * ROW_TILE];
        secondRows = new float[tiles * ROW_TILE];
        blockRows = new float[tiles * ROW_TILE];
        firstPanels = new float[BLOCK * this.width];
        secondPanels = new float[BLOCK * this.width];
        firstSums = new float[BLOCK * this.width];
        secondSums = new float[BLOCK * this.width];
    }

    /** Start of the row tile that holds channel {@code d}, a multiple of {@link Tiles#COLUMNS}. */
    static int rowTile(int d) {
        return d / Tiles.COLUMNS * ROW_TILE;
    }

    /** Start of a panel's row {@code d} in {@link #firstPanels} and its like. */
    int panel(int p, int d) {
        return (p * width + d) * Tiles.PANEL;
    }
}
