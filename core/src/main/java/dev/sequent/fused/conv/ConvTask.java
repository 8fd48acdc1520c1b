package dev.sequent.fused.conv;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Working memory of one thread, and the walk over one sequence for one tile of channels.
 *
 * <p>Tokens that are not padding are packed into a window that begins with the K - 1 inputs before them, so that the loops over the window
 * know nothing of flags. Each row of the window remembers where it came from: token t &gt;= 0, row -1 - i of the initial state, or nowhere.
 */
final class ConvTask {
    private static final int ROWS = 32;
    private static final int WIDTH = ConvTiles.WIDTH;
    private static final long ROW_BYTES = WIDTH * (long) Float.BYTES;
    private static final int NOWHERE = Integer.MIN_VALUE;

    private final int count;
    private final ConvTiles tiles;
    private final MemorySegment window;
    private final MemorySegment windowGrad;
    private final MemorySegment out;
    private final MemorySegment taps;
    private final MemorySegment bias;
    private final MemorySegment tapGrad;
    private final MemorySegment biasGrad;
    private final int[] origin;
    private int fill;

    ConvTask(ConvTiles tiles, int count) {
        this.tiles = tiles;
        this.count = count;
        this.window = rows(ROWS + count - 1);
        this.windowGrad = rows(ROWS + count - 1);
        this.out = rows(ROWS);
        this.taps = rows(count);
        this.bias = rows(1);
        this.tapGrad = rows(count);
        this.biasGrad = rows(1);
        this.origin = new int[ROWS + count - 1];
    }

    private static MemorySegment rows(int rows) {
        return Arena.ofAuto().allocate(rows * ROW_BYTES, 64);
    }

    boolean fits(int taps) {
        return count == taps;
    }

    /** One sequence and tile of channels: sizes, operands and results as rows, null where absent. */
    record Job(int tokens, int channel, int columns, boolean silu, int batch, byte[] flags, ConvRows x, ConvRows initialState, ConvRows y,
            ConvRows finalState, ConvRows dy, ConvRows dFinalState, ConvRows dx, ConvRows dInitialState) {
        boolean has(int token, byte flag) {
            return flags != null && (flags[batch * tokens + token] & flag) != 0;
        }

        void load(ConvRows source, int token, MemorySegment target, int row) {
            source.load(batch, token, channel, columns, target, row * ROW_BYTES);
        }

        void store(MemorySegment source, int row, ConvRows target, int token) {
            if (target != null) {
                target.store(batch, token, channel, columns, source, row * ROW_BYTES);
            }
        }
    }

    /** Packs taps (E, K) and bias (E). Lanes beyond the last channel hold zeros. */
    private void pack(Job job, MemorySegment weight, MemorySegment biases) {
        for (MemorySegment s : new MemorySegment[] {window, taps, bias, out}) {
            s.fill((byte) 0);
        }
        ConvRows.transpose(weight, job.channel(), job.columns(), count, taps, WIDTH);
        if (biases != null) {
            MemorySegment.copy(biases, (long) job.channel() * Float.BYTES, bias, 0, (long) job.columns() * Float.BYTES);
        }
        fill = 0;
        for (int i = 0; i < count - 1; i++) {
            origin[i] = job.initialState() == null ? NOWHERE : -1 - i;
            if (job.initialState() != null) {
                job.load(job.initialState(), i, window, i);
            }
        }
    }

    void forward(Job job, MemorySegment weight, MemorySegment biases) {
        pack(job, weight, biases);
        for (int t = 0; t < job.tokens(); t++) {
            if (job.has(t, CausalConv.RESET)) {
                flushForward(job);
                window.asSlice(0, (count - 1) * ROW_BYTES).fill((byte) 0);
            }
            if (job.has(t, CausalConv.SKIP)) {
                job.y().zero(job.batch(), t, job.channel(), job.columns());
            } else {
                job.load(job.x(), t, window, count - 1 + fill);
                origin[count - 1 + fill++] = t;
                if (fill == ROWS) {
                    flushForward(job);
                }
            }
        }
        flushForward(job);
        for (int i = 0; i < count - 1; i++) {
            job.store(window, i, job.finalState(), i);
        }
    }

    private void flushForward(Job job) {
        tiles.forward(fill, count, job.silu(), window, taps, bias, out);
        for (int i = 0; i < fill; i++) {
            job.store(out, i, job.y(), origin[count - 1 + i]);
        }
        shift(window);
        fill = 0;
    }

    /** Moves the last K - 1 rows of the filled window to its start. */
    private void shift(MemorySegment rows) {
        MemorySegment.copy(rows, fill * ROW_BYTES, rows, 0, (count - 1) * ROW_BYTES);
    }

    /** Gradients of one sequence and tile; those of taps and bias are written to {@code dWeight} (E, K) and {@code dBias} (E). */
    void backward(Job job, MemorySegment weight, MemorySegment biases, MemorySegment dWeight, MemorySegment dBias) {
        pack(job, weight, biases);
        for (MemorySegment s : new MemorySegment[] {windowGrad, tapGrad, biasGrad}) {
            s.fill((byte) 0);
        }
        for (int t = 0; t < job.tokens(); t++) {
            if (job.has(t, CausalConv.RESET)) {
                flushBackward(job);
                emit(job, count - 1);
                Arrays.fill(origin, 0, count - 1, NOWHERE);
                window.asSlice(0, (count - 1) * ROW_BYTES).fill((byte) 0);
                windowGrad.asSlice(0, (count - 1) * ROW_BYTES).fill((byte) 0);
            }
            if (job.has(t, CausalConv.SKIP)) {
                job.dx().zero(job.batch(), t, job.channel(), job.columns());
            } else {
                job.load(job.x(), t, window, count - 1 + fill);
                job.load(job.dy(), t, out, fill);
                origin[count - 1 + fill++] = t;
                if (fill == ROWS) {
                    flushBackward(job);
                }
            }
        }
        flushBackward(job);
        if (job.dFinalState() != null) {
            for (int i = 0; i < count - 1; i++) {
                job.dFinalState().add(job.batch(), i, job.channel(), job.columns(), windowGrad, i * ROW_BYTES);
            }
        }
        emit(job, count - 1);
        ConvRows.transposeBack(tapGrad, WIDTH, dWeight, job.channel(), job.columns(), count);
        if (dBias != null) {
            MemorySegment.copy(biasGrad, 0, dBias, (long) job.channel() * Float.BYTES, (long) job.columns() * Float.BYTES);
        }
    }

    private void flushBackward(Job job) {
        tiles.activationGradient(fill, count, job.silu(), window, taps, bias, out, biasGrad);
        tiles.backward(fill, count, window, taps, out, windowGrad, tapGrad);
        emit(job, fill);
        shift(window);
        shift(windowGrad);
        windowGrad.asSlice((count - 1) * ROW_BYTES).fill((byte) 0);
        System.arraycopy(origin, fill, origin, 0, count - 1);
        fill = 0;
    }

    /** Brings the first rows of the window's gradient, which no later token changes, to where their inputs came from. */
    private void emit(Job job, int rows) {
        for (int i = 0; i < rows; i++) {
            if (origin[i] >= 0) {
                job.store(windowGrad, i, job.dx(), origin[i]);
            } else if (origin[i] != NOWHERE) {
                job.store(windowGrad, i, job.dInitialState(), -1 - origin[i]);
            }
        }
    }
}
