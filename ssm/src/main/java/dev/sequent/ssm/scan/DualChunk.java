package dev.sequent.ssm.scan;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Working memory of one thread for scans in {@link DualLayout}: B and C of a chunk of tokens of one group of heads, the columns of some
 * neighbouring heads, and states. Not thread-safe.
 *
 * <p>Rows of the input and the output lie far apart in memory, and processors fetch ahead in a few of them only. So columns of several
 * heads are read and written together, some tokens at a time.
 */
final class DualChunk {
    private static final int BLOCK = DualLayout.BLOCK;
    /** Columns that are read and written together, and their tokens. */
    private static final int COLUMNS = 512;
    private static final int ROWS = 16;

    private final DualSteps[] steps;
    private final DualLayout layout;
    private final int heads;
    private final float[][] states;
    /** B and C, (N / BLOCK, chunk, 2, BLOCK). */
    private final float[] matrices;
    /** Panels (chunk, panel) of the heads' input divided by decays, and of their output. */
    private final MemorySegment[] u;
    private final MemorySegment[] y;

    DualChunk(DualLayout layout, int heads) {
        this.layout = layout;
        this.heads = heads;
        int together = together(layout);
        steps = new DualSteps[together];
        Arrays.setAll(steps, _ -> new DualSteps(layout));
        states = new float[heads][];
        Arrays.setAll(states, _ -> DualScratch.take(layout.state()));
        matrices = DualScratch.take(layout.states() * layout.chunk() * 2);
        u = new MemorySegment[together];
        y = new MemorySegment[together];
        Arrays.setAll(u, _ -> DualScratch.takeNative(layout.panels() * layout.panelPitch()));
        Arrays.setAll(y, _ -> DualScratch.takeNative(layout.panels() * layout.panelPitch()));
    }

    /** Heads whose columns are read and written together. */
    static int together(DualLayout layout) {
        return Math.ceilDiv(COLUMNS, layout.width());
    }

    /** The owner's working memory, made anew where it does not fit. */
    static DualChunk of(ThreadLocal<DualChunk> owner, DualLayout layout, int heads) {
        DualChunk c = owner.get();
        if (c == null || !c.layout.equals(layout) || c.heads < heads) {
            c = new DualChunk(layout, heads);
            owner.set(c);
        }
        return c;
    }

    /** The state of a head of the task. */
    float[] state(int head) {
        return states[head];
    }

    /** Reads B, and C if wanted, of {@code count} tokens from {@code token} on. */
    void readMatrices(DualScan loops, DualInputs in, int batch, int group, int token, int count, boolean both) {
        readMatrix(loops, in, in.b(), batch, group, token, count, 0);
        if (both) {
            readMatrix(loops, in, in.c(), batch, group, token, count, BLOCK);
        }
    }

    private void readMatrix(DualScan loops, DualInputs in, ScanRows source, int batch, int group, int token, int count, int at) {
        int n = in.shape().states();
        loops.interleave(source.slice(batch, token, count, group * n, n), (int) source.tokenStride(), count, n, matrices, at,
                layout.chunk());
        for (int t = 0; in.flags() != null && t < count; t++) {
            for (int block = 0; in.has(batch, token + t, ScanInputs.SKIP) && block < layout.states() / BLOCK; block++) {
                int place = at + (block * layout.chunk() + t) * 2 * BLOCK;
                Arrays.fill(matrices, place, place + BLOCK, 0);
            }
        }
    }

    /** Forms step sizes and decays of a head of those that are run together. */
    void formSteps(DualScan loops, DualInputs in, int batch, int head, int index, int token, int count) {
        steps[index].form(loops, in, batch, head, token, count);
    }

    /** Reads the input of {@code heads} heads from {@code head} on, whose steps have been formed. */
    void readInputs(DualScan loops, DualInputs in, int batch, int head, int heads, int token, int count) {
        for (int from = 0; from < count; from += ROWS) {
            for (int h = 0; h < heads; h++) {
                readInput(loops, in, batch, head + h, h, token, from, Math.min(count, from + ROWS));
            }
        }
    }

    private void readInput(DualScan loops, DualInputs in, int batch, int head, int index, int token, int from, int to) {
        int width = layout.width();
        loops.drive(layout, in.x().slice(batch, token + from, to - from, head * width, width), (int) in.x().tokenStride(), from, to,
                steps[index].weights, steps[index].direct, u[index], y[index]);
        for (int t = from; in.flags() != null && t < to; t++) {
            for (int p = 0; in.has(batch, token + t, ScanInputs.SKIP) && p < layout.panels(); p++) {
                long at = (long) layout.place(t, p * layout.panel()) * Float.BYTES;
                u[index].asSlice(at, (long) layout.panel() * Float.BYTES).fill((byte) 0);
                y[index].asSlice(at, (long) layout.panel() * Float.BYTES).fill((byte) 0);
            }
        }
    }

    /** Runs a panel of a state along the chunk; forms the output if wanted. */
    void scan(DualScan loops, DualInputs in, int batch, int index, int panel, int token, float[] state, boolean output) {
        DualSteps s = steps[index];
        int columns = panel * layout.panelPitch();
        int first = panel * layout.statePanel();
        for (int run = 0; run < s.runs(); run++) {
            boolean reset = in.has(batch, token + s.start(run), ScanInputs.RESET);
            if (reset) {
                Arrays.fill(state, first, first + layout.statePanel(), 0);
            }
            float before = reset ? 1 : s.first(run);
            for (int n = 0; n < in.shape().states(); n += DualLayout.ROWS) {
                int at = n / BLOCK * layout.chunk() * 2 * BLOCK + n % BLOCK;
                int row = first + n * layout.panel();
                if (output) {
                    loops.scan(layout.panel(), matrices, at, s.start(run), s.end(run), u[index], y[index], columns, state, row,
                            before, s.last(run));
                } else {
                    loops.carry(layout.panel(), matrices, at, s.start(run), s.end(run), u[index], columns, state, row, before,
                            s.last(run));
                }
            }
        }
    }

    /** Writes the output of {@code heads} heads from {@code head} on. */
    void writeOutputs(DualScan loops, ScanRows out, int batch, int head, int heads, int token, int count) {
        for (int from = 0; from < count; from += ROWS) {
            int to = Math.min(count, from + ROWS);
            for (int h = 0; h < heads; h++) {
                MemorySegment place = out.slice(batch, token + from, to - from, (head + h) * layout.width(), layout.width());
                loops.emit(layout, y[h], steps[h].since, from, to, place, (int) out.tokenStride());
            }
        }
    }
}
