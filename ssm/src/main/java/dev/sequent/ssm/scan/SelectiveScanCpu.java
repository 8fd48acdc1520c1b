package dev.sequent.ssm.scan;

import dev.sequent.fused.Simd;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.LongFunction;

/**
 * The selective scan of Mamba-1 on native memory, F32, forward and backward.
 *
 * <pre>{@code
 * step_t = softplus(delta_t + deltaBias)                     (or delta_t + deltaBias)
 * h_t    = exp(step_t A) h_{t-1} + step_t B_t u_t             (E, N)
 * y_t    = (<C_t, h_t> + D u_t) SiLU(z_t)                     (E)
 * }</pre>
 *
 * <p>A task is a sequence and a group of blocks of channels; it walks over the tokens in tiles whose operands stay in the first-level
 * cache, with the state and A packed so that lanes are channels. The backward pass keeps no activations but a state for every
 * {@link #chunk} tokens: it walks backward over the chunks, runs the recurrence of a chunk again into cache, and then its adjoint.
 * Where there are fewer groups than threads, tasks share the states too, see {@link ScanWaves}.
 * Sums over channels, sequences and tokens are taken in an order that depends on the sizes only, so results do not depend on
 * the number of threads.
 *
 * <p>Thread-safe. Working memory belongs to the threads of the pool and is reused.
 *
 * @see <a href="https://arxiv.org/abs/2312.00752">Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces</a>
 */
public final class SelectiveScanCpu {
    /** What the most loaded thread may have to do beyond the least possible, so that tasks are longer. */
    private static final double IMBALANCE = 1.05;
    /** Number of blocks from which on the gradients of B and C are first summed over two blocks. */
    private static final int MANY_BLOCKS = 16;
    /** Elements of the state below which a single token is not worth waking other threads. */
    private static final int PARALLEL_STEP = 1 << 16;

    private final Parallel pool;
    private final ScanTiles tiles;
    private final LongFunction<MemorySegment> allocator;
    private final ThreadLocal<ScanScratch> forwardScratch = new ThreadLocal<>();
    private final ThreadLocal<ScanScratch> backwardScratch = new ThreadLocal<>();

    SelectiveScanCpu(Parallel pool, ScanTiles tiles, LongFunction<MemorySegment> allocator) {
        this.pool = pool;
        this.tiles = tiles;
        this.allocator = allocator;
    }

    /** Kernels on a pool, with vector instructions if wanted and where this process has them. */
    public static SelectiveScanCpu on(Parallel pool, boolean vectorised) {
        ScanTiles tiles = Simd.choose(vectorised, () -> new VectorScanTiles(), () -> new ScalarScanTiles());
        return new SelectiveScanCpu(pool, tiles, ScanScratch::allocate);
    }

    /** Tokens between saved states: a tile of the backward pass, which fits in the second-level cache. */
    public static int chunk(int states) {
        return states <= 32 ? 32 : states <= 64 ? 16 : 8;
    }

    /** Tokens of a tile of the forward pass; divides the chunk. */
    private static int tile(int states) {
        return Math.min(16, chunk(states));
    }

    /** F32 elements of the states that {@link #forward} saves for {@link #backward}. */
    public long savedFloats(ScanShape shape) {
        return (long) shape.batch() * chunks(shape) * blocks(shape) * shape.states() * tiles.width();
    }

    /** F32 elements of the working memory that {@link #backward} is given. */
    public long workspaceFloats(ScanShape shape) {
        return new ScanWorkspace(shape, groups(shape)).floats();
    }

    /**
     * Runs the scan.
     *
     * @param y receives the output, (B, T, E)
     * @param finalState receives the state after the last token, (B, E, N), or null
     * @param saved receives {@link #savedFloats} elements for {@link #backward}, or null
     */
    public void forward(ScanInputs in, ScanRows y, MemorySegment finalState, MemorySegment saved) {
        ScanShape shape = in.shape();
        if (shape.tokens() == 1 && saved == null) {
            step(in, y, finalState);
            return;
        }
        ScanWaves waves = finalState == null ? ScanWaves.whole(shape) : ScanWaves.of(shape, shape.batch() * groups(shape), pool.threads());
        forEach(shape, waves, (part, window) -> {
            int start = window * waves.window();
            forwardTask(in, y, finalState, saved, part, start, Math.min(shape.tokens(), start + waves.window()));
        });
    }

    /**
     * Some blocks of channels and states of a sequence.
     *
     * @param batch the sequence
     * @param first the first block
     * @param last end of the blocks
     * @param states which states
     */
    private record Part(int batch, int first, int last, StateRange states) {}

    private interface PartBody {
        void run(Part part, int window);
    }

    private void forEach(ScanShape shape, ScanWaves waves, PartBody body) {
        int size = waves.isSplit() ? groupBlocks(shape) : taskBlocks(shape);
        int tasks = Math.ceilDiv(blocks(shape), size);
        waves.forEach(pool, shape.batch() * tasks, shape.states(), (row, from, to, window) -> {
            int first = row % tasks * size;
            int last = Math.min(blocks(shape), first + size);
            body.run(new Part(row / tasks, first, last, new StateRange(from, to, shape.states())), window);
        });
    }

    /**
     * Runs the gradients of {@link #forward}.
     *
     * @param saved what the forward pass on the same operands saved
     * @param dy gradient of the output, (B, T, E)
     * @param dFinalState gradient of the final state, (B, E, N), or null for zero
     * @param out receives the gradients
     * @param memory {@link #workspaceFloats} elements, overwritten
     */
    public void backward(ScanInputs in, MemorySegment saved, ScanRows dy, MemorySegment dFinalState, ScanGradients out,
            MemorySegment memory) {
        ScanShape shape = in.shape();
        ScanWorkspace workspace = new ScanWorkspace(shape, groups(shape));
        ScanWaves waves = ScanWaves.of(shape, shape.batch() * groups(shape), pool.threads());
        forEach(shape, waves, (part, window) -> {
            int start = (waves.windows() - 1 - window) * waves.window();
            int end = Math.min(shape.tokens(), start + waves.window());
            backwardTask(in, saved, dy, dFinalState, out, memory, workspace, part, start, end);
        });
        workspace.reduce(pool, tiles.rowMath(), memory, out);
    }

    private int blocks(ScanShape shape) {
        return Math.ceilDiv(shape.channels(), tiles.width());
    }

    private static int chunks(ScanShape shape) {
        return Math.ceilDiv(shape.tokens(), chunk(shape.states()));
    }

    /** Blocks whose shares of the gradients of B and C are summed at once. Depends on the sizes only, as the order of sums must. */
    private int groupBlocks(ScanShape shape) {
        return shape.batch() * blocks(shape) < MANY_BLOCKS ? 1 : 2;
    }

    private int groups(ScanShape shape) {
        return Math.ceilDiv(blocks(shape), groupBlocks(shape));
    }

    /**
     * Blocks of a task, whole groups: as many as balance permits, because neighbouring blocks in one task mean longer runs through
     * memory, which the processor fetches ahead.
     */
    private int taskBlocks(ScanShape shape) {
        int groups = groups(shape);
        int least = load(shape, 1);
        int size = groups;
        while (size > 1 && load(shape, size) > IMBALANCE * least) {
            size = Math.min(size - 1, Math.ceilDiv(groups, Math.ceilDiv(groups, size) + 1));
        }
        return groupBlocks(shape) * size;
    }

    /** Groups that the most loaded thread gets in tasks of {@code size} groups. */
    private int load(ScanShape shape, int size) {
        return Math.ceilDiv(shape.batch() * Math.ceilDiv(groups(shape), size), pool.threads()) * size;
    }

    private ScanScratch scratch(ThreadLocal<ScanScratch> owner, int rows, ScanShape shape, boolean backward) {
        ScanScratch s = owner.get();
        int blocks = taskBlocks(shape);
        if (s == null || !s.fits(rows, shape.states(), tiles.width(), blocks, backward)) {
            s = new ScanScratch(allocator, rows, shape.states(), tiles.width(), tiles.lanes(), blocks, backward);
            owner.set(s);
        }
        return s;
    }

    private MemorySegment savedState(MemorySegment saved, ScanShape shape, int batch, int chunk, int block) {
        long size = (long) shape.states() * tiles.width();
        long index = ((long) batch * chunks(shape) + chunk) * blocks(shape) + block;
        return saved.asSlice(index * size * Float.BYTES, size * Float.BYTES);
    }

    private ScanLayout.Tile tile(ScanShape shape, int batch, int token, int rows, int block, int blocks) {
        return new ScanLayout.Tile(shape, batch, token, rows, block * tiles.width(), blocks * tiles.width());
    }

    /** Packs what a task needs of the operands of its blocks. */
    private void pack(ScanInputs in, ScanScratch s, Part part, MemorySegment state) {
        for (int block = part.first(); block < part.last(); block++) {
            int index = block - part.first();
            int channel = block * tiles.width();
            s.select(index, index);
            s.largestA(index, ScanLayout.pack(in, s, tiles.width(), block));
            ScanLayout.loadVector(in.deltaBias(), s.bias(index), in.shape(), channel);
            ScanLayout.loadVector(in.skip(), s.skip, in.shape(), channel);
            ScanLayout.loadState(state, s.state, in.shape(), tiles.width(), part.batch(), block, part.states());
        }
    }

    private void forwardTask(ScanInputs in, ScanRows y, MemorySegment finalState, MemorySegment saved, Part part, int start, int end) {
        ScanShape shape = in.shape();
        int tile = tile(shape.states());
        ScanScratch s = scratch(forwardScratch, tile, shape, false);
        pack(in, s, part, start == 0 ? in.initialState() : finalState);
        for (int t = start; t < end; t += tile) {
            int rows = Math.min(tile, end - t);
            ScanLayout.copyRows(in.b(), part.batch(), t, rows, shape.states(), s.b);
            ScanLayout.copyRows(in.c(), part.batch(), t, rows, shape.states(), s.c);
            for (int block = part.first(); block < part.last(); block += ScanScratch.PANEL) {
                forwardPanel(in, y, saved, s, part, block, Math.min(part.last(), block + ScanScratch.PANEL), t, rows);
            }
        }
        for (int block = part.first(); finalState != null && block < part.last(); block++) {
            s.select(block - part.first(), block - part.first());
            ScanLayout.storeState(s.state, finalState, shape, tiles.width(), part.batch(), block, part.states());
        }
    }

    private void forwardPanel(ScanInputs in, ScanRows y, MemorySegment saved, ScanScratch s, Part part, int first, int last, int token,
            int rows) {
        ScanLayout.Tile panel = tile(in.shape(), part.batch(), token, rows, first, last - first);
        int chunk = chunk(in.shape().states());
        boolean isGated = in.z() != null && part.states().isLast();
        s.select(first - part.first(), first - part.first());
        activateSteps(in, s, panel);
        for (int block = first; block < last; block++) {
            int index = block - part.first();
            s.select(index, first - part.first());
            if (saved != null && token % chunk == 0) {
                saveStates(s.state, savedState(saved, in.shape(), part.batch(), token / chunk, block), part.states());
            }
            forwardTile(in, y, s, tile(in.shape(), part.batch(), token, rows, block, 1), part.states(), isGated, s.largestA(index));
        }
        if (isGated) {
            panel.load(in.z(), s.gates, s.stride);
            tiles.gate(s, rows, panel.width());
            for (int t = 0; t < rows; t++) {
                if (panel.has(in.flags(), t, ScanInputs.SKIP)) {
                    zeroRow(s.outs, s.stride, t, panel.width());
                }
            }
            panel.store(s.outs, s.stride, y);
        }
    }

    private static boolean isActivated(ScanInputs in) {
        return in.softplus() || in.deltaBias() != null;
    }

    private void activateSteps(ScanInputs in, ScanScratch s, ScanLayout.Tile panel) {
        if (isActivated(in)) {
            panel.load(in.delta(), s.steps, s.stride);
            if (in.softplus()) {
                tiles.softplusSteps(s, panel.rows(), panel.width());
            } else {
                tiles.plainSteps(s, panel.rows(), panel.width());
            }
        }
    }

    private static void zeroRow(MemorySegment rows, long stride, int row, int columns) {
        rows.asSlice(row * stride * Float.BYTES, (long) columns * Float.BYTES).fill((byte) 0);
    }

    private void saveStates(MemorySegment state, MemorySegment target, StateRange range) {
        long row = (long) tiles.width() * Float.BYTES;
        MemorySegment.copy(state, range.from() * row, target, range.from() * row, (range.to() - range.from()) * row);
    }

    /** The tile's rows of an operand where they lie, or, if the block is not full, of a copy. */
    private static ScanLayout.Window read(ScanLayout.Tile tile, ScanRows operand, ScanLayout.Window copy) {
        if (tile.isFull()) {
            return tile.window(operand);
        }
        tile.load(operand, copy.segment(), copy.stride());
        return copy;
    }

    private void forwardTile(ScanInputs in, ScanRows y, ScanScratch s, ScanLayout.Tile tile, StateRange range, boolean isGated,
            float largestA) {
        ScanLayout.Window step = isActivated(in) ? s.step : read(tile, in.delta(), s.step);
        ScanLayout.Window u = read(tile, in.u(), s.input);
        boolean isDirect = tile.isFull() && !isGated;
        ScanLayout.Window out = isDirect ? tile.window(y) : s.out;
        ScanLayout.Window partial = range.isFirst() ? out : read(tile, y, s.out);
        boolean bounded = tiles.largest(tile.rows(), step.segment(), step.stride()) * largestA <= ScanTiles.BOUND;
        for (int from = 0, to; from < tile.rows(); from = to) {
            to = tile.runEnd(in.flags(), from);
            if (tile.has(in.flags(), from, ScanInputs.RESET)) {
                s.state.fill((byte) 0);
            }
            if (tile.has(in.flags(), from, ScanInputs.SKIP)) {
                zeroRow(out.segment(), out.stride(), from, tiles.width());
            } else {
                tiles.scan(s, from, to, range, bounded, step, u, partial, out);
            }
        }
        if (!isDirect && !isGated) {
            tile.store(out.segment(), out.stride(), y);
        }
    }

    private void backwardTask(ScanInputs in, MemorySegment saved, ScanRows dy, MemorySegment dFinalState, ScanGradients out,
            MemorySegment memory, ScanWorkspace workspace, Part part, int start, int end) {
        ScanShape shape = in.shape();
        int batch = part.batch();
        int chunk = chunk(shape.states());
        ScanScratch s = scratch(backwardScratch, chunk, shape, true);
        pack(in, s, part, null);
        boolean isStart = end == shape.tokens();
        for (int block = part.first(); block < part.last(); block++) {
            s.select(block - part.first(), block - part.first());
            int channel = block * tiles.width();
            MemorySegment carry = isStart ? dFinalState : workspace.carries(memory);
            ScanLayout.loadState(carry, s.carry, shape, tiles.width(), batch, block, part.states());
            MemorySegment aPart = isStart ? null : workspace.aPart(memory, out, batch);
            ScanLayout.loadState(aPart, s.aGrad, shape, tiles.width(), 0, block, part.states());
            ScanLayout.loadVector(isStart ? null : workspace.skipPart(memory, out, batch), s.skipGrad, shape, channel);
            ScanLayout.loadVector(isStart ? null : workspace.biasPart(memory, out, batch), s.biasGrad, shape, channel);
        }
        for (long i = 0; !in.softplus() && i < (long) chunk * s.stride; i++) {
            s.slopes.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1);
        }
        for (int t = start + (end - 1 - start) / chunk * chunk; t >= start; t -= chunk) {
            int rows = Math.min(chunk, end - t);
            ScanLayout.copyRows(in.b(), batch, t, rows, shape.states(), s.b);
            ScanLayout.copyRows(in.c(), batch, t, rows, shape.states(), s.c);
            for (int block = part.first(); block < part.last(); block += ScanScratch.PANEL) {
                backwardPanel(in, saved, dy, out, memory, workspace, s, part, block, Math.min(part.last(), block + ScanScratch.PANEL), t,
                        rows);
            }
        }
        for (int block = part.first(); block < part.last(); block++) {
            s.select(block - part.first(), block - part.first());
            int channel = block * tiles.width();
            MemorySegment carry = start == 0 ? out.initialState() : workspace.carries(memory);
            ScanLayout.storeState(s.carry, carry, shape, tiles.width(), batch, block, part.states());
            ScanLayout.storeState(s.aGrad, workspace.aPart(memory, out, batch), shape, tiles.width(), 0, block, part.states());
            if (part.states().isLast()) {
                ScanLayout.storeVector(s.skipGrad, workspace.skipPart(memory, out, batch), shape, channel);
                ScanLayout.storeVector(s.biasGrad, workspace.biasPart(memory, out, batch), shape, channel);
            }
        }
    }

    private void backwardPanel(ScanInputs in, MemorySegment saved, ScanRows dy, ScanGradients out, MemorySegment memory,
            ScanWorkspace workspace, ScanScratch s, Part part, int first, int last, int token, int rows) {
        ScanShape shape = in.shape();
        int groupBlocks = groupBlocks(shape);
        int chunk = chunk(shape.states());
        ScanLayout.Tile panel = tile(shape, part.batch(), token, rows, first, last - first);
        prepareBackward(in, dy, s, panel, first - part.first());
        for (int block = first; block < last; block++) {
            if (block % groupBlocks == 0) {
                s.bGrad.fill((byte) 0);
                s.cGrad.fill((byte) 0);
            }
            int index = block - part.first();
            s.select(index, first - part.first());
            s.state.copyFrom(savedState(saved, shape, part.batch(), token / chunk, block));
            backwardTile(in, out, s, tile(shape, part.batch(), token, rows, block, 1), part.states(), s.largestA(index));
            if ((block + 1) % groupBlocks == 0 || block + 1 == last) {
                int group = block / groupBlocks;
                sumLanes(s.bGrad, workspace.bPart(memory, out, group, part.batch(), token, rows), rows, part.states());
                sumLanes(s.cGrad, workspace.cPart(memory, out, group, part.batch(), token, rows), rows, part.states());
            }
        }
        if (part.states().isLast()) {
            panel.store(s.steps, s.stride, out.delta());
            panel.store(s.inputs, s.stride, out.u());
            panel.store(s.gates, s.stride, out.z());
        }
    }

    private void prepareBackward(ScanInputs in, ScanRows dy, ScanScratch s, ScanLayout.Tile panel, int index) {
        s.select(index, index);
        panel.load(in.delta(), s.steps, s.stride);
        panel.load(in.u(), s.inputs, s.stride);
        panel.load(dy, s.grads, s.stride);
        panel.load(in.z(), s.gates, s.stride);
        if (in.softplus()) {
            tiles.softplusSlopes(s, panel.rows(), panel.width());
        } else if (in.deltaBias() != null) {
            tiles.plainSteps(s, panel.rows(), panel.width());
        }
        if (in.z() != null) {
            tiles.gateSlopes(s, panel.rows(), panel.width());
        }
    }

    private void sumLanes(MemorySegment lanes, MemorySegment target, int rows, StateRange range) {
        int length = range.isFirst() && range.isLast() ? rows * range.count() : range.to() - range.from();
        for (int start = range.from(); start < rows * range.count(); start += Math.max(length, range.count())) {
            long from = (long) start * Float.BYTES;
            tiles.sumLanes(length, lanes.asSlice(from * tiles.lanes()), target.asSlice(from, (long) length * Float.BYTES));
        }
    }

    private void backwardTile(ScanInputs in, ScanGradients out, ScanScratch s, ScanLayout.Tile tile, StateRange range, float largestA) {
        byte[] flags = in.flags();
        startSums(out, s, tile, range);
        float largest = tiles.largest(tile.rows(), s.step.segment(), s.step.stride());
        replay(s, tile, flags, range, largest * largestA <= ScanTiles.BOUND);
        for (int to = tile.rows(), from; to > 0; to = from) {
            from = tile.runStart(flags, to);
            boolean isSkipped = tile.has(flags, from, ScanInputs.SKIP);
            if (!isSkipped) {
                tiles.reverse(s, from, to, range);
            }
            if (isSkipped) {
                for (ScanLayout.Window rows : List.of(s.step, s.input, s.gate)) {
                    zeroRow(rows.segment(), rows.stride(), from, tiles.width());
                }
            } else if (range.isLast()) {
                tiles.finishBackward(s, from, to, in.z() != null);
            }
            if (tile.has(flags, from, ScanInputs.RESET)) {
                s.carry.fill((byte) 0);
            }
        }
        if (!range.isLast()) {
            tile.store(s.stepGrad, tiles.width(), out.delta());
            tile.store(s.driveGrad, tiles.width(), out.u());
            tile.store(s.out.segment(), s.out.stride(), out.z());
        }
    }

    /** Sums over the states are kept where the gradients will be until the last states have been added. */
    private void startSums(ScanGradients out, ScanScratch s, ScanLayout.Tile tile, StateRange range) {
        s.stepGrad.fill((byte) 0);
        s.driveGrad.fill((byte) 0);
        s.out.segment().fill((byte) 0);
        if (!range.isFirst()) {
            tile.load(out.delta(), s.stepGrad, tiles.width());
            tile.load(out.u(), s.driveGrad, tiles.width());
            tile.load(out.z(), s.out.segment(), s.out.stride());
        }
    }

    private void replay(ScanScratch s, ScanLayout.Tile tile, byte[] flags, StateRange range, boolean bounded) {
        long size = s.state.byteSize();
        for (int from = 0, to; from < tile.rows(); from = to) {
            to = tile.runEnd(flags, from);
            if (tile.has(flags, from, ScanInputs.RESET)) {
                s.state.fill((byte) 0);
            }
            if (!tile.has(flags, from, ScanInputs.SKIP)) {
                s.before.asSlice(from * size, size).copyFrom(s.state);
                tiles.replay(s, from, to, range, bounded);
                s.state.copyFrom(s.before.asSlice(to * size, size));
            }
        }
    }

    /** One token needs no packing: the state is read and written where it lies. */
    private void step(ScanInputs in, ScanRows y, MemorySegment finalState) {
        ScanShape shape = in.shape();
        int blocks = blocks(shape);
        int tasks = shape.batch() * blocks;
        // the pool also sets the treatment of denormals, which decaying states reach
        int share = (long) shape.batch() * shape.channels() * shape.states() < PARALLEL_STEP ? tasks : 1;
        pool.forEach(tasks / share, first -> {
            for (int task = first * share; task < (first + 1) * share; task++) {
                stepBlock(in, y, finalState, task / blocks, task % blocks);
            }
        });
    }

    private void stepBlock(ScanInputs in, ScanRows y, MemorySegment finalState, int batch, int block) {
        ScanShape shape = in.shape();
        ScanScratch s = scratch(forwardScratch, tile(shape.states()), shape, false);
        s.select(0, 0);
        ScanLayout.Tile tile = tile(shape, batch, 0, 1, block, 1);
        boolean reset = tile.has(in.flags(), 0, ScanInputs.RESET);
        long start = ((long) batch * shape.channels() + tile.channel()) * shape.states() * Float.BYTES;
        long bytes = (long) tile.columns() * shape.states() * Float.BYTES;
        MemorySegment before = reset || in.initialState() == null ? null : in.initialState().asSlice(start, bytes);
        MemorySegment after = finalState == null ? s.state : finalState.asSlice(start, bytes);
        if (tile.has(in.flags(), 0, ScanInputs.SKIP)) {
            zeroRow(s.out.segment(), s.out.stride(), 0, tiles.width());
            if (before == null) {
                after.fill((byte) 0);
            } else {
                MemorySegment.copy(before, 0, after, 0, bytes);
            }
        } else {
            ScanLayout.loadVector(in.deltaBias(), s.bias(0), shape, tile.channel());
            ScanLayout.loadVector(in.skip(), s.skip, shape, tile.channel());
            tile.load(in.u(), s.inputs, s.stride);
            if (isActivated(in)) {
                activateSteps(in, s, tile);
            } else {
                tile.load(in.delta(), s.steps, s.stride);
            }
            tiles.step(s, tile.columns(), shape.states(), in.a().asSlice((long) tile.channel() * shape.states() * Float.BYTES, bytes),
                    in.b().slice(batch, 0, 1, 0, shape.states()), in.c().slice(batch, 0, 1, 0, shape.states()), before, after);
            if (in.z() != null) {
                tile.load(in.z(), s.gates, s.stride);
                tiles.gate(s, 1, tiles.width());
            }
        }
        tile.store(s.outs, s.stride, y);
    }
}
