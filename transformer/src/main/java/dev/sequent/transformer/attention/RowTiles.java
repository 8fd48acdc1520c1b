package dev.sequent.transformer.attention;

/**
 * Rows of one head as {@link Tiles} reads them: tiles of {@link Tiles#COLUMNS} channels, one behind the other. Used by one thread.
 */
final class RowTiles {
    private final int tiles;
    private int rows;
    private float[] data;

    /** Room for {@code rows} rows of {@code width} channels. */
    RowTiles(int width, int rows) {
        this.tiles = Math.ceilDiv(width, Tiles.COLUMNS);
        this.rows = rows;
        this.data = new float[tiles * rows * Tiles.COLUMNS];
    }

    /**
     * Makes room for at least {@code count} rows, and a few that {@link Tiles} may read beyond; what was there is lost if that takes new
     * memory.
     */
    void reserve(int count) {
        int wanted = count + Tiles.PANEL;
        if (wanted > rows) {
            rows = wanted;
            data = new float[Math.multiplyExact(tiles * rows, Tiles.COLUMNS)];
        }
    }

    /** The memory of all tiles; valid until the next {@link #reserve}. */
    float[] data() {
        return data;
    }

    /** Where row {@code r} of the tile that holds channel {@code d}, a multiple of {@link Tiles#COLUMNS}, starts. */
    int at(int r, int d) {
        return (d / Tiles.COLUMNS * rows + r) * Tiles.COLUMNS;
    }
}
