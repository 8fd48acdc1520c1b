package dev.sequent.ssm.scan;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Working memory of one thread, in {@link DualLayout}: a chunk of tokens of one group of heads, and a tile of it for one head. Parts that
 * are read beyond what a tile writes are zero there.
 */
final class DualScratch {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final long ALIGNMENT = 64;
    private static final int TILE = DualLayout.TILE;

    /** Current chunk: B and C, (chunk + TILE, N), and the transposes (N, rows) of the tiles' rows of C, one after the other. */
    final float[] b;
    final float[] c;
    final float[] cColumns;
    /** The tiles' B C^T, (chunk + TILE, TILE). */
    final float[] sourceProducts;
    /** First tokens of the chunk's tiles, and one past its last token. */
    final int[] starts;
    int tiles;

    /** Current head: step sizes and decays of the chunk's tokens. */
    final float[] dt;
    final float[] decay;
    /** Current tile: decay since before its first token up to and with each token, and after each token to its end. */
    final float[] since = new float[TILE];
    final float[] until = new float[TILE];
    /** Ones, step sizes of the tile, and those times until. */
    final float[] ones = new float[TILE];
    final float[] steps = new float[TILE];
    final float[] weights = new float[TILE];
    /** What each token gives each later one, (TILE, TILE). */
    final float[] mix;
    /** Input of the tile, that times weights, and the output, (TILE, P). */
    final float[] x;
    final float[] xToEnd;
    final MemorySegment y;
    /** Whether all of x is finite. */
    boolean finite;

    // For the backward pass only; null otherwise.

    /** Like cColumns, of B. */
    final float[] bColumns;
    /** The tiles' C B^T, (chunk + TILE, TILE). */
    final float[] products;
    /** Decays between tokens, and those times C B^T, (TILE, TILE). */
    final float[] decays;
    final float[] decayed;
    /** States before the tiles of the chunk, and zeros. */
    private final float[][] before;
    /**
     * Gradient of the output, and that times since, (TILE, P); transposes (P, TILE) of it and of step size times input; gradient of the
     * latter.
     */
    final float[] dy;
    final float[] dySince;
    final float[] dyColumns;
    final float[] driveColumns;
    final MemorySegment dDrive;
    /** Inner products of dy and drive, (TILE, TILE). */
    final float[] inner;
    /** A tile's share of the gradients of B or C, (N, TILE). */
    final float[] share;
    /** A row of the gradients of B or C, (N). */
    final float[] row;
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
    /** Sums over tokens of the chunk for the current head: gradients of A and D. */
    double aGrad;
    double skipGrad;

    DualScratch(DualLayout layout, int heads, boolean backward) {
        this.layout = layout;
        this.heads = heads;
        this.backward = backward;
        int chunkRow = layout.chunkRow();
        int n = layout.states();
        b = take(chunkRow * n);
        c = take(chunkRow * n);
        cColumns = take(n * chunkRow);
        sourceProducts = take(chunkRow * TILE);
        starts = new int[layout.chunk() + 1];
        dt = new float[chunkRow];
        decay = new float[chunkRow];
        Arrays.fill(ones, 1);
        mix = take(TILE * TILE);
        x = take(layout.tile());
        xToEnd = take(layout.tile());
        y = takeNative(layout.tile());
        bColumns = backward ? take(n * chunkRow) : null;
        products = backward ? take(chunkRow * TILE) : null;
        decays = backward ? take(TILE * TILE) : null;
        decayed = backward ? take(TILE * TILE) : null;
        before = backward ? take(layout.chunk() / TILE + 1, layout.state()) : null;
        dy = backward ? take(layout.tile()) : null;
        dySince = backward ? take(layout.tile()) : null;
        dyColumns = backward ? take(layout.tile()) : null;
        driveColumns = backward ? take(layout.tile()) : null;
        dDrive = backward ? takeNative(layout.tile()) : null;
        inner = backward ? take(TILE * TILE) : null;
        share = backward ? take(n * TILE) : null;
        row = backward ? take(n) : null;
        bGrad = backward ? take(n * chunkRow) : null;
        cGrad = backward ? take(n * chunkRow) : null;
        productGrad = backward ? take(chunkRow * TILE) : null;
        perHead = take(heads, layout.state());
    }

    /** NaN, so that reading what nobody has written shows. */
    private static float[] take(int floats) {
        float[] memory = new float[floats];
        Arrays.fill(memory, Float.NaN);
        return memory;
    }

    /** The same outside the heap; released when the scratch is gone. */
    private static MemorySegment takeNative(int floats) {
        return Arena.ofAuto().allocate((long) floats * Float.BYTES, ALIGNMENT).fill((byte) -1);
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

    /** A panel of a tile of tokens. */
    MemorySegment panel(MemorySegment tile, int panel) {
        return tile.asSlice((long) panel * layout.tilePanel() * Float.BYTES, (long) layout.tilePanel() * Float.BYTES);
    }

    /** Tokens of a tile. */
    int rows(int tile) {
        return starts[tile + 1] - starts[tile];
    }

    /**
     * Reads B and C of {@code count} tokens from {@code token} on, cuts them into tiles at documents' beginnings, and forms the tiles'
     * products.
     */
    void pack(DualTiles kernels, DualInputs in, int batch, int group, int token, int count) {
        packRows(in, in.b(), batch, group, token, count, b);
        packRows(in, in.c(), batch, group, token, count, c);
        int n = layout.states();
        for (int i = 0; i < tiles; i++) {
            int at = columnsAt(i);
            transpose(c, at, rows(i), cColumns);
            kernels.products(b, at, n, cColumns, at, rows(i), sourceProducts, starts[i] * TILE);
            if (backward) {
                transpose(b, at, rows(i), bColumns);
                kernels.products(c, at, n, bColumns, at, rows(i), products, starts[i] * TILE);
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

    /** Where a tile's rows of B and C begin, and its columns. */
    int columnsAt(int tile) {
        return starts[tile] * layout.states();
    }

    private void transpose(float[] source, int at, int rows, float[] columns) {
        int n = layout.states();
        for (int i = 0; i < n; i++) {
            for (int t = 0; t < rows; t++) {
                columns[at + i * rows + t] = source[at + t * n + i];
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

    /** Forms the decays of a tile of a head. */
    void decays(int tile) {
        int start = starts[tile];
        int rows = rows(tile);
        float product = 1;
        for (int t = 0; t < rows; t++) {
            product *= decay[start + t];
            since[t] = product;
            steps[t] = dt[start + t];
        }
        product = 1;
        for (int t = rows - 1; t >= 0; t--) {
            until[t] = product;
            weights[t] = product * steps[t];
            product *= decay[start + t];
        }
    }

    /** Forms what a tile needs of a head to advance its state: decays, and its input. */
    void prepare(DualTiles kernels, DualInputs in, int batch, int head, int token, int tile) {
        decays(tile);
        finite = packTile(kernels, in, in.x(), batch, head, token + starts[tile], rows(tile), weights, x, xToEnd);
    }

    /**
     * Copies rows of a head as they are and times {@code factors}; zero for padding and after the last row. Returns whether all are
     * finite.
     */
    boolean packTile(DualTiles kernels, DualInputs in, ScanRows source, int batch, int head, int token, int rows, float[] factors,
            float[] plain, float[] scaled) {
        boolean finite = true;
        for (int p = 0; p < layout.panels(); p++) {
            finite &= packPanel(kernels, in, source, batch, head, token, rows, factors, plain, scaled, p);
        }
        return finite;
    }

    /** The same for one panel. */
    boolean packPanel(DualTiles kernels, DualInputs in, ScanRows source, int batch, int head, int token, int rows, float[] factors,
            float[] plain, float[] scaled, int panel) {
        int columns = layout.columns(panel);
        MemorySegment from = source.slice(batch, token, rows, head * in.shape().width() + panel * layout.panel(), columns);
        boolean finite = kernels.pack(from, (int) source.tokenStride(), rows, columns, layout.panel(), factors, plain, scaled,
                panel * layout.tilePanel());
        for (int t = 0; in.flags() != null && t < rows; t++) {
            if (in.has(batch, token + t, ScanInputs.SKIP)) {
                clear(plain, panel, t);
                clear(scaled, panel, t);
            }
        }
        return finite;
    }

    private void clear(float[] tile, int panel, int row) {
        int at = panel * layout.tilePanel() + row * layout.panel();
        Arrays.fill(tile, at, at + layout.panel(), 0);
    }

    /** {@code state = decay of the tile state + sum over its tokens of a row of B or C and a row of P numbers}. */
    void advance(DualTiles kernels, int tile, float[] rowsOfGroup, float[] rowsOfHead, float[] state) {
        for (int p = 0; p < layout.panels(); p++) {
            advancePanel(kernels, tile, rowsOfGroup, rowsOfHead, state, p);
        }
    }

    /** The same for one panel. */
    void advancePanel(DualTiles kernels, int tile, float[] rowsOfGroup, float[] rowsOfHead, float[] state, int panel) {
        int rows = rows(tile);
        int n = layout.states();
        kernels.advance(layout.panel(), rowsOfGroup, columnsAt(tile), n, rows, rowsOfHead, panel * layout.tilePanel(), state,
                panel * layout.statePanel(), n, since[rows - 1]);
    }
}
