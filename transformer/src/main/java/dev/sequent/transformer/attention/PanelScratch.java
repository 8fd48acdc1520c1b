package dev.sequent.transformer.attention;

/** One thread's tiles for heads of up to {@link #width} channels. */
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

    private static final long NOTHING = -1;

    /** Largest P. */
    final int width;

    /** Rows that pass by: keys and values in the forward pass, queries and result gradients in the backward pass. */
    final RowTiles firstRows;
    final RowTiles secondRows;

    /** The block's own rows: queries in the forward pass, keys in the backward pass. */
    final RowTiles blockRows;

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

    private long heldCall = NOTHING;
    private int heldHead;

    PanelScratch(int width) {
        int tiles = Math.ceilDiv(width, Tiles.COLUMNS);
        this.width = tiles * Tiles.COLUMNS;
        firstRows = new RowTiles(width, ROWS);
        secondRows = new RowTiles(width, ROWS);
        blockRows = new RowTiles(width, BLOCK);
        firstPanels = new float[BLOCK * this.width];
        secondPanels = new float[BLOCK * this.width];
        firstSums = new float[BLOCK * this.width];
        secondSums = new float[BLOCK * this.width];
    }

    /** Notes that the passing rows are all keys and values of a head of a forward call. */
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
