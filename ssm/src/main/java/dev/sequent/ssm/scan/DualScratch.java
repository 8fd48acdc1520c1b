package dev.sequent.ssm.scan;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Working memory of one thread for the backward pass, in {@link DualLayout}: a chunk of tokens of one group of heads, and a tile of it for
 * one head. Parts that are read beyond what a tile writes are zero there.
 */
final class DualScratch {
    private static final long ALIGNMENT = 64;
    private static final int TILE = DualLayout.TILE;

    /** Current chunk: B and C. */
    final DualMatrices matrices;
    /** Current head: step sizes and decays of the chunk's tokens. */
    final DualSteps steps;
    /** Decay since before the first token of the tile up to and with each token, after each token to its end, and that times step size. */
    final float[] since;
    final float[] until;
    final float[] weights;
    final float[] ones = new float[TILE];
    /** Input of the tile, and that times weights, (TILE, P). */
    final float[] x;
    final float[] scaled;
    /** A panel of the gradient of step size times input, (TILE, panel). */
    final MemorySegment drive;
    /** Gradient of the output of the tile, and that times since, (TILE, P). */
    final float[] dy;
    final float[] dySince;
    /** Decays between tokens, and those times C B^T, (TILE, TILE). */
    final float[] decays;
    final float[] decayed;
    /** States before the tiles of the chunk, and zeros. */
    private final float[][] before;
    /** Transposes (P, TILE) of the gradient of the output and of step size times input. */
    final float[] dyColumns;
    final float[] driveColumns;
    /** Inner products of dy and drive, (TILE, TILE). */
    final float[] inner;
    /** A tile's share of the gradients of B or C, (N, TILE). */
    final float[] share;
    /** Rows of the gradients of B or C of a tile, (TILE, N), and the transpose of its part of productGrad. */
    final float[] rows;
    final float[] productColumns;
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

    /** The chunk's rows of the task's heads, (chunk, P) each: input, gradient of the output, gradient of the input. */
    private final MemorySegment[] inputs;
    private final MemorySegment[] outputGrads;
    private final MemorySegment[] inputGrads;
    private final DualLayout layout;
    private final int heads;
    private final float[][] perHead;
    /** Sums over tokens of the chunk for the current head: gradients of A and D. */
    double aGrad;
    double skipGrad;

    DualScratch(DualLayout layout, int heads) {
        this.layout = layout;
        this.heads = heads;
        int chunkRow = layout.chunkRow();
        int n = layout.states();
        matrices = new DualMatrices(layout);
        steps = new DualSteps(layout);
        Arrays.fill(ones, 1);
        since = new float[chunkRow];
        until = new float[chunkRow];
        weights = new float[chunkRow];
        x = take(layout.tile());
        scaled = take(layout.tile());
        drive = takeNative(layout.tilePanel());
        dy = take(layout.tile());
        dySince = take(layout.tile());
        decays = take(TILE * TILE);
        decayed = take(TILE * TILE);
        before = take(layout.chunk() / TILE + 1, layout.state());
        dyColumns = take(layout.tile());
        driveColumns = take(layout.tile());
        inner = take(TILE * TILE);
        share = take(n * TILE);
        rows = take(TILE * n);
        productColumns = take(TILE * TILE);
        bGrad = take(n * chunkRow);
        cGrad = take(n * chunkRow);
        productGrad = take(chunkRow * TILE);
        perHead = take(heads, layout.state());
        inputs = takeRows(layout, heads);
        outputGrads = takeRows(layout, heads);
        inputGrads = takeRows(layout, heads);
    }

    /** NaN, so that reading what nobody has written shows. */
    static float[] take(int floats) {
        float[] memory = new float[floats];
        Arrays.fill(memory, Float.NaN);
        return memory;
    }

    /** The same outside the heap; released when the scratch is gone. */
    static MemorySegment takeNative(int floats) {
        return Arena.ofAuto().allocate((long) floats * Float.BYTES, ALIGNMENT).fill((byte) -1);
    }

    private static MemorySegment[] takeRows(DualLayout layout, int heads) {
        MemorySegment[] rows = new MemorySegment[heads];
        Arrays.setAll(rows, _ -> takeNative(layout.chunk() * layout.width()));
        return rows;
    }

    private static float[][] take(int count, int floats) {
        float[][] memory = new float[count][];
        Arrays.setAll(memory, _ -> take(floats));
        return memory;
    }

    /** The owner's working memory, made anew where it does not fit. */
    static DualScratch of(ThreadLocal<DualScratch> owner, DualLayout layout, int heads) {
        DualScratch s = owner.get();
        if (s == null || !s.layout.equals(layout) || s.heads < heads) {
            s = new DualScratch(layout, heads);
            owner.set(s);
        }
        return s;
    }

    DualLayout layout() {
        return layout;
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

    /**
     * Reads the rows of {@code heads} heads from {@code head} on: neighbouring columns of a few tokens at a time, since rows lie far apart
     * and processors fetch ahead in a few of them only.
     */
    void readRows(DualTiles kernels, DualInputs in, ScanRows dy, int batch, int head, int heads, int token, int count) {
        for (int from = 0; from < count; from += TILE) {
            int rows = Math.min(TILE, count - from);
            readRows(kernels, in.x(), inputs, batch, head, heads, token, from, rows);
            readRows(kernels, dy, outputGrads, batch, head, heads, token, from, rows);
        }
    }

    private void readRows(DualTiles kernels, ScanRows source, MemorySegment[] targets, int batch, int head, int heads, int token, int from,
            int rows) {
        int width = layout.width();
        for (int h = 0; h < heads; h++) {
            kernels.copy(source.slice(batch, token + from, rows, (head + h) * width, width), (int) source.tokenStride(), rows, width,
                    row(targets[h], from), width);
        }
    }

    /** Writes the gradients of the rows that {@link #readRows} has read. */
    void writeRows(DualTiles kernels, ScanRows dx, int batch, int head, int heads, int token, int count) {
        int width = layout.width();
        for (int from = 0; from < count; from += TILE) {
            int rows = Math.min(TILE, count - from);
            for (int h = 0; h < heads; h++) {
                kernels.copy(row(inputGrads[h], from), width, rows, width, dx.slice(batch, token + from, rows, (head + h) * width, width),
                        (int) dx.tokenStride());
            }
        }
    }

    private MemorySegment row(MemorySegment rows, int token) {
        return rows.asSlice((long) token * layout.width() * Float.BYTES);
    }

    /** A head's rows of the input from a tile on, or of the gradient of the output. */
    MemorySegment rows(boolean gradient, int head, int tile) {
        return row(gradient ? outputGrads[head] : inputs[head], matrices.starts[tile]);
    }

    /** A head's rows of the gradient of the input from a tile on. */
    MemorySegment gradientRows(int head, int tile) {
        return row(inputGrads[head], matrices.starts[tile]);
    }

    /**
     * Fills a panel of (TILE, P) with that of a tile of a head, in a chunk that begins at {@code token}, as it is and times
     * {@code factors}; zero for padding. Returns whether all of it is finite.
     *
     * @param source the head's rows from the tile on, {@code sourceRow} apart
     */
    boolean pack(DualTiles kernels, DualInputs in, MemorySegment source, int sourceRow, int batch, int panel, int token, int tile,
            float[] factors, float[] plain, float[] scaled, int at) {
        int columns = layout.columns(panel);
        int start = matrices.starts[tile];
        int rows = matrices.rows(tile);
        MemorySegment from = source.asSlice((long) panel * layout.panel() * Float.BYTES);
        boolean finite = kernels.pack(from, sourceRow, rows, columns, layout.panel(), factors, start, plain, scaled, at);
        for (int t = 0; in.flags() != null && t < rows; t++) {
            if (in.has(batch, token + start + t, ScanInputs.SKIP)) {
                Arrays.fill(plain, at + t * layout.panel(), at + (t + 1) * layout.panel(), 0);
                Arrays.fill(scaled, at + t * layout.panel(), at + (t + 1) * layout.panel(), 0);
            }
        }
        return finite;
    }

    /** Reads the step sizes of a head for the chunk's tokens and forms its decays, those of its tiles too. */
    void packSteps(DualScan loops, DualInputs in, int batch, int head, int token, int count) {
        steps.read(loops, in, batch, head, token, count);
        decays();
    }

    private void decays() {
        for (int i = 0; i < matrices.tiles; i++) {
            int start = matrices.starts[i];
            int end = matrices.starts[i + 1];
            float product = 1;
            for (int t = start; t < end; t++) {
                product *= steps.decay[t];
                since[t] = product;
            }
            product = 1;
            for (int t = end - 1; t >= start; t--) {
                until[t] = product;
                weights[t] = product * steps.dt[t];
                product *= steps.decay[t];
            }
        }
    }

    /** The decay of a tile. */
    float decay(int tile) {
        return since[matrices.starts[tile + 1] - 1];
    }

    /** A panel of {@code to = decay of the tile from + sum over its tokens of a row of B or C and a row of x}. */
    void advance(DualTiles kernels, int tile, float[] rowsOfGroup, float[] x, int xAt, float[] from, float[] to, int panel) {
        int n = layout.states();
        int at = panel * layout.statePanel();
        kernels.advance(layout.panel(), rowsOfGroup, matrices.columnsAt(tile), n, matrices.rows(tile), x, xAt, from, at, to, at, n,
                decay(tile));
    }
}
