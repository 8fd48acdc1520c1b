package dev.sequent.ssm.s4;

import dev.sequent.mixer.SequenceInfo;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The diagonal scan on native memory, F32, forward and backward: linear in the number of tokens. {@link DiagonalStepCpu} has the same
 * recurrence for one token.
 *
 * <p>A task is a sequence and a block of channels; it walks over the tokens in tiles, and within a tile over quads of pairs, see
 * {@link DiagonalTiles}. Where that makes fewer tasks than there are threads, quads become tasks of their own, whose shares are added up
 * afterwards, in the order in which one task would have added them: results do not depend on the number of threads. The backward pass keeps
 * one state for {@link #CHUNK} tokens, and runs the recurrence of a chunk again before its adjoint.
 *
 * <p>Thread-safe. Working memory belongs to the threads of the pool and is reused.
 */
final class DiagonalScanCpu {
    /** Tokens of a tile, and between saved states. */
    static final int CHUNK = 64;

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int QUAD = DiagonalTiles.QUAD;
    /** Elements of the shares of quads that are kept at a time: 16 MB. */
    private static final long SHARES = 1 << 22;
    /** Tokens whose shares one task adds up. */
    private static final int SUM_ROWS = 256;

    private final Parallel pool;
    private final DiagonalTiles tiles;
    private final int width;
    private final ThreadLocal<DiagonalScratch> scratch;

    DiagonalScanCpu(Parallel pool, DiagonalTiles tiles) {
        this.pool = pool;
        this.tiles = tiles;
        this.width = tiles.width();
        this.scratch = ThreadLocal.withInitial(() -> new DiagonalScratch(CHUNK, tiles.width()));
    }

    /** Sizes in blocks. */
    private final class Plan {
        final DiagonalShape shape;
        final int blocks;
        final int quads;
        final int chunks;
        /** Length of an array of coefficients of one block. */
        final int count;
        /** Floats of the state of one block. */
        final int state;
        /** Whether quads are tasks of their own. */
        final boolean isSplit;
        /** Tokens that are scanned before shares are added up. */
        final int window;

        Plan(DiagonalShape shape) {
            this.shape = shape;
            blocks = Math.ceilDiv(shape.channels(), width);
            quads = Math.ceilDiv(shape.pairs(), QUAD);
            chunks = Math.ceilDiv(shape.tokens(), CHUNK);
            count = quads * QUAD * width;
            state = 2 * count;
            isSplit = quads > 1 && rows() < pool.threads() && chunks > 1;
            long fitting = SHARES / ((long) rows() * quads * width) / CHUNK * CHUNK;
            window = isSplit ? (int) Math.clamp(fitting, CHUNK, (long) chunks * CHUNK) : shape.tokens();
        }

        /** Pairs of a sequence and a block. */
        int rows() {
            return shape.batch() * blocks;
        }

        int columns(int block) {
            return Math.min(width, shape.channels() - block * width);
        }

        long coefficients() {
            return (long) blocks * DiagonalTiles.FIELDS * count;
        }

        long shares() {
            return isSplit ? (long) rows() * quads * Math.min(window, chunks * CHUNK) * width : 0;
        }

        MemorySegment fields(MemorySegment memory, int block) {
            return part(memory, (long) block * DiagonalTiles.FIELDS * count, (long) DiagonalTiles.FIELDS * count);
        }

        MemorySegment state(MemorySegment memory, int row) {
            return part(memory, (long) row * state, state);
        }

        /** The state of a block before a chunk, behind the coefficients. */
        MemorySegment saved(MemorySegment memory, int row, int chunk) {
            return part(memory, coefficients() + ((long) row * chunks + chunk) * state, state);
        }

        /** Shares of a quad in the results of a window. */
        MemorySegment share(MemorySegment memory, int row, int quad) {
            return part(memory, ((long) row * quads + quad) * window * width, (long) window * width);
        }

        /** Sums of a sequence and a block: those of {@link DiagonalTiles}, and behind them the gradient of D. */
        MemorySegment sums(MemorySegment memory, int row) {
            long size = (long) DiagonalTiles.SUMS * count + width;
            return part(memory, row * size, size);
        }
    }

    static MemorySegment part(MemorySegment memory, long start, long floats) {
        return memory.asSlice(start * Float.BYTES, floats * Float.BYTES);
    }

    /** F32 elements that {@link #forward} keeps for {@link #backward}: coefficients and, when {@code save}, states. */
    long savedFloats(DiagonalShape shape, boolean save) {
        Plan p = new Plan(shape);
        return p.coefficients() + (save ? (long) p.rows() * p.chunks * p.state : 0);
    }

    /** F32 elements of the working memory of {@link #forward}. */
    long forwardFloats(DiagonalShape shape) {
        Plan p = new Plan(shape);
        return (long) p.rows() * p.state + p.shares();
    }

    /** F32 elements of the working memory of {@link #backward}. */
    long backwardFloats(DiagonalShape shape) {
        Plan p = new Plan(shape);
        return p.rows() * (p.state * 2L + (long) DiagonalTiles.SUMS * p.count + width) + p.shares();
    }

    /**
     * Runs the scan.
     *
     * @param y receives the output, (B, T, E)
     * @param stateRe receives the real part of the state after the last token, (B, E, P)
     * @param stateIm receives its imaginary part
     * @param saved receives {@link #savedFloats} elements
     * @param save whether states are to be saved
     * @param memory {@link #forwardFloats} elements, overwritten
     */
    void forward(DiagonalInputs in, MemorySegment y, MemorySegment stateRe, MemorySegment stateIm, MemorySegment saved, boolean save,
            MemorySegment memory) {
        Plan p = new Plan(in.shape());
        pool.forEach(p.blocks, block -> discretise(in, p, p.fields(saved, block), block));
        MemorySegment states = part(memory, 0, (long) p.rows() * p.state);
        MemorySegment shares = part(memory, (long) p.rows() * p.state, p.shares());
        int tasks = p.isSplit ? p.quads : 1;
        for (int from = 0; from < in.shape().tokens(); from += p.window) {
            int start = from;
            int end = Math.min(in.shape().tokens(), from + p.window);
            pool.forEach(p.rows() * tasks, task -> {
                int row = task / tasks;
                int first = p.isSplit ? task % tasks : 0;
                int last = p.isSplit ? first + 1 : p.quads;
                if (start == 0) {
                    loadState(in, p, saved, row, first, last, states);
                }
                for (int t = start; t < end; t += CHUNK) {
                    int rows = Math.min(CHUNK, end - t);
                    MemorySegment share = p.isSplit ? part(p.share(shares, row, first), (t - start) * width, rows * width) : null;
                    forwardTile(in, p, saved, save, row, first, last, t, rows, states, y, share);
                }
                if (end == in.shape().tokens()) {
                    storeState(p, saved, row, first, last, states, stateRe, stateIm);
                }
            });
            if (p.isSplit) {
                addShares(in, p, in.u(), shares, start, end, y);
            }
        }
    }

    private void discretise(DiagonalInputs in, Plan p, MemorySegment fields, int block) {
        int pairs = in.shape().pairs();
        fields.fill((byte) 0);
        for (int j = 0; j < p.columns(block); j++) {
            int channel = block * width + j;
            float step = in.logStep().getAtIndex(F32, channel);
            for (int n = 0; n < pairs; n++) {
                long source = (long) channel * pairs + n;
                int i = n * width + j;
                fields.setAtIndex(F32, DiagonalTiles.STEP * p.count + i, step);
                fields.setAtIndex(F32, DiagonalTiles.S_RE * p.count + i, in.logDecay().getAtIndex(F32, source));
                fields.setAtIndex(F32, DiagonalTiles.S_IM * p.count + i, in.frequency().getAtIndex(F32, source));
                fields.setAtIndex(F32, DiagonalTiles.C_RE * p.count + i, in.c().getAtIndex(F32, 2 * source));
                fields.setAtIndex(F32, DiagonalTiles.C_IM * p.count + i, in.c().getAtIndex(F32, 2 * source + 1));
            }
        }
        for (int i = 0; i < p.count; i += width) { // a vector a call: called once for a block, the loop would long stay interpreted
            tiles.discretise(fields, p.count, i, i + width, in.bilinear());
        }
        // pairs that fill up the last quad contribute nothing
        for (int field = DiagonalTiles.A_RE; field <= DiagonalTiles.W_IM; field++) {
            part(fields, (long) field * p.count + pairs * width, p.count - pairs * width).fill((byte) 0);
        }
    }

    private void forwardTile(DiagonalInputs in, Plan p, MemorySegment saved, boolean save, int row, int first, int last, int token,
            int rows, MemorySegment states, MemorySegment y, MemorySegment share) {
        DiagonalScratch s = scratch.get();
        int b = row / p.blocks;
        int block = row % p.blocks;
        MemorySegment fields = p.fields(saved, block);
        MemorySegment state = p.state(states, row);
        load(in.u(), p, b, block, token, rows, s.u);
        MemorySegment out = share == null ? s.out : share;
        start(in, p, block, s.u, rows, share == null, s.skip, out);
        if (save) {
            long at = (long) first * 2 * QUAD * width * Float.BYTES;
            MemorySegment.copy(state, at, p.saved(saved, row, token / CHUNK), at, (last - first) * 2L * QUAD * width * Float.BYTES);
        }
        for (int quad = first; quad < last; quad++) {
            for (int from = 0, to; from < rows; from = to) {
                to = in.runEnd(b, token + from, token + rows) - token;
                if (in.has(b, token + from, SequenceInfo.RESET)) {
                    quadState(state, quad).fill((byte) 0);
                }
                if (!in.has(b, token + from, SequenceInfo.SKIP)) {
                    tiles.scan(fields, p.count, quad, state, s.u, out, from, to);
                }
            }
        }
        if (share == null) {
            store(in, s.out, p, b, block, token, rows, y);
        }
    }

    /**
     * What shares are added to: D times the input (or output gradient) where they go straight to the result, else nothing, so that only
     * they are kept.
     */
    private void start(DiagonalInputs in, Plan p, int block, MemorySegment source, int rows, boolean isResult, MemorySegment skip,
            MemorySegment target) {
        if (isResult) {
            loadSkip(in, p, block, skip);
            tiles.scale(source, skip, rows, target);
        } else {
            fillNothing(target, rows * width);
        }
    }

    /** Minus zero, because x + -0 is x for every x. */
    private static void fillNothing(MemorySegment target, int count) {
        for (int i = 0; i < count; i++) {
            target.setAtIndex(F32, i, -0f);
        }
    }

    private void loadSkip(DiagonalInputs in, Plan p, int block, MemorySegment skip) {
        skip.fill((byte) 0);
        MemorySegment.copy(in.skip(), (long) block * width * Float.BYTES, skip, 0, (long) p.columns(block) * Float.BYTES);
    }

    private MemorySegment quadState(MemorySegment state, int quad) {
        return part(state, (long) quad * 2 * QUAD * width, 2L * QUAD * width);
    }

    private static long element(Plan p, int b, int block, int token, int width) {
        return ((long) b * p.shape.tokens() + token) * p.shape.channels() + (long) block * width;
    }

    /** Copies rows of a block, padded with zeros at the end of the channels. */
    private void load(MemorySegment source, Plan p, int b, int block, int token, int rows, MemorySegment target) {
        int channels = p.shape.channels();
        int columns = p.columns(block);
        MemorySegment from = part(source, element(p, b, block, token, width), (rows - 1L) * channels + columns);
        if (columns == width) {
            tiles.gather(from, channels, rows, target);
            return;
        }
        part(target, 0, (long) rows * width).fill((byte) 0);
        for (int t = 0; t < rows; t++) {
            MemorySegment.copy(from, (long) t * channels * Float.BYTES, target, (long) t * width * Float.BYTES,
                    (long) columns * Float.BYTES);
        }
    }

    /** Writes rows of a block; zeros where tokens are skipped. */
    private void store(DiagonalInputs in, MemorySegment source, Plan p, int b, int block, int token, int rows, MemorySegment target) {
        zeroSkipped(in, b, token, rows, source);
        int channels = p.shape.channels();
        int columns = p.columns(block);
        MemorySegment to = part(target, element(p, b, block, token, width), (rows - 1L) * channels + columns);
        if (columns == width) {
            tiles.scatter(source, rows, to, channels);
            return;
        }
        for (int t = 0; t < rows; t++) {
            MemorySegment.copy(source, (long) t * width * Float.BYTES, to, (long) t * channels * Float.BYTES, (long) columns * Float.BYTES);
        }
    }

    private void zeroSkipped(DiagonalInputs in, int b, int token, int rows, MemorySegment tile) {
        for (int t = 0; in.flags() != null && t < rows; t++) {
            if (in.has(b, token + t, SequenceInfo.SKIP)) {
                part(tile, (long) t * width, width).fill((byte) 0);
            }
        }
    }

    /** target = D source + the shares of the quads, in ascending order. */
    private void addShares(DiagonalInputs in, Plan p, MemorySegment source, MemorySegment shares, int start, int end,
            MemorySegment target) {
        int pieces = Math.ceilDiv(end - start, SUM_ROWS);
        pool.forEach(p.rows() * pieces, task -> {
            DiagonalScratch s = scratch.get();
            int row = task / pieces;
            int from = start + task % pieces * SUM_ROWS;
            int to = Math.min(end, from + SUM_ROWS);
            loadSkip(in, p, row % p.blocks, s.skip);
            for (int t = from; t < to; t += CHUNK) {
                int rows = Math.min(CHUNK, to - t);
                load(source, p, row / p.blocks, row % p.blocks, t, rows, s.u);
                tiles.scale(s.u, s.skip, rows, s.out);
                for (int quad = 0; quad < p.quads; quad++) {
                    tiles.add(part(p.share(shares, row, quad), (long) (t - start) * width, (long) rows * width), rows, s.out);
                }
                store(in, s.out, p, row / p.blocks, row % p.blocks, t, rows, target);
            }
        });
    }

    /** The initial state over b. */
    private void loadState(DiagonalInputs in, Plan p, MemorySegment coefficients, int row, int first, int last, MemorySegment states) {
        MemorySegment state = p.state(states, row);
        for (int quad = first; quad < last; quad++) {
            quadState(state, quad).fill((byte) 0);
        }
        if (in.stateRe() != null) {
            divide(in.stateRe(), in.stateIm(), p, p.fields(coefficients, row % p.blocks), DiagonalTiles.B_RE, 1, row, first, last, state);
        }
    }

    /** Fills a packed state with a (B, E, P) tensor over b, or over the conjugate of 2 c. */
    private void divide(MemorySegment re, MemorySegment im, Plan p, MemorySegment fields, int divisor, int sign, int row, int first,
            int last, MemorySegment state) {
        for (int j = 0; j < p.columns(row % p.blocks); j++) {
            long start = stateElement(p, row, j);
            for (int n = first * QUAD; n < Math.min(last * QUAD, p.shape.pairs()); n++) {
                float xr = re == null ? 0 : re.getAtIndex(F32, start + n);
                float xi = im == null ? 0 : im.getAtIndex(F32, start + n);
                double dr = fields.getAtIndex(F32, divisor * p.count + n * width + j);
                double di = sign * fields.getAtIndex(F32, (divisor + 1) * p.count + n * width + j);
                double norm = dr * dr + di * di;
                state.setAtIndex(F32, 2 * n * width + j, (float) ((xr * dr + xi * di) / norm));
                state.setAtIndex(F32, (2 * n + 1) * width + j, (float) ((xi * dr - xr * di) / norm));
            }
        }
    }

    /** Writes a packed state times b, or times the conjugate of 2 c, to a (B, E, P) tensor. */
    private void multiply(MemorySegment state, Plan p, MemorySegment fields, int factor, int sign, int row, int first, int last,
            MemorySegment re, MemorySegment im) {
        for (int j = 0; j < p.columns(row % p.blocks); j++) {
            long start = stateElement(p, row, j);
            for (int n = first * QUAD; n < Math.min(last * QUAD, p.shape.pairs()); n++) {
                float xr = state.getAtIndex(F32, 2 * n * width + j);
                float xi = state.getAtIndex(F32, (2 * n + 1) * width + j);
                float fr = fields.getAtIndex(F32, factor * p.count + n * width + j);
                float fi = sign * fields.getAtIndex(F32, (factor + 1) * p.count + n * width + j);
                re.setAtIndex(F32, start + n, xr * fr - xi * fi);
                im.setAtIndex(F32, start + n, xr * fi + xi * fr);
            }
        }
    }

    private long stateElement(Plan p, int row, int column) {
        return ((long) (row / p.blocks) * p.shape.channels() + (long) (row % p.blocks) * width + column) * p.shape.pairs();
    }

    private void storeState(Plan p, MemorySegment coefficients, int row, int first, int last, MemorySegment states, MemorySegment re,
            MemorySegment im) {
        multiply(p.state(states, row), p, p.fields(coefficients, row % p.blocks), DiagonalTiles.B_RE, 1, row, first, last, re, im);
    }

    /**
     * Runs the gradients of {@link #forward}.
     *
     * @param saved what the forward pass on the same operands saved
     * @param dy gradient of the output, (B, T, E)
     * @param dRe gradient of the final state's real part, (B, E, P), or null for zeros
     * @param dIm gradient of its imaginary part
     * @param out receives the gradients
     * @param memory {@link #backwardFloats} elements, overwritten
     */
    void backward(DiagonalInputs in, MemorySegment saved, MemorySegment dy, MemorySegment dRe, MemorySegment dIm, DiagonalGradients out,
            MemorySegment memory) {
        Plan p = new Plan(in.shape());
        long stateFloats = (long) p.rows() * p.state;
        long sumFloats = p.rows() * ((long) DiagonalTiles.SUMS * p.count + width);
        Working w = new Working(part(memory, 0, stateFloats), part(memory, stateFloats, stateFloats), part(memory, 2 * stateFloats,
                sumFloats), part(memory, 2 * stateFloats + sumFloats, p.shares()));
        w.sums.fill((byte) 0);
        int tasks = p.isSplit ? p.quads : 1;
        int windows = Math.ceilDiv(in.shape().tokens(), p.window);
        for (int window = windows - 1; window >= 0; window--) {
            int start = window * p.window;
            int end = Math.min(in.shape().tokens(), start + p.window);
            pool.forEach(p.rows() * tasks, task -> {
                int row = task / tasks;
                int first = p.isSplit ? task % tasks : 0;
                int last = p.isSplit ? first + 1 : p.quads;
                if (end == in.shape().tokens()) {
                    loadCarry(p, saved, row, first, last, dRe, dIm, w.carries);
                }
                for (int chunk = (end - 1) / CHUNK; chunk >= start / CHUNK; chunk--) {
                    int token = chunk * CHUNK;
                    int rows = Math.min(CHUNK, end - token);
                    backwardTile(in, p, saved, dy, row, first, last, token, rows, w, out.u(),
                            p.isSplit ? part(p.share(w.shares, row, first), (token - start) * width, rows * width) : null);
                }
                if (start == 0 && out.stateRe() != null) {
                    multiply(p.state(w.carries, row), p, p.fields(saved, row % p.blocks), DiagonalTiles.C_RE, -1, row, first, last,
                            out.stateRe(), out.stateIm());
                }
            });
            if (p.isSplit) {
                addShares(in, p, dy, w.shares, start, end, out.u());
            }
        }
        pool.forEach(p.blocks, block -> parameterGradients(in, p, saved, block, w.sums, out));
    }

    /** Working memory of the backward pass: states, what the adjoint carries, sums over the tokens, and shares of the quads. */
    private record Working(MemorySegment states, MemorySegment carries, MemorySegment sums, MemorySegment shares) {}

    /** The derivative by the final state over the conjugate of 2 c. */
    private void loadCarry(Plan p, MemorySegment coefficients, int row, int first, int last, MemorySegment dRe, MemorySegment dIm,
            MemorySegment carries) {
        MemorySegment carry = p.state(carries, row);
        for (int quad = first; quad < last; quad++) {
            quadState(carry, quad).fill((byte) 0);
        }
        if (dRe != null || dIm != null) {
            divide(dRe, dIm, p, p.fields(coefficients, row % p.blocks), DiagonalTiles.C_RE, -1, row, first, last, carry);
        }
    }

    private void backwardTile(DiagonalInputs in, Plan p, MemorySegment saved, MemorySegment dy, int row, int first, int last, int token,
            int rows, Working w, MemorySegment du, MemorySegment share) {
        DiagonalScratch s = scratch.get();
        int b = row / p.blocks;
        int block = row % p.blocks;
        MemorySegment fields = p.fields(saved, block);
        MemorySegment state = p.state(w.states, row);
        MemorySegment before = p.saved(saved, row, token / CHUNK);
        MemorySegment carry = p.state(w.carries, row);
        MemorySegment sums = p.sums(w.sums, row);
        load(in.u(), p, b, block, token, rows, s.u);
        load(dy, p, b, block, token, rows, s.dy);
        zeroSkipped(in, b, token, rows, s.dy);
        MemorySegment out = share == null ? s.out : share;
        start(in, p, block, s.dy, rows, share == null, s.skip, out);
        for (int quad = first; quad < last; quad++) {
            quadState(state, quad).copyFrom(quadState(before, quad));
            replay(in, p, b, fields, quad, state, s, sums, token, rows);
            reverse(in, p, b, fields, quad, carry, s, sums, out, token, rows);
        }
        if (first == 0) {
            tiles.addProducts(s.u, s.dy, rows, part(sums, (long) DiagonalTiles.SUMS * p.count, width));
        }
        if (share == null) {
            store(in, s.out, p, b, block, token, rows, du);
        }
    }

    private void replay(DiagonalInputs in, Plan p, int b, MemorySegment fields, int quad, MemorySegment state, DiagonalScratch s,
            MemorySegment sums, int token, int rows) {
        for (int from = 0, to; from < rows; from = to) {
            to = in.runEnd(b, token + from, token + rows) - token;
            if (in.has(b, token + from, SequenceInfo.RESET)) {
                quadState(state, quad).fill((byte) 0);
            }
            if (!in.has(b, token + from, SequenceInfo.SKIP)) {
                tiles.replay(fields, p.count, quad, state, s.u, s.dy, s.history, sums, from, to);
            }
        }
    }

    private void reverse(DiagonalInputs in, Plan p, int b, MemorySegment fields, int quad, MemorySegment carry, DiagonalScratch s,
            MemorySegment sums, MemorySegment out, int token, int rows) {
        for (int to = rows, from; to > 0; to = from) {
            from = in.runStart(b, token + to, token) - token;
            if (!in.has(b, token + from, SequenceInfo.SKIP)) {
                tiles.reverse(fields, p.count, quad, carry, s.u, s.dy, s.history, sums, out, from, to);
            }
            if (in.has(b, token + from, SequenceInfo.RESET)) {
                quadState(carry, quad).fill((byte) 0);
            }
        }
    }

    /** Adds the sums of all sequences up, in ascending order, and writes the derivatives by the parameters of a block. */
    private void parameterGradients(DiagonalInputs in, Plan p, MemorySegment saved, int block, MemorySegment allSums,
            DiagonalGradients out) {
        MemorySegment sums = p.sums(allSums, block);
        int vectors = (DiagonalTiles.SUMS * p.count + width) / width;
        for (int b = 1; b < in.shape().batch(); b++) {
            tiles.add(p.sums(allSums, b * p.blocks + block), vectors, sums);
        }
        tiles.parameterGradients(p.fields(saved, block), p.count, in.bilinear(), sums);
        int pairs = in.shape().pairs();
        for (int j = 0; j < p.columns(block); j++) {
            int channel = block * width + j;
            float step = 0;
            for (int n = 0; n < pairs; n++) {
                long target = (long) channel * pairs + n;
                int i = n * width + j;
                step += sums.getAtIndex(F32, DiagonalTiles.GRAD_STEP * p.count + i);
                out.logDecay().setAtIndex(F32, target, sums.getAtIndex(F32, DiagonalTiles.GRAD_DECAY * p.count + i));
                out.frequency().setAtIndex(F32, target, sums.getAtIndex(F32, DiagonalTiles.GRAD_FREQUENCY * p.count + i));
                out.c().setAtIndex(F32, 2 * target, sums.getAtIndex(F32, DiagonalTiles.GRAD_C_RE * p.count + i));
                out.c().setAtIndex(F32, 2 * target + 1, sums.getAtIndex(F32, DiagonalTiles.GRAD_C_IM * p.count + i));
            }
            out.logStep().setAtIndex(F32, channel, step);
            out.skip().setAtIndex(F32, channel, sums.getAtIndex(F32, DiagonalTiles.SUMS * p.count + j));
        }
    }
}
