package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.LongFunction;

/**
 * Working memory of one thread, in {@link DualLayout}: a chunk of tokens of one group of heads, and a tile of it for one head. Parts that
 * are read beyond what a tile writes are zero there.
 */
final class DualScratch {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int TILE = DualLayout.TILE;

    /** Current chunk: B and C, (chunk + TILE, N), their transposes, (N, chunk + TILE), and the tiles' C B^T, (chunk + TILE, TILE). */
    final MemorySegment b;
    final MemorySegment c;
    final MemorySegment bColumns;
    final MemorySegment cColumns;
    final MemorySegment products;
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
    final MemorySegment decays;
    final MemorySegment mix;
    /** Step size times input, that decayed to the end of the tile, and the output, (TILE, P). */
    final MemorySegment drive;
    final MemorySegment driveToEnd;
    final MemorySegment y;
    /** C or B times since or until, (TILE, N). */
    final MemorySegment rows;

    // For the backward pass only; null otherwise.

    /** States before the tiles of the chunk, and zeros. */
    final MemorySegment before;
    /** Gradient of the output, and that times since, (TILE, P); their likes for drive; transposes (P, TILE). */
    final MemorySegment dy;
    final MemorySegment dySince;
    final MemorySegment dyColumns;
    final MemorySegment driveColumns;
    final MemorySegment dDrive;
    /** Transpose of mix, and inner products of dy and drive, (TILE, TILE). */
    final MemorySegment mixColumns;
    final MemorySegment inner;
    /** A tile's share of the gradients of B or C, (N, TILE). */
    final MemorySegment share;
    /**
     * Sums over heads for the chunk: gradients of B and C but for the products, (N, chunk + TILE), and of the products, (chunk + TILE,
     * TILE).
     */
    final MemorySegment bGrad;
    final MemorySegment cGrad;
    final MemorySegment productGrad;
    /** Gradients of the tokens' logarithmic decays, and what they are made of. */
    final float[] fromState = new float[TILE];
    final float[] toState = new float[TILE];
    final float[] inputDots = new float[TILE];
    final float[] sums = new float[TILE];

    private final DualLayout layout;
    private final int heads;
    private final boolean backward;
    private final MemorySegment perHead;
    /** Sums over tokens for each head of the task: gradients of A and D. */
    final double[] aGrad;
    final double[] skipGrad;

    DualScratch(LongFunction<MemorySegment> allocator, DualLayout layout, int heads, boolean backward) {
        this.layout = layout;
        this.heads = heads;
        this.backward = backward;
        int chunkRow = layout.chunkRow();
        int n = layout.states();
        b = take(allocator, chunkRow * n);
        c = take(allocator, chunkRow * n);
        bColumns = take(allocator, n * chunkRow);
        cColumns = take(allocator, n * chunkRow);
        products = take(allocator, chunkRow * TILE);
        starts = new int[layout.chunk() + 1];
        dt = new float[layout.chunk()];
        decay = new float[layout.chunk()];
        Arrays.fill(ones, 1);
        decays = take(allocator, TILE * TILE);
        mix = take(allocator, TILE * TILE);
        drive = take(allocator, layout.tile());
        driveToEnd = take(allocator, layout.tile());
        y = take(allocator, layout.tile());
        rows = take(allocator, TILE * n);
        before = backward ? take(allocator, (layout.chunk() / TILE + 1) * layout.state()) : null;
        dy = backward ? take(allocator, layout.tile()) : null;
        dySince = backward ? take(allocator, layout.tile()) : null;
        dyColumns = backward ? take(allocator, layout.tile()) : null;
        driveColumns = backward ? take(allocator, layout.tile()) : null;
        dDrive = backward ? take(allocator, layout.tile()) : null;
        mixColumns = backward ? take(allocator, TILE * TILE) : null;
        inner = backward ? take(allocator, TILE * TILE) : null;
        share = backward ? take(allocator, n * TILE) : null;
        bGrad = backward ? take(allocator, n * chunkRow) : null;
        cGrad = backward ? take(allocator, n * chunkRow) : null;
        productGrad = backward ? take(allocator, chunkRow * TILE) : null;
        perHead = take(allocator, heads * layout.state());
        aGrad = new double[heads];
        skipGrad = new double[heads];
        drive.fill((byte) 0);
        driveToEnd.fill((byte) 0);
        if (backward) {
            dy.fill((byte) 0);
            dySince.fill((byte) 0);
        }
    }

    private static MemorySegment take(LongFunction<MemorySegment> allocator, long floats) {
        return allocator.apply(floats * Float.BYTES);
    }

    boolean fits(DualLayout layout, int heads, boolean backward) {
        return this.layout.equals(layout) && this.heads >= heads && (this.backward || !backward);
    }

    /** The state of a head of the task, or the gradient of it. */
    MemorySegment state(int head) {
        return perHead.asSlice((long) head * layout.state() * Float.BYTES, (long) layout.state() * Float.BYTES);
    }

    /** The state before the tile that starts at a token of the chunk and not a document: between two such tiles lies a whole one. */
    MemorySegment before(int start) {
        return before.asSlice((long) (start / TILE) * layout.state() * Float.BYTES, (long) layout.state() * Float.BYTES);
    }

    /** The state before a document. */
    MemorySegment zero() {
        return before(layout.chunk()).fill((byte) 0);
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

    private void packRows(DualInputs in, ScanRows source, int batch, int group, int token, int count, MemorySegment target,
            MemorySegment columns) {
        int states = in.shape().states();
        int padded = layout.states();
        MemorySegment from = source.slice(batch, token, count, group * states, states);
        if (padded > states) {
            target.fill((byte) 0);
        }
        for (int t = 0; t < count; t++) {
            if (in.has(batch, token + t, ScanInputs.SKIP)) {
                target.asSlice((long) t * padded * Float.BYTES, (long) padded * Float.BYTES).fill((byte) 0);
            } else {
                MemorySegment.copy(from, t * source.tokenStride() * Float.BYTES, target, (long) t * padded * Float.BYTES,
                        (long) states * Float.BYTES);
            }
        }
        MemorySegment read = target.asSlice(0, (long) count * padded * Float.BYTES);
        int row = layout.chunkRow();
        // few tokens at a time: rows a power of two apart fall into few sets of the cache
        for (int first = 0; first < count; first += TILE) {
            int to = Math.min(count, first + TILE);
            for (int n = 0; n < padded; n++) {
                for (int t = first; t < to; t++) {
                    columns.set(F32, (n * row + t) * 4L, read.get(F32, (t * padded + n) * 4L));
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
            until[t] = decays.getAtIndex(F32, (rows - 1L) * TILE + t);
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
            MemorySegment target) {
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

    private void clear(MemorySegment target, int panel, int from, int to) {
        if (from < to) {
            long at = (long) panel * layout.tilePanel() + (long) from * layout.panel();
            target.asSlice(at * Float.BYTES, (long) (to - from) * layout.panel() * Float.BYTES).fill((byte) 0);
        }
    }

    /** {@code state = decay of the tile state + sum over its tokens of a column of B or C and a row of P numbers}. */
    void advance(DualTiles kernels, int tile, MemorySegment columns, MemorySegment rowsOfHead, MemorySegment state) {
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
    void read(DualTiles kernels, int tile, MemorySegment weights, boolean upper, MemorySegment x, MemorySegment source, float[] factors,
            MemorySegment state, MemorySegment out) {
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
