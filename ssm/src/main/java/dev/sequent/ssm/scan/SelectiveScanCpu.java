package dev.sequent.ssm.scan;

import dev.sequent.fused.Simd;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
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
    private static final int MANY_BLOCKS = 32;
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
        workspace.reduce(pool, memory, out);
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

    private void forwardTask(ScanInputs in, ScanRows y, MemorySegment finalState, MemorySegment saved, Part part, int start, int end) {
        ScanShape shape = in.shape();
        int states = shape.states();
        int tile = tile(states);
        int first = part.first();
        ScanScratch s = scratch(forwardScratch, tile, shape, false);
        MemorySegment initial = start == 0 ? in.initialState() : finalState;
        for (int block = first; block < part.last(); block++) {
            s.select(block - first);
            s.largestA(block - first, ScanLayout.pack(in, s, tiles.width(), block));
            ScanLayout.loadState(initial, s.state, shape, tiles.width(), part.batch(), block, part.states());
        }
        for (int t = start; t < end; t += tile) {
            int rows = Math.min(tile, end - t);
            ScanLayout.copyRows(in.b(), part.batch(), t, rows, states, s.b);
            ScanLayout.copyRows(in.c(), part.batch(), t, rows, states, s.c);
            for (int block = first; block < part.last(); block++) {
                s.select(block - first);
                if (saved != null && t % chunk(states) == 0) {
                    saveStates(s.state, savedState(saved, shape, part.batch(), t / chunk(states), block), part.states());
                }
                ScanLayout.Tile place = new ScanLayout.Tile(shape, tiles.width(), part.batch(), t, rows, block);
                forwardTile(in, y, s, place, part.states(), s.largestA(block - first));
            }
        }
        for (int block = first; finalState != null && block < part.last(); block++) {
            s.select(block - first);
            ScanLayout.storeState(s.state, finalState, shape, tiles.width(), part.batch(), block, part.states());
        }
    }

    private void saveStates(MemorySegment state, MemorySegment target, StateRange range) {
        long row = (long) tiles.width() * Float.BYTES;
        MemorySegment.copy(state, range.from() * row, target, range.from() * row, (range.to() - range.from()) * row);
    }

    private void forwardTile(ScanInputs in, ScanRows y, ScanScratch s, ScanLayout.Tile tile, StateRange range, float largestA) {
        ScanLayout.Window delta = tile.read(in.delta(), s.staging[0]);
        ScanLayout.Window u = tile.read(in.u(), s.staging[1]);
        ScanLayout.Window z = tile.read(in.z(), s.staging[2]);
        ScanLayout.Window out = tile.write(y, s.staging[3]);
        ScanLayout.Window step = delta;
        if (in.softplus()) {
            tiles.softplusSteps(s, tile.rows(), delta.segment(), delta.stride());
            step = new ScanLayout.Window(s.step, tiles.width());
        } else if (in.deltaBias() != null) {
            tiles.plainSteps(s, tile.rows(), delta.segment(), delta.stride());
            step = new ScanLayout.Window(s.step, tiles.width());
        }
        ScanLayout.Window partial = range.isFirst() ? out : tile.read(y, s.staging[3]);
        boolean gated = in.z() != null && range.isLast();
        ScanLayout.Window scanned = gated ? new ScanLayout.Window(s.out, tiles.width()) : out;
        boolean bounded = tiles.largest(tile.rows(), step.segment(), step.stride()) * largestA <= ScanTiles.BOUND;
        for (int from = 0, to; from < tile.rows(); from = to) {
            to = tile.runEnd(in.flags(), from);
            if (tile.has(in.flags(), from, ScanInputs.RESET)) {
                s.state.fill((byte) 0);
            }
            if (tile.has(in.flags(), from, ScanInputs.SKIP)) {
                out.zeroRow(from, tiles.width());
            } else {
                tiles.scan(s, from, to, range, bounded, step, u, partial, scanned);
                if (gated) {
                    tiles.gate(s, from, to, z.segment(), z.stride(), out.segment(), out.stride());
                }
            }
        }
        tile.store(out, y);
    }

    private void backwardTask(ScanInputs in, MemorySegment saved, ScanRows dy, MemorySegment dFinalState, ScanGradients out,
            MemorySegment memory, ScanWorkspace workspace, Part part, int start, int end) {
        ScanShape shape = in.shape();
        int states = shape.states();
        int batch = part.batch();
        int chunk = chunk(states);
        int groupBlocks = groupBlocks(shape);
        ScanScratch s = scratch(backwardScratch, chunk, shape, true);
        boolean isStart = end == shape.tokens();
        for (int block = part.first(); block < part.last(); block++) {
            s.select(block - part.first());
            s.largestA(block - part.first(), ScanLayout.pack(in, s, tiles.width(), block));
            MemorySegment carry = isStart ? dFinalState : workspace.carries(memory);
            ScanLayout.loadState(carry, s.carry, shape, tiles.width(), batch, block, part.states());
            MemorySegment aPart = isStart ? null : workspace.aPart(memory, out, batch);
            ScanLayout.loadState(aPart, s.aGrad, shape, tiles.width(), 0, block, part.states());
            ScanLayout.loadVector(isStart ? null : workspace.skipPart(memory, out, batch), s.skipGrad, shape, tiles.width(), block);
            ScanLayout.loadVector(isStart ? null : workspace.biasPart(memory, out, batch), s.biasGrad, shape, tiles.width(), block);
        }
        for (int t = start + (end - 1 - start) / chunk * chunk; t >= start; t -= chunk) {
            int rows = Math.min(chunk, end - t);
            ScanLayout.copyRows(in.b(), batch, t, rows, states, s.b);
            ScanLayout.copyRows(in.c(), batch, t, rows, states, s.c);
            for (int block = part.first(); block < part.last(); block++) {
                if (block % groupBlocks == 0) {
                    s.bGrad.fill((byte) 0);
                    s.cGrad.fill((byte) 0);
                }
                s.select(block - part.first());
                s.state.copyFrom(savedState(saved, shape, batch, t / chunk, block));
                ScanLayout.Tile place = new ScanLayout.Tile(shape, tiles.width(), batch, t, rows, block);
                backwardTile(in, dy, out, s, place, part.states(), s.largestA(block - part.first()));
                if ((block + 1) % groupBlocks == 0 || block + 1 == part.last()) {
                    int group = block / groupBlocks;
                    sumLanes(s.bGrad, workspace.bPart(memory, out, group, batch, t, rows), rows, part.states());
                    sumLanes(s.cGrad, workspace.cPart(memory, out, group, batch, t, rows), rows, part.states());
                }
            }
        }
        for (int block = part.first(); block < part.last(); block++) {
            s.select(block - part.first());
            MemorySegment carry = start == 0 ? out.initialState() : workspace.carries(memory);
            ScanLayout.storeState(s.carry, carry, shape, tiles.width(), batch, block, part.states());
            ScanLayout.storeState(s.aGrad, workspace.aPart(memory, out, batch), shape, tiles.width(), 0, block, part.states());
            if (part.states().isLast()) {
                ScanLayout.storeVector(s.skipGrad, workspace.skipPart(memory, out, batch), shape, tiles.width(), block);
                ScanLayout.storeVector(s.biasGrad, workspace.biasPart(memory, out, batch), shape, tiles.width(), block);
            }
        }
    }

    private void sumLanes(MemorySegment lanes, MemorySegment target, int rows, StateRange range) {
        int length = range.isFirst() && range.isLast() ? rows * range.count() : range.to() - range.from();
        for (int start = range.from(); start < rows * range.count(); start += Math.max(length, range.count())) {
            long from = (long) start * Float.BYTES;
            tiles.sumLanes(length, lanes.asSlice(from * tiles.lanes()), target.asSlice(from, (long) length * Float.BYTES));
        }
    }

    private void backwardTile(ScanInputs in, ScanRows dy, ScanGradients out, ScanScratch s, ScanLayout.Tile tile, StateRange range,
            float largestA) {
        byte[] flags = in.flags();
        ScanLayout.Window delta = tile.read(in.delta(), s.staging[0]);
        ScanLayout.Window u = tile.read(in.u(), s.staging[1]);
        ScanLayout.Window z = tile.read(in.z(), s.staging[2]);
        ScanLayout.Window g = tile.read(dy, s.staging[3]);
        float largest = tiles.prepareBackward(s, tile.rows(), in.softplus(), delta.segment(), delta.stride(), u.segment(), u.stride(),
                z.segment(), z.stride(), g.segment(), g.stride());
        startSums(out, s, tile, range);
        replay(s, tile, flags, range, largest * largestA <= ScanTiles.BOUND);
        // every operand but u has been read: its staging memory can take a gradient
        ScanLayout.Window dDelta = tile.write(out.delta(), s.staging[0]);
        ScanLayout.Window du = tile.write(out.u(), s.staging[3]);
        ScanLayout.Window dz = tile.write(out.z(), s.staging[2]);
        for (int to = tile.rows(), from; to > 0; to = from) {
            from = tile.runStart(flags, to);
            boolean skipped = tile.has(flags, from, ScanInputs.SKIP);
            if (!skipped) {
                tiles.reverse(s, from, to, range);
            }
            if (skipped && range.isLast()) {
                du.zeroRow(from, tiles.width());
                dDelta.zeroRow(from, tiles.width());
                dz.zeroRow(from, tiles.width());
            } else if (range.isLast()) {
                tiles.finishBackward(s, from, to, u.segment(), u.stride(), du.segment(), du.stride(), dDelta.segment(), dDelta.stride(),
                        dz.segment(), dz.stride());
            }
            if (tile.has(flags, from, ScanInputs.RESET)) {
                s.carry.fill((byte) 0);
            }
        }
        if (range.isLast()) {
            tile.store(dDelta, out.delta());
            tile.store(du, out.u());
            tile.store(dz, out.z());
        } else {
            tile.save(s.stepGrad, out.delta());
            tile.save(s.driveGrad, out.u());
            tile.save(s.out, out.z());
        }
    }

    /** Sums over the states are kept where the gradients will be until the last states have been added. */
    private static void startSums(ScanGradients out, ScanScratch s, ScanLayout.Tile tile, StateRange range) {
        s.stepGrad.fill((byte) 0);
        s.driveGrad.fill((byte) 0);
        s.out.fill((byte) 0);
        if (!range.isFirst()) {
            tile.load(out.delta(), s.stepGrad);
            tile.load(out.u(), s.driveGrad);
            tile.load(out.z(), s.out);
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
        s.select(0);
        ScanLayout.Tile tile = new ScanLayout.Tile(shape, tiles.width(), batch, 0, 1, block);
        ScanLayout.Window out = tile.write(y, s.staging[3]);
        boolean reset = tile.has(in.flags(), 0, ScanInputs.RESET);
        long start = ((long) batch * shape.channels() + tile.channel()) * shape.states() * Float.BYTES;
        long bytes = (long) tile.columns() * shape.states() * Float.BYTES;
        MemorySegment before = reset || in.initialState() == null ? null : in.initialState().asSlice(start, bytes);
        MemorySegment after = finalState == null ? s.state : finalState.asSlice(start, bytes);
        if (tile.has(in.flags(), 0, ScanInputs.SKIP)) {
            out.zeroRow(0, tiles.width());
            if (before == null) {
                after.fill((byte) 0);
            } else {
                MemorySegment.copy(before, 0, after, 0, bytes);
            }
        } else {
            ScanLayout.packVectors(in, s, tiles.width(), block);
            ScanLayout.Window delta = tile.read(in.delta(), s.staging[0]);
            ScanLayout.Window u = tile.read(in.u(), s.staging[1]);
            ScanLayout.Window z = tile.read(in.z(), s.staging[2]);
            tiles.prepare(s, 1, in.softplus(), delta.segment(), delta.stride(), u.segment(), u.stride());
            tiles.step(s, tile.columns(), shape.states(), in.a().asSlice((long) tile.channel() * shape.states() * Float.BYTES, bytes),
                    in.b().slice(batch, 0, 1, 0, shape.states()), in.c().slice(batch, 0, 1, 0, shape.states()), before, after);
            tiles.finish(s, 0, 1, u.segment(), u.stride(), z.segment(), z.stride(), out.segment(), out.stride());
        }
        tile.store(out, y);
    }
}
