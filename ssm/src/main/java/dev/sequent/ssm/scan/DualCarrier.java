package dev.sequent.ssm.scan;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Runs states alone along sequences, or their gradients against them, and keeps them at the ends of chunks, so that chunks can be tasks of
 * their own afterwards: for long sequences with fewer heads than threads. A task is a panel of a head's columns, which do not depend on
 * each other. States come out as they do where a task goes over all chunks, to the last bit, so that this choice may depend on the number
 * of threads.
 */
final class DualCarrier {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    /** Part of the whole work that the states alone are. */
    private static final double WORK = 0.5;
    /** What must remain of the time for the work done twice. */
    private static final double GAIN = 0.8;

    private final Parallel pool;
    private final DualScan loops;
    private final DualTiles tiles;
    private final ThreadLocal<DualChunk> chunks = new ThreadLocal<>();
    private final ThreadLocal<DualScratch> scratch = new ThreadLocal<>();

    DualCarrier(Parallel pool, DualScan loops, DualTiles tiles) {
        this.pool = pool;
        this.loops = loops;
        this.tiles = tiles;
    }

    /** Whether chunks should be tasks, where there were {@code tasks} of about as many heads otherwise. */
    boolean pays(DualShape s, int tasks) {
        DualLayout layout = DualLayout.of(s);
        int threads = pool.threads();
        int rows = s.batch() * s.heads();
        if (threads == 1 || layout.chunks(s.tokens()) < 2 * threads) {
            return false;
        }
        double split = WORK * Math.ceilDiv(rows * layout.panels(), threads) / layout.panels() + (double) rows / threads;
        return split < GAIN * Math.ceilDiv(tasks, threads) * rows / tasks;
    }

    /** Fills {@code saved} with the states before all chunks. */
    void forward(DualInputs in, MemorySegment saved) {
        DualShape shape = in.shape();
        forEach(shape, (layout, batch, head, panel) -> {
            DualChunk c = DualChunk.of(chunks, layout, 1);
            float[] state = c.state(0);
            if (in.initialState() == null) {
                Arrays.fill(state, 0);
            } else {
                in.initialState().load(shape, layout, batch, head, state);
            }
            int count = layout.chunks(shape.tokens());
            for (int chunk = 0; chunk < count; chunk++) {
                keep(shape, layout, saved, batch, head, chunk, panel, state);
                if (chunk + 1 < count) {
                    int token = chunk * layout.chunk();
                    c.readMatrices(loops, in, batch, head / shape.headsPerGroup(), token, layout.chunk(), false);
                    c.formSteps(loops, in, batch, head, 0, token, layout.chunk());
                    c.readInputs(loops, in, batch, head, 1, token, layout.chunk());
                    c.scan(loops, in, batch, 0, panel, token, state, false);
                }
            }
        });
    }

    /** Fills {@code carries} with the gradients of the states after all chunks. */
    void backward(DualInputs in, ScanRows dy, DualStates dFinalState, MemorySegment carries) {
        forEach(in.shape(), (layout, batch, head, panel) -> {
            DualScratch s = DualScratch.of(scratch, layout, 1);
            float[] carry = s.state(0);
            if (dFinalState == null) {
                Arrays.fill(carry, 0);
            } else {
                dFinalState.load(in.shape(), layout, batch, head, carry);
            }
            for (int chunk = layout.chunks(in.shape().tokens()) - 1; chunk >= 0; chunk--) {
                keep(in.shape(), layout, carries, batch, head, chunk, panel, carry);
                if (chunk > 0) {
                    int token = load(in, layout, s, batch, head, chunk);
                    for (int i = s.matrices.tiles - 1; i >= 0; i--) {
                        if (in.has(batch, token + s.matrices.starts[i], ScanInputs.RESET)) {
                            Arrays.fill(carry, 0);
                        } else {
                            MemorySegment rows = dy.slice(batch, token + s.matrices.starts[i], s.matrices.rows(i), head * layout.width(),
                                    layout.width());
                            s.pack(tiles, in, rows, (int) dy.tokenStride(), batch, panel, token, i, s.since, s.x, s.scaled, 0);
                            s.advance(tiles, i, s.matrices.c, s.scaled, 0, carry, carry, panel);
                        }
                    }
                }
            }
        });
    }

    private interface Body {
        void run(DualLayout layout, int batch, int head, int panel);
    }

    private void forEach(DualShape shape, Body body) {
        DualLayout layout = DualLayout.of(shape);
        int panels = layout.panels();
        pool.forEach(shape.batch() * shape.heads() * panels, task -> body.run(layout, task / panels / shape.heads(),
                task / panels % shape.heads(), task % panels));
    }

    /** Reads C and the step sizes of a chunk; returns its first token. */
    private int load(DualInputs in, DualLayout layout, DualScratch s, int batch, int head, int chunk) {
        int token = chunk * layout.chunk();
        int count = Math.min(layout.chunk(), in.shape().tokens() - token);
        s.matrices.packRows(in, in.c(), batch, head / in.shape().headsPerGroup(), token, count, s.matrices.c);
        s.packSteps(loops, in, batch, head, token, count);
        return token;
    }

    private static void keep(DualShape shape, DualLayout layout, MemorySegment memory, int batch, int head, int chunk, int panel,
            float[] state) {
        MemorySegment place = StateSpaceDualCpu.savedState(memory, shape, layout, batch, head, chunk);
        int at = panel * layout.statePanel();
        MemorySegment.copy(state, at, place, F32, (long) at * Float.BYTES, layout.statePanel());
    }
}
