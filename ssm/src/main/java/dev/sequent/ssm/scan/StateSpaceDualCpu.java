package dev.sequent.ssm.scan;

import dev.sequent.fused.Simd;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The state-space dual of Mamba-2 on native memory, F32, forward and backward; see {@link StateSpaceDual} for the equations.
 *
 * <p>The forward pass is the recurrence itself, run in {@link DualChunk} for one panel of columns of one head and eight states at a
 * time along a chunk of tokens: these states stay in registers from token to token, so that a token costs a state two multiplications and
 * additions for each column and memory nothing. States are kept divided by the decays since some token ({@link DualSteps}). That is less
 * work than the chunked form of the paper, which has the products of pairs of tokens besides.
 *
 * <p>The backward pass is the adjoint of the chunked form with chunks of {@link DualLayout#TILE} tokens, since gradients of B, C and decays
 * are sums over columns, which products of matrices form at less cost. It keeps no activations but a state for every chunk of some tiles:
 * it walks backward over the chunks, runs a chunk's recurrence again into cache, and then its adjoint ({@link DualBackward}).
 *
 * <p>A task is a sequence and some heads of a group. Sums over heads, sequences and tokens are taken in an order that depends on the sizes
 * only, so results do not depend on the number of threads. Where there are fewer heads than threads, {@link DualCarrier} runs the states
 * first and chunks are tasks.
 *
 * <p>Thread-safe. Working memory belongs to the threads of the pool and is reused.
 */
final class StateSpaceDualCpu {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    /** Elements of the state below which a single token is not worth waking other threads. */
    private static final int PARALLEL_STEP = 1 << 16;

    private final Parallel pool;
    private final DualScan loops;
    private final ThreadLocal<DualChunk> scratch = new ThreadLocal<>();
    private final DualCarrier carrier;
    private final DualBackward backward;

    StateSpaceDualCpu(Parallel pool, DualScan loops, DualTiles tiles) {
        this.pool = pool;
        this.loops = loops;
        this.carrier = new DualCarrier(pool, loops, tiles);
        this.backward = new DualBackward(pool, loops, tiles, carrier);
    }

    /** Kernels on a pool, with vector instructions if wanted and where this process has them. */
    static StateSpaceDualCpu on(Parallel pool, boolean vectorised) {
        DualScan loops = Simd.choose(vectorised, () -> new VectorDualScan(), () -> new ScalarDualScan());
        DualTiles tiles = Simd.choose(vectorised, () -> new VectorDualTiles(), () -> new ScalarDualTiles());
        return new StateSpaceDualCpu(pool, loops, tiles);
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
     */
    void forward(DualInputs in, ScanRows y, DualStates finalState, MemorySegment saved) {
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
        pool.forEach(shape.batch() * shape.groups() * parts * pieces, index -> {
            int task = index / pieces;
            int first = task % parts * heads;
            Heads mine = new Heads(task / parts / shape.groups(), task / parts % shape.groups(), first,
                    Math.min(heads, shape.headsPerGroup() - first));
            forwardTask(in, y, finalState, saved, mine, split ? index % pieces : 0, split ? index % pieces + 1 : chunks, split);
        });
    }

    /** Heads of a task of the forward pass: few large tasks, each of which reads B and C once. */
    private int taskHeads(DualShape s) {
        int parts = Math.ceilDiv(pool.threads(), s.batch() * s.groups());
        return Math.ceilDiv(s.headsPerGroup(), Math.min(parts, s.headsPerGroup()));
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

    /** Runs chunks, from the states that are saved or from the initial state; the one with the last of them writes the final state. */
    private void forwardTask(DualInputs in, ScanRows y, DualStates finalState, MemorySegment saved,
            Heads heads, int from, int to, boolean fromSaved) {
        DualShape shape = in.shape();
        DualLayout layout = DualLayout.of(shape);
        DualChunk s = DualChunk.of(scratch, layout, heads.count());
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
            forwardChunk(in, y, s, fromSaved ? null : saved, heads, chunk);
        }
        for (int h = 0; to == layout.chunks(shape.tokens()) && h < heads.count(); h++) {
            finalState.store(shape, layout, batch, firstHead + h, s.state(h));
        }
    }

    private void forwardChunk(DualInputs in, ScanRows y, DualChunk s, MemorySegment saved, Heads heads, int chunk) {
        DualShape shape = in.shape();
        DualLayout layout = DualLayout.of(shape);
        int batch = heads.batch();
        int firstHead = heads.group() * shape.headsPerGroup() + heads.first();
        int token = chunk * layout.chunk();
        int count = Math.min(layout.chunk(), shape.tokens() - token);
        s.readMatrices(loops, in, batch, heads.group(), token, count, true);
        for (int h = 0; saved != null && h < heads.count(); h++) {
            MemorySegment place = savedState(saved, shape, layout, batch, firstHead + h, chunk);
            MemorySegment.copy(s.state(h), 0, place, F32, 0, layout.state());
        }
        int together = DualChunk.together(layout);
        for (int h = 0; h < heads.count(); h += together) {
            forwardHeads(in, y, s, batch, firstHead, h, Math.min(together, heads.count() - h), token, count);
        }
    }

    /** Runs heads {@code from} to before {@code from + heads} of a task along a chunk. */
    private void forwardHeads(DualInputs in, ScanRows y, DualChunk s, int batch, int firstHead, int from, int heads, int token,
            int count) {
        int width = in.shape().width();
        int head = firstHead + from;
        for (int h = 0; h < heads; h++) {
            s.formSteps(loops, in, batch, head + h, h, token, count);
        }
        s.readInputs(loops, in, batch, head, heads, token, count);
        for (int h = 0; h < heads; h++) {
            for (int p = 0; p < DualLayout.of(in.shape()).panels(); p++) {
                s.scan(loops, in, batch, h, p, token, s.state(from + h), true);
            }
        }
        s.writeOutputs(loops, y, batch, head, heads, token, count);
        clearPadding(in, batch, token, count, y.slice(batch, token, count, head * width, heads * width), y.tokenStride(), heads * width);
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
        loops.step(shape.width(), shape.states(), before, after, decay, dt, in.x().slice(batch, 0, 1, head * shape.width(), shape.width()),
                in.b().slice(batch, 0, 1, from, shape.states()), in.c().slice(batch, 0, 1, from, shape.states()),
                in.skip() == null ? 0 : in.skip().getAtIndex(F32, head), out);
    }
}
