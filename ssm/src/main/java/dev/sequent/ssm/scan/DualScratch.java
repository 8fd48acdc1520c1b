package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Working memory of one thread, in {@link DualLayout}: a chunk of tokens of one group of heads, and a tile of it for one head. Parts that
 * are read beyond what a tile writes are zero there.
 */
final class DualScratch {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int TILE = DualLayout.TILE;

    /** Current chunk: B and C, (chunk + TILE, N), their transposes, (N, chunk + TILE), and the tiles' C B^T, (chunk + TILE, TILE). */
    final float[] b;
    final float[] c;
    final float[] bColumns;
    final float[] cColumns;
    final float[] products;
    /** First tokens of the chunk's tiles, and one past its last token. */
    final int[] starts;
    int tiles;

    /** Current head: step sizes and decays of the chunk's tokens. */
    final float[] dt;
    final float[] decay;
    /** Current tile: decay since before its first token up to and with each token, and after each token to its end. */
    final float[] since = new float[TILE];
    final float[] until = new float[TILE];
    /** Ones, and step sizes of the tile. */
    final float[] ones = new float[TILE];
    final float[] steps = new float[TILE];
    /** Decays between tokens, and those times C B^T, (TILE, TILE). */
    final float[] decays;
    final float[] mix;
    /** Step size times input, that decayed to the end of the tile, and the output, (TILE, P). */
    final float[] drive;
    final float[] driveToEnd;
    final float[] y;
    /** C or B times since or until, (TILE, N). */
    final float[] rows;

    // For the backward pass only; null otherwise.

    /** States before the tiles of the chunk, and zeros. */
    private final float[][] before;
    /** Gradient of the output, and that times since, (TILE, P); their likes for drive; transposes (P, TILE). */
    final float[] dy;
    final float[] dySince;
    final float[] dyColumns;
    final float[] driveColumns;
    final float[] dDrive;
    /** Transpose of mix, and inner products of dy and drive, (TILE, TILE). */
    final float[] mixColumns;
    final float[] inner;
    /** A tile's share of the gradients of B or C, (N, TILE). */
    final float[] share;
    /**
     * Sums over heads for the chunk: gradients of B and C but for the products, (N, chunk + TILE), and of the products, (chunk + TILE,
     * TILE).
     */
    final float[] bGrad;
    final float[] cGrad;
    final float[] productGrad;
    /** Gradients of the tokens' logarithmic decays, and what they are made of. */
    final float[] fromState = new float[TILE];
    final float[] toState = new float[TILE];
    final float[] inputDots = new float[TILE];
    final float[] sums = new float[TILE];

    private final DualLayout layout;
    private final int heads;
    private final boolean backward;
    private final float[][] perHead;
    /** Sums over tokens for each head of the task: gradients of A and D. */
    final double[] aGrad;
    final double[] skipGrad;

    DualScratch(DualLayout layout, int heads, boolean backward) {
        this.layout = layout;
        this.heads = heads;
        this.backward = backward;
        int chunkRow = layout.chunkRow();
        int n = layout.states();
        b = take(chunkRow * n);
        c = take(chunkRow * n);
        bColumns = take(n * chunkRow);
        cColumns = take(n * chunkRow);
        products = take(chunkRow * TILE);
        starts = new int[layout.chunk() + 1];
        dt = new float[layout.chunk()];
        decay = new float[layout.chunk()];
        Arrays.fill(ones, 1);
        decays = take(TILE * TILE);
        mix = take(TILE * TILE);
        drive = take(layout.tile());
        driveToEnd = take(layout.tile());
        y = take(layout.tile());
        rows = take(TILE * n);
        before = backward ? take(layout.chunk() / TILE + 1, layout.state()) : null;
        dy = backward ? take(layout.tile()) : null;
        dySince = backward ? take(layout.tile()) : null;
        dyColumns = backward ? take(layout.tile()) : null;
        driveColumns = backward ? take(layout.tile()) : null;
        dDrive = backward ? take(layout.tile()) : null;
        mixColumns = backward ? take(TILE * TILE) : null;
        inner = backward ? take(TILE * TILE) : null;
        share = backward ? take(n * TILE) : null;
        bGrad = backward ? take(n * chunkRow) : null;
        cGrad = backward ? take(n * chunkRow) : null;
        productGrad = backward ? take(chunkRow * TILE) : null;
        perHead = take(heads, layout.state());
        aGrad = new double[heads];
        skipGrad = new double[heads];
        Arrays.fill(drive, 0);
        Arrays.fill(driveToEnd, 0);
        if (backward) {
            Arrays.fill(dy, 0);
            Arrays.fill(dySince, 0);
        }
    }

    /** NaN, so that reading what nobody has written shows. */
    private static float[] take(int floats) {
        float[] memory = new float[floats];
        Arrays.fill(memory, Float.NaN);
        return memory;
    }

    private static float[][] take(int count, int floats) {
        float[][] memory = new float[count][];
        Arrays.setAll(memory, _ -> take(floats));
        return memory;
    }

    boolean fits(DualLayout layout, int heads, boolean backward) {
        return this.layout.equals(layout) && this.heads >= heads && (this.backward || !backward);
    }

    /** The state of a head of the task, or the gradient of it. */
    float[] state(int head) {
        return perHead[head];
    }

    /** The state before the tile that starts at a token of the chunk and not a document: between two such tiles lies a whole one. */
    float[] before(int start) {
        return before[start / TILE];
    }

    /** The state before a document. */
    float[] zero() {
        float[] zero = before[layout.chunk() / TILE];
        Arrays.fill(zero, 0);
        return zero;
    }

    /** Tokens of a tile. */
    int rows(int tile) {
        return starts[tile + 1] - starts[tile];
    }

    /**
     * Reads B and C of {@code count} tokens from {@code token} on, cuts them into tiles at documents' beginnings, and forms the tiles' C
     * B^T.
     */
    void pack(DualTiles kernels, DualInputs in, int batch, int group, int token, int count) {
        cut(in, batch, token, count);
        packRows(in, in.b(), batch, group, token, count, b, bColumns);
        packRows(in, in.c(), batch, group, token, count, c, cColumns);
        for (int i = 0; i < tiles; i++) {
            kernels.multiply(TILE, c, starts[i] * layout.states(), layout.states(), layout.states(), bColumns, starts[i],
                    layout.chunkRow(), products, starts[i] * TILE, Math.ceilDiv(rows(i), DualLayout.ROWS) * DualLayout.ROWS, true, 0);
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

    private void packRows(DualInputs in, ScanRows source, int batch, int group, int token, int count, float[] target, float[] columns) {
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
        int row = layout.chunkRow();
        // few tokens at a time: rows a power of two apart fall into few sets of the cache
        for (int first = 0; first < count; first += TILE) {
            int to = Math.min(count, first + TILE);
            for (int n = 0; n < padded; n++) {
                for (int t = first; t < to; t++) {
                    columns[n * row + t] = target[t * padded + n];
                }
            }
        }
    }

    /** Reads the step sizes of a head for the chunk's tokens and forms its decays. */
    void packSteps(DualTiles kernels, DualInputs in, int batch, int head, int token, int count) {
        MemorySegment from = in.dt().slice(batch, token, count, head, 1);
        for (int t = 0; t < count; t++) {
            dt[t] = in.has(batch, token + t, ScanInputs.SKIP) ? 0 : from.getAtIndex(F32, t * in.dt().tokenStride());
        }
        kernels.decays(dt, in.a().getAtIndex(F32, head), count, decay);
    }

    /** Forms what a tile needs of a head: its decays, and its input times step sizes. */
    void prepare(DualTiles kernels, DualInputs in, int batch, int head, int token, int tile) {
        int start = starts[tile];
        int rows = rows(tile);
        kernels.weights(products, start * TILE, decay, start, rows, decays, mix);
        float product = 1;
        for (int t = 0; t < rows; t++) {
            product *= decay[start + t];
            since[t] = product;
            until[t] = decays[(rows - 1) * TILE + t];
            steps[t] = dt[start + t];
        }
        packTile(kernels, in, in.x(), batch, head, token + start, rows, steps, drive);
        for (int p = 0; p < layout.panels(); p++) {
            int at = p * layout.tilePanel();
            kernels.scale(drive, at, layout.panel(), until, rows, layout.panel(), driveToEnd, at, layout.panel());
        }
    }

    /** Copies rows of a head times {@code factors}; zero for padding and after the last row. */
    void packTile(DualTiles kernels, DualInputs in, ScanRows source, int batch, int head, int token, int rows, float[] factors,
            float[] target) {
        int width = in.shape().width();
        MemorySegment from = source.slice(batch, token, rows, head * width, width);
        for (int p = 0; p < layout.panels(); p++) {
            kernels.scale(from, p * layout.panel(), (int) source.tokenStride(), factors, rows, layout.columns(p), target,
                    p * layout.tilePanel(), layout.panel());
            clear(target, p, rows, TILE);
            for (int t = 0; in.flags() != null && t < rows; t++) {
                if (in.has(batch, token + t, ScanInputs.SKIP)) {
                    clear(target, p, t, t + 1);
                }
            }
        }
    }

    private void clear(float[] target, int panel, int from, int to) {
        if (from < to) {
            int at = panel * layout.tilePanel();
            Arrays.fill(target, at + from * layout.panel(), at + to * layout.panel(), 0);
        }
    }

    /** {@code state = decay of the tile state + sum over its tokens of a column of B or C and a row of P numbers}. */
    void advance(DualTiles kernels, int tile, float[] columns, float[] rowsOfHead, float[] state) {
        int rows = rows(tile);
        for (int p = 0; p < layout.panels(); p++) {
            kernels.multiply(layout.panel(), columns, starts[tile], layout.chunkRow(), rows, rowsOfHead, p * layout.tilePanel(),
                    layout.panel(), state, p * layout.statePanel(), layout.states(), false, since[rows - 1]);
        }
    }

    /**
     * {@code out = mix x + diag(factors) source state}: what the tile's tokens and the state give each token, {@code source} being rows of
     * B or C.
     *
     * @param upper whether tokens read from later ones, not from earlier ones
     */
    void read(DualTiles kernels, int tile, float[] weights, boolean upper, float[] x, float[] source, float[] factors, float[] state,
            float[] out) {
        int rows = rows(tile);
        int n = layout.states();
        kernels.scale(source, starts[tile] * n, n, factors, rows, n, this.rows, 0, n);
        for (int p = 0; p < layout.panels(); p++) {
            int at = p * layout.tilePanel();
            kernels.triangle(layout.panel(), weights, upper, rows, x, at, out, at);
            kernels.multiply(layout.panel(), this.rows, 0, n, n, state, p * layout.statePanel(), layout.panel(), out, at,
                    Math.ceilDiv(rows, DualLayout.ROWS) * DualLayout.ROWS, false, 1);
        }
    }
}
