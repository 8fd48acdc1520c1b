package dev.sequent.fused.conv;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Working memory of one thread, and the walk over a piece of one sequence for one tile of channels.
 *
 * <p>Tokens that are not padding are packed into a window that begins with the K - 1 inputs before them, so that the loops over the window
 * know nothing of flags. Each row of the window remembers where its gradient belongs: to token t &gt;= 0, to row -1 - i of the initial
 * state, or nowhere. A piece reads the K - 1 inputs before it, and in the backward pass also the K - 1 outputs after it, which its last
 * inputs reach; so it alone writes the gradients of its own inputs.
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
    private final MemorySegment sums;
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
        this.sums = rows(ROWS);
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

    /** What all jobs of a call share: sizes, operands and results as rows, null where absent. */
    record Call(int tokens, boolean silu, byte[] flags, MemorySegment weight, MemorySegment bias, ConvRows x, ConvRows initialState,
            ConvRows y, ConvRows finalState, ConvRows dy, ConvRows dFinalState, ConvRows dx, ConvRows dInitialState) {}

    /** The tokens {@code from <= t < to} of one sequence and a tile of channels. */
    record Job(Call call, int batch, int from, int to, int channel, int columns) {
        boolean has(int token, byte flag) {
            return call.flags != null && (call.flags[batch * call.tokens + token] & flag) != 0;
        }

        /** Tokens from {@code token} on that carry no flag, at most {@code limit}. */
        int plainTokens(int token, int limit) {
            int end = Math.min(to, token + limit);
            int t = call.flags == null ? end : token;
            while (t < end && call.flags[batch * call.tokens + t] == 0) {
                t++;
            }
            return t - token;
        }
    }

    private void load(Job job, ConvRows source, int token, int rows, MemorySegment target, int row) {
        if (job.columns() == WIDTH) {
            tiles.move(rows, source.from(job.batch(), token, job.channel()), source.tokenStride(), target.asSlice(row * ROW_BYTES), WIDTH);
        } else {
            for (int i = 0; i < rows; i++) {
                source.load(job.batch(), token + i, job.channel(), job.columns(), target, (row + i) * ROW_BYTES);
            }
        }
    }

    private void store(Job job, MemorySegment source, int row, int rows, ConvRows target, int token) {
        if (target != null && job.columns() == WIDTH) {
            tiles.move(rows, source.asSlice(row * ROW_BYTES), WIDTH, target.from(job.batch(), token, job.channel()), target.tokenStride());
        } else if (target != null) {
            for (int i = 0; i < rows; i++) {
                target.store(job.batch(), token + i, job.channel(), job.columns(), source, (row + i) * ROW_BYTES);
            }
        }
    }

    /** Number of rows from {@code row} on, below {@code end}, whose inputs were neighbours. */
    private int neighbours(int row, int end) {
        int i = row + 1;
        while (i < end && origin[row] >= 0 && origin[i] == origin[i - 1] + 1) {
            i++;
        }
        return i - row;
    }

    /** Adds plain tokens to the window. */
    private void append(Job job, int token, int rows, boolean backward) {
        load(job, job.call().x(), token, rows, window, count - 1 + fill);
        if (backward) {
            load(job, job.call().dy(), token, rows, out, fill);
        }
        for (int i = 0; i < rows; i++) {
            origin[count - 1 + fill++] = token + i;
        }
    }

    /** Packs taps (E, K), bias (E) and the inputs before the piece. Lanes beyond the last channel hold zeros. */
    private void pack(Job job) {
        Call call = job.call();
        if (job.columns() < WIDTH) {
            for (MemorySegment s : new MemorySegment[] {window, taps, bias, out}) {
                s.fill((byte) 0);
            }
        }
        ConvRows.transpose(call.weight(), job.channel(), job.columns(), count, taps, WIDTH);
        if (call.bias() == null) {
            bias.fill((byte) 0);
        } else {
            MemorySegment.copy(call.bias(), (long) job.channel() * Float.BYTES, bias, 0, (long) job.columns() * Float.BYTES);
        }
        fill = 0;
        loadBefore(job);
    }

    /** The last K - 1 inputs before the piece, of its document and without padding. Their gradients belong to the piece before. */
    private void loadBefore(Job job) {
        forget();
        int row = count - 2;
        int t = job.from() - 1;
        boolean sameDocument = true;
        for (; sameDocument && row >= 0 && t >= 0; t--) {
            if (!job.has(t, CausalConv.SKIP)) {
                load(job, job.call().x(), t, 1, window, row--);
            }
            sameDocument = !job.has(t, CausalConv.RESET);
        }
        ConvRows initial = job.call().initialState();
        if (row >= 0 && t < 0 && sameDocument && initial != null) {
            load(job, initial, count - 2 - row, row + 1, window, 0);
            for (int i = 0; job.from() == 0 && i <= row; i++) {
                origin[i] = -1 - i;
            }
        }
    }

    /** Makes the inputs before the window zeros that come from nowhere. */
    private void forget() {
        Arrays.fill(origin, 0, count - 1, NOWHERE);
        window.asSlice(0, (count - 1) * ROW_BYTES).fill((byte) 0);
    }

    void forward(Job job) {
        pack(job);
        for (int t = job.from(); t < job.to();) {
            if (job.has(t, CausalConv.RESET)) {
                flushForward(job);
                forget();
            }
            if (job.has(t, CausalConv.SKIP)) {
                job.call().y().zero(job.batch(), t, job.channel(), job.columns());
                t++;
            } else {
                int rows = Math.max(1, job.plainTokens(t, ROWS - fill));
                append(job, t, rows, false);
                t += rows;
            }
            if (fill == ROWS) {
                flushForward(job);
            }
        }
        flushForward(job);
        if (job.to() == job.call().tokens()) {
            store(job, window, 0, count - 1, job.call().finalState(), 0);
        }
    }

    private void flushForward(Job job) {
        tiles.forward(fill, count, job.call().silu(), window, taps, bias, out);
        for (int i = 0, rows; i < fill; i += rows) {
            rows = neighbours(count - 1 + i, count - 1 + fill);
            store(job, out, i, rows, job.call().y(), origin[count - 1 + i]);
        }
        shift(window);
        fill = 0;
    }

    /** Moves the last K - 1 rows of the filled window to its start. */
    private void shift(MemorySegment rows) {
        MemorySegment.copy(rows, fill * ROW_BYTES, rows, 0, (count - 1) * ROW_BYTES);
    }

    /** Gradients of one piece and tile; those of taps and bias are written to {@code dWeight} (E, K) and {@code dBias} (E). */
    void backward(Job job, MemorySegment dWeight, MemorySegment dBias) {
        pack(job);
        for (MemorySegment s : new MemorySegment[] {windowGrad, tapGrad, biasGrad}) {
            s.fill((byte) 0);
        }
        for (int t = job.from(); t < job.to();) {
            if (job.has(t, CausalConv.RESET)) {
                flushBackward(job);
                emit(job, count - 1);
                forget();
                windowGrad.asSlice(0, (count - 1) * ROW_BYTES).fill((byte) 0);
            }
            if (job.has(t, CausalConv.SKIP)) {
                job.call().dx().zero(job.batch(), t, job.channel(), job.columns());
                t++;
            } else {
                int rows = Math.max(1, job.plainTokens(t, ROWS - fill));
                append(job, t, rows, true);
                t += rows;
            }
            if (fill == ROWS) {
                flushBackward(job);
            }
        }
        flushBackward(job);
        ConvRows.transposeBack(tapGrad, WIDTH, dWeight, job.channel(), job.columns(), count);
        MemorySegment.copy(biasGrad, 0, dBias, (long) job.channel() * Float.BYTES, (long) job.columns() * Float.BYTES);
        addAfter(job);
        emit(job, count - 1);
    }

    /** Adds what the last inputs of the piece get from the outputs after it, and from the final state. */
    private void addAfter(Job job) {
        int t = job.to();
        int outputs = 0;
        while (t < job.call().tokens() && outputs < count - 1 && !job.has(t, CausalConv.RESET)) {
            if (!job.has(t, CausalConv.SKIP)) {
                append(job, t, 1, true);
                origin[count - 2 + fill] = NOWHERE;
                outputs++;
            }
            if (fill == ROWS) {
                flushBackward(job);
            }
            t++;
        }
        flushBackward(job);
        if (t == job.call().tokens() && job.call().dFinalState() != null) {
            for (int i = 0; i < count - 1; i++) {
                job.call().dFinalState().add(job.batch(), i, job.channel(), job.columns(), windowGrad, i * ROW_BYTES);
            }
        }
    }

    private void flushBackward(Job job) {
        tiles.activationGradient(fill, count, job.call().silu(), window, taps, bias, sums, out, biasGrad);
        tiles.backward(fill, count, window, taps, out, windowGrad, tapGrad);
        emit(job, fill);
        shift(window);
        shift(windowGrad);
        windowGrad.asSlice((count - 1) * ROW_BYTES).fill((byte) 0);
        System.arraycopy(origin, fill, origin, 0, count - 1);
        fill = 0;
    }

    /** Brings the first rows of the window's gradient, which no later token changes, to where their inputs came from. */
    private void emit(Job job, int end) {
        for (int i = 0, rows; i < end; i += rows) {
            rows = neighbours(i, end);
            if (origin[i] >= 0) {
                store(job, windowGrad, i, rows, job.call().dx(), origin[i]);
            } else if (origin[i] != NOWHERE) {
                store(job, windowGrad, i, rows, job.call().dInitialState(), -1 - origin[i]);
            }
        }
    }
}
