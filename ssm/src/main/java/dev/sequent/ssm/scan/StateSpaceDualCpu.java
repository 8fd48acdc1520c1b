package dev.sequent.ssm.scan;

import dev.sequent.fused.Simd;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The state-space dual of Mamba-2 on native memory, F32, forward and backward; see {@link StateSpaceDual} for the equations.
 *
 * <p>The chunked form of the paper with chunks of {@link DualLayout#TILE} tokens. Between its tokens a tile multiplies (C B^T o L) by the
 * input, where C B^T is shared by the heads of a group and L has the products of decays, which need one multiplication each and neither
 * overflow nor cancel; from the state it reads, and to the state it adds, by products of matrices whose operands stay in the first two
 * levels of cache. A tile takes 2 N + TILE / 2 multiplications and additions for each number of its input, little more than the plain
 * recurrence, but goes over the state three times for all of its tokens.
 *
 * <p>A task is a sequence and some heads of a group. B and C are packed, transposed and multiplied once for all heads of a group; where
 * these are several tasks, a pass over all chunks does it first ({@link DualPacking}). The backward pass keeps no activations but a
 * state for every chunk of some tiles: it walks backward over the chunks, runs a chunk's recurrence again into cache, and then its
 * adjoint. Sums over heads, sequences and tokens
 * are taken in an order that depends on the sizes only, so results do not depend on the number of threads. Where there are fewer heads than
 * threads, {@link DualCarrier} runs the states first and chunks are tasks.
 *
 * <p>Thread-safe. Working memory belongs to the threads of the pool and is reused.
 */
final class StateSpaceDualCpu {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    /** Elements of the state below which a single token is not worth waking other threads. */
    private static final int PARALLEL_STEP = 1 << 16;

    private final Parallel pool;
    private final DualTiles tiles;
    private final ThreadLocal<DualScratch> forwardScratch = new ThreadLocal<>();
    private final DualCarrier carrier;
    private final DualPacking packing;
    private final DualBackward backward;

    StateSpaceDualCpu(Parallel pool, DualTiles tiles) {
        this.pool = pool;
        this.tiles = tiles;
        this.carrier = new DualCarrier(pool, tiles);
        this.packing = new DualPacking(pool, tiles, false);
        this.backward = new DualBackward(pool, tiles, carrier);
    }

    /** Kernels on a pool, with vector instructions if wanted and where this process has them. */
    static StateSpaceDualCpu on(Parallel pool, boolean vectorised) {
        DualTiles tiles = Simd.choose(vectorised, () -> new VectorDualTiles(), () -> new ScalarDualTiles());
        return new StateSpaceDualCpu(pool, tiles);
    }

    /** Whether {@link #forward} needs memory for saved states even if nobody wants them. */
    boolean needsSaved(DualShape shape) {
        return carrier.pays(shape, shape.batch() * shape.heads());
    }

    /** F32 elements of the states that {@link #forward} saves for {@link #backward}. */
    static long savedFloats(DualShape shape) {
        DualLayout layout = DualLayout.of(shape);
        return (long) shape.batch() * shape.heads() * layout.chunks(shape.tokens()) * layout.state();
    }

    static MemorySegment savedState(MemorySegment saved, DualShape shape, DualLayout layout, int batch, int head, int chunk) {
        long index = ((long) batch * shape.heads() + head) * layout.chunks(shape.tokens()) + chunk;
        return saved.asSlice(index * layout.state() * Float.BYTES, (long) layout.state() * Float.BYTES);
    }

    /** F32 elements of the working memory that {@link #backward} is given. */
    long workspaceFloats(DualShape shape) {
        return backward.workspaceFloats(shape);
    }

    /**
     * Runs the recurrence.
     *
     * @param y receives the output, (B, T, H P)
     * @param finalState receives the state after the last token; (B, H, P, N) without gaps if there is one token and {@code saved} is null
     * @param saved receives {@link #savedFloats} elements for {@link #backward}; may be null if {@link #needsSaved} is not
     * @param memory {@link #forwardFloats} elements, overwritten; may be null if that is 0
     */
    void forward(DualInputs in, ScanRows y, DualStates finalState, MemorySegment saved, MemorySegment memory) {
        DualShape shape = in.shape();
        if (isStep(shape, saved != null)) {
            step(in, y, finalState);
            return;
        }
        boolean split = needsSaved(shape);
        if (split) {
            carrier.forward(in, saved);
        }
        int chunks = DualLayout.of(shape).chunks(shape.tokens());
        int pieces = split ? chunks : 1;
        int heads = taskHeads(shape);
        int parts = Math.ceilDiv(shape.headsPerGroup(), heads);
        MemorySegment packed = parts == 1 ? null : memory;
        if (packed != null) {
            packing.run(in, packed);
        }
        pool.forEach(shape.batch() * shape.groups() * parts * pieces, index -> {
            int task = index / pieces;
            int first = task % parts * heads;
            Heads mine = new Heads(task / parts / shape.groups(), task / parts % shape.groups(), first,
                    Math.min(heads, shape.headsPerGroup() - first));
            forwardTask(in, y, finalState, saved, packed, mine, split ? index % pieces : 0, split ? index % pieces + 1 : chunks, split);
        });
    }

    /** Heads of a task of the forward pass: few large tasks, each of which reads what is packed once. */
    private int taskHeads(DualShape s) {
        int parts = Math.ceilDiv(pool.threads(), s.batch() * s.groups());
        return Math.ceilDiv(s.headsPerGroup(), Math.min(parts, s.headsPerGroup()));
    }

    /** F32 elements of the memory that {@link #forward} is given. */
    long forwardFloats(DualShape shape) {
        return taskHeads(shape) == shape.headsPerGroup() ? 0 : packing.floats(shape);
    }

    /** Some heads of a group of a sequence. */
    private record Heads(int batch, int group, int first, int count) {}

    /** Whether {@link #forward} takes the way of a single token, which reads and writes states where they lie. */
    static boolean isStep(DualShape shape, boolean save) {
        return shape.tokens() == 1 && !save;
    }

    /**
     * Runs the gradients of {@link #forward}.
     *
     * @param saved what the forward pass on the same operands saved
     * @param dy gradient of the output, (B, T, H P)
     * @param dFinalState gradient of the final state, or null for zero
     * @param out receives the gradients
     * @param memory {@link #workspaceFloats} elements, overwritten
     */
    void backward(DualInputs in, MemorySegment saved, ScanRows dy, DualStates dFinalState, DualGradients out, MemorySegment memory) {
        backward.run(in, saved, dy, dFinalState, out, memory);
    }

    static DualScratch scratch(ThreadLocal<DualScratch> owner, DualLayout layout, int heads, boolean backward) {
        DualScratch s = owner.get();
        if (s == null || !s.fits(layout, heads, backward)) {
            s = new DualScratch(layout, heads, backward);
            owner.set(s);
        }
        return s;
    }

    /** Runs chunks, from the states that are saved or from the initial state; the one with the last of them writes the final state. */
    private void forwardTask(DualInputs in, ScanRows y, DualStates finalState, MemorySegment saved, MemorySegment packed,
            Heads heads, int from, int to, boolean fromSaved) {
        DualShape shape = in.shape();
        DualLayout layout = DualLayout.of(shape);
        DualScratch s = scratch(forwardScratch, layout, heads.count(), false);
        int batch = heads.batch();
        int firstHead = heads.group() * shape.headsPerGroup() + heads.first();
        for (int h = 0; h < heads.count(); h++) {
            if (fromSaved) {
                MemorySegment.copy(savedState(saved, shape, layout, batch, firstHead + h, from), F32, 0, s.state(h), 0, layout.state());
            } else if (in.initialState() == null) {
                Arrays.fill(s.state(h), 0);
            } else {
                in.initialState().load(shape, layout, batch, firstHead + h, s.state(h));
            }
        }
        for (int chunk = from; chunk < to; chunk++) {
            forwardChunk(in, y, s, fromSaved ? null : saved, packed, heads, chunk);
        }
        for (int h = 0; to == layout.chunks(shape.tokens()) && h < heads.count(); h++) {
            finalState.store(shape, layout, batch, firstHead + h, s.state(h));
        }
    }

    private void forwardChunk(DualInputs in, ScanRows y, DualScratch s, MemorySegment saved, MemorySegment packed, Heads heads, int chunk) {
        DualShape shape = in.shape();
        DualLayout layout = s.layout();
        int batch = heads.batch();
        int firstHead = heads.group() * shape.headsPerGroup() + heads.first();
        int token = chunk * layout.chunk();
        int count = Math.min(layout.chunk(), shape.tokens() - token);
        packing.load(packed, in, batch, heads.group(), chunk, s.matrices);
        for (int h = 0; h < heads.count(); h++) {
            if (saved != null) {
                MemorySegment place = savedState(saved, shape, layout, batch, firstHead + h, chunk);
                MemorySegment.copy(s.state(h), 0, place, F32, 0, layout.state());
            }
            s.packSteps(tiles, in, batch, firstHead + h, token, count);
            for (int i = 0; i < s.matrices.tiles; i++) {
                forwardTile(in, y, s, batch, firstHead + h, h, token, i);
            }
        }
    }

    private void forwardTile(DualInputs in, ScanRows y, DualScratch s, int batch, int head, int local, int chunkStart, int tile) {
        DualLayout layout = s.layout();
        float[] state = s.state(local);
        int width = in.shape().width();
        int start = s.matrices.starts[tile];
        int token = chunkStart + start;
        int rows = s.matrices.rows(tile);
        if (in.has(batch, token, ScanInputs.RESET)) {
            Arrays.fill(state, 0);
        }
        boolean finite = true;
        for (int p = 0; p < layout.panels(); p++) {
            finite &= s.pack(tiles, in, in.x(), batch, head, p, chunkStart, tile, s.weights, s.x, s.scaled, p * layout.tilePanel());
        }
        float skip = in.skip() == null ? 0 : in.skip().getAtIndex(F32, head);
        tiles.sourceWeights(s.matrices.products, start * DualLayout.TILE, s.decay, start, s.dt, skip, rows, s.mix);
        MemorySegment out = y.slice(batch, token, rows, head * width, width);
        int outRow = (int) y.tokenStride();
        for (int p = 0; p < layout.panels(); p++) {
            int columns = layout.columns(p);
            boolean direct = rows == DualLayout.TILE && columns == layout.panel();
            MemorySegment here = out.asSlice((long) p * layout.panel() * Float.BYTES);
            tiles.read(layout.panel(), s.matrices.cColumns, s.matrices.columnsAt(tile), rows, layout.states(), state,
                    p * layout.statePanel(), s.since, start, s.mix, false, finite, rows, s.x, p * layout.tilePanel(),
                    direct ? here : s.y, direct ? outRow : layout.panel());
            for (int t = 0; !direct && t < rows; t++) {
                MemorySegment.copy(s.y, (long) t * layout.panel() * Float.BYTES, here, (long) t * outRow * Float.BYTES,
                        (long) columns * Float.BYTES);
            }
        }
        for (int p = 0; p < layout.panels(); p++) {
            s.advance(tiles, tile, s.matrices.b, s.scaled, p * layout.tilePanel(), state, state, p);
        }
        clearPadding(in, batch, token, rows, out, outRow, width);
    }

    /** Zeros in the rows of tokens that are padding. */
    static void clearPadding(DualInputs in, int batch, int token, int rows, MemorySegment out, long row, int width) {
        for (int t = 0; in.flags() != null && t < rows; t++) {
            if (in.has(batch, token + t, ScanInputs.SKIP)) {
                out.asSlice(t * row * Float.BYTES, (long) width * Float.BYTES).fill((byte) 0);
            }
        }
    }

    /** One token needs no packing: the state is read and written where it lies. */
    private void step(DualInputs in, ScanRows y, DualStates finalState) {
        DualShape shape = in.shape();
        int tasks = shape.batch() * shape.heads();
        // the pool also sets the treatment of denormals, which decaying states reach
        int share = (long) tasks * shape.width() * shape.states() < PARALLEL_STEP ? tasks : 1;
        pool.forEach(tasks / share, first -> {
            for (int task = first * share; task < (first + 1) * share; task++) {
                stepHead(in, y, finalState, task / shape.heads(), task % shape.heads());
            }
        });
    }

    private void stepHead(DualInputs in, ScanRows y, DualStates finalState, int batch, int head) {
        DualShape shape = in.shape();
        boolean reset = in.has(batch, 0, ScanInputs.RESET);
        MemorySegment before = reset || in.initialState() == null ? null : in.initialState().rows(shape, batch, head);
        MemorySegment after = finalState.rows(shape, batch, head);
        MemorySegment out = y.slice(batch, 0, 1, head * shape.width(), shape.width());
        if (in.has(batch, 0, ScanInputs.SKIP)) {
            out.fill((byte) 0);
            if (before == null) {
                after.fill((byte) 0);
            } else {
                after.copyFrom(before);
            }
            return;
        }
        float dt = in.dt().slice(batch, 0, 1, head, 1).get(F32, 0);
        float decay = (float) Math.exp(dt * in.a().getAtIndex(F32, head));
        int from = head / shape.headsPerGroup() * shape.states();
        tiles.step(shape.width(), shape.states(), before, after, decay, dt, in.x().slice(batch, 0, 1, head * shape.width(), shape.width()),
                in.b().slice(batch, 0, 1, from, shape.states()), in.c().slice(batch, 0, 1, from, shape.states()),
                in.skip() == null ? 0 : in.skip().getAtIndex(F32, head), out);
    }
}
