package dev.sequent.ssm.scan;

/**
 * How {@link StateSpaceDualCpu} lays a head out in working memory: a matrix of some rows (tokens or states) and P columns is cut into
 * panels of columns, one after the other, each with its rows without gaps. Columns beyond P and states beyond N are zero.
 *
 * @param width P
 * @param panel columns of a panel
 * @param panels number of panels
 * @param states N, rounded up
 * @param chunk tokens between saved states
 */
record DualLayout(int width, int panel, int panels, int states, int chunk) {
    /** Tokens of a tile, and columns of matrices with a column for each of them. */
    static final int TILE = 16;
    /** Rows that a product of matrices forms at once. */
    static final int ROWS = 8;
    static final int WIDE = 32;
    /** States that lie together where B and C are read along tokens. */
    static final int BLOCK = 16;

    private static final int SHORTEST_CHUNK = 32;
    private static final int LONGEST_CHUNK = 128;

    static DualLayout of(DualShape s) {
        boolean wide = 2L * Math.ceilDiv(s.width(), WIDE) * WIDE <= 3L * s.width();
        int panel = wide ? WIDE : TILE;
        // saved states then take about as much memory as the input
        int chunk = Math.clamp((long) Math.ceilDiv(s.states(), TILE) * TILE, SHORTEST_CHUNK, LONGEST_CHUNK);
        return new DualLayout(s.width(), panel, Math.ceilDiv(s.width(), panel), Math.ceilDiv(s.states(), TILE) * TILE, chunk);
    }

    /** Distance of rows in matrices with a column for each token of a chunk: a tile may begin at the last of them. */
    int chunkRow() {
        return chunk + TILE;
    }

    /** Chunks of a sequence. */
    int chunks(int tokens) {
        return Math.ceilDiv(tokens, chunk);
    }

    /** Floats of a head's state. */
    int state() {
        return states * panel * panels;
    }

    /** Floats of a panel of the state. */
    int statePanel() {
        return states * panel;
    }

    /** Floats of a tile of tokens. */
    int tile() {
        return TILE * panel * panels;
    }

    /** Floats of a panel of a tile of tokens. */
    int tilePanel() {
        return TILE * panel;
    }

    /** Floats of a panel of a chunk of tokens. */
    int panelPitch() {
        return chunk * panel;
    }

    /** Where a column of a token lies in the panels of a chunk of tokens. */
    int place(int token, int column) {
        return column / panel * panelPitch() + token * panel + column % panel;
    }

    /** Columns of a panel that are there. */
    int columns(int index) {
        return Math.min(panel, width - index * panel);
    }
}
