package dev.sequent.ssm.scan;

import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The backward pass of {@link StateSpaceDualCpu}. With S = C B^T o L, L the products of decays, u = dt x, h the state before a tile and g
 * the gradient of the state after it:
 *
 * <pre>{@code
 * du_j = sum over t >= j of S_tj dy_t + until_j B_j g                   dS_tj = dy_t u_j for t >= j
 * dC_t = since_t dy_t h + sum of (L o dS)_tj B_j                        dB_j = until_j u_j g + sum of (L o dS)_tj C_t
 * dh   = decay of the tile g + sum of since_t dy_t C_t^T
 * }</pre>
 *
 * <p>The logarithm of a decay enters all products that span it, so its gradient is a sum of the terms above over the pairs of tokens on
 * both sides of it.
 */
final class DualBackward {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int TILE = DualLayout.TILE;
    /** Tasks that there should be if the sizes allow: each beyond one for a group takes another copy of the gradients of B and C. */
    private static final int TASKS = 8;

    private final Parallel pool;
    private final DualTiles tiles;
    private final DualCarrier carrier;
    private final ThreadLocal<DualScratch> scratch = new ThreadLocal<>();

    DualBackward(Parallel pool, DualTiles tiles, DualCarrier carrier) {
        this.pool = pool;
        this.carrier = carrier;
        this.tiles = tiles;
    }

    /** One pass: what it reads and writes. */
    private record Pass(DualInputs in, DualLayout layout, MemorySegment saved, ScanRows dy, DualGradients out, MemorySegment memory) {}

    /** Heads of a task. Depends on the sizes only, as the order of sums must. */
    private static int taskHeads(DualShape s) {
        int wanted = Math.ceilDiv(TASKS, s.batch() * s.groups());
        return Math.ceilDiv(s.headsPerGroup(), Math.min(wanted, s.headsPerGroup()));
    }

    private static int parts(DualShape s) {
        return Math.ceilDiv(s.headsPerGroup(), taskHeads(s));
    }

    /** Elements of the gradient of B. */
    private static long matrix(DualShape s) {
        return (long) s.batch() * s.tokens() * s.groups() * s.states();
    }

    private static long sharedFloats(DualShape s) {
        return parts(s) == 1 ? 0 : 2 * parts(s) * matrix(s);
    }

    /** Gradients of A, or D: one number for each chunk, sequence and head. */
    private static long scalars(DualShape s) {
        return (long) DualLayout.of(s).chunks(s.tokens()) * s.batch() * s.heads();
    }

    long workspaceFloats(DualShape s) {
        return sharedFloats(s) + 2 * scalars(s) + (carrier.pays(s) ? StateSpaceDualCpu.savedFloats(s) : 0);
    }

    void run(DualInputs in, MemorySegment saved, ScanRows dy, DualStates dFinalState, DualGradients out, MemorySegment memory) {
        DualShape s = in.shape();
        int parts = parts(s);
        Pass pass = new Pass(in, DualLayout.of(s), saved, dy, out, memory);
        boolean split = carrier.pays(s);
        MemorySegment carries = memory.asSlice((sharedFloats(s) + 2 * scalars(s)) * Float.BYTES);
        if (split) {
            carrier.backward(in, dy, dFinalState, carries);
        }
        int chunks = pass.layout().chunks(s.tokens());
        int pieces = split ? chunks : 1;
        pool.forEach(s.batch() * s.groups() * parts * pieces, index -> {
            int task = index / pieces;
            Task mine = new Task(task / parts / s.groups(), task / parts % s.groups(), task % parts);
            if (split) {
                int chunk = index % pieces;
                task(pass, mine, chunk, chunk + 1, (head, state) -> MemorySegment.copy(
                        StateSpaceDualCpu.savedState(carries, s, pass.layout(), mine.batch(), head, chunk), F32, 0, state, 0,
                        pass.layout().state()));
            } else {
                task(pass, mine, 0, chunks, (head, state) -> {
                    if (dFinalState == null) {
                        Arrays.fill(state, 0);
                    } else {
                        dFinalState.load(s, pass.layout(), mine.batch(), head, state);
                    }
                });
            }
        });
        if (parts > 1) {
            ScanWorkspace.sum(pool, memory, 0, parts, matrix(s), out.b());
            ScanWorkspace.sum(pool, memory, parts * matrix(s), parts, matrix(s), out.c());
        }
        sumScalars(s, memory, sharedFloats(s), out.a());
        sumScalars(s, memory, sharedFloats(s) + scalars(s), out.skip());
    }

    /** Heads of a task: a part of a group of a sequence. */
    private record Task(int batch, int group, int part) {}

    /** Gives the gradient of the state after a task's last chunk. */
    private interface Carry {
        void load(int head, float[] state);
    }

    private static void sumScalars(DualShape s, MemorySegment memory, long start, MemorySegment out) {
        for (int h = 0; out != null && h < s.heads(); h++) {
            double sum = 0;
            for (long i = h; i < scalars(s); i += s.heads()) {
                sum += memory.getAtIndex(F32, start + i);
            }
            out.setAtIndex(F32, h, (float) sum);
        }
    }

    /** Runs chunks from the last to the first; the one with the first of all writes the gradient of the initial state. */
    private void task(Pass pass, Task task, int from, int to, Carry carry) {
        DualInputs in = pass.in();
        DualShape shape = in.shape();
        DualLayout layout = pass.layout();
        DualScratch s = StateSpaceDualCpu.scratch(scratch, layout, taskHeads(shape), true);
        int batch = task.batch();
        int first = task.part() * taskHeads(shape);
        int heads = Math.min(taskHeads(shape), shape.headsPerGroup() - first);
        int firstHead = task.group() * shape.headsPerGroup() + first;
        for (int h = 0; h < heads; h++) {
            carry.load(firstHead + h, s.state(h));
        }
        for (int chunk = to - 1; chunk >= from; chunk--) {
            int token = chunk * layout.chunk();
            int count = Math.min(layout.chunk(), shape.tokens() - token);
            s.pack(tiles, in, batch, task.group(), token, count);
            Arrays.fill(s.bGrad, 0);
            Arrays.fill(s.cGrad, 0);
            Arrays.fill(s.productGrad, 0);
            for (int h = 0; h < heads; h++) {
                s.aGrad = 0;
                s.skipGrad = 0;
                s.packSteps(tiles, in, batch, firstHead + h, token, count);
                replay(pass, s, batch, firstHead + h, token);
                for (int i = s.tiles - 1; i >= 0; i--) {
                    tile(pass, s, batch, firstHead + h, h, token, i);
                }
                long at = sharedFloats(shape) + ((long) chunk * shape.batch() + batch) * shape.heads() + firstHead + h;
                pass.memory().setAtIndex(F32, at, (float) s.aGrad);
                pass.memory().setAtIndex(F32, at + scalars(shape), (float) s.skipGrad);
            }
            storeMatrices(pass, s, batch, task.group(), task.part(), token);
        }
        for (int h = 0; from == 0 && pass.out().initialState() != null && h < heads; h++) {
            pass.out().initialState().store(shape, layout, batch, firstHead + h, s.state(h));
        }
    }

    /** Runs the recurrence of a chunk again, keeping the states before its tiles. */
    private void replay(Pass pass, DualScratch s, int batch, int head, int token) {
        DualInputs in = pass.in();
        MemorySegment state = StateSpaceDualCpu.savedState(pass.saved(), in.shape(), pass.layout(), batch, head,
                token / pass.layout().chunk());
        for (int i = 0; i < s.tiles; i++) {
            boolean reset = in.has(batch, token + s.starts[i], ScanInputs.RESET);
            float[] here = reset ? s.zero() : s.before(s.starts[i]);
            if (i == 0 && !reset) {
                MemorySegment.copy(state, F32, 0, here, 0, here.length);
            }
            if (i + 1 < s.tiles && !in.has(batch, token + s.starts[i + 1], ScanInputs.RESET)) {
                s.prepare(tiles, in, batch, head, token, i);
                float[] next = s.before(s.starts[i + 1]);
                System.arraycopy(here, 0, next, 0, next.length);
                s.advance(tiles, i, s.b, s.xToEnd, next);
            }
        }
    }

    private void tile(Pass pass, DualScratch s, int batch, int head, int local, int chunkStart, int tile) {
        DualInputs in = pass.in();
        DualLayout layout = pass.layout();
        int start = s.starts[tile];
        int rows = s.rows(tile);
        int token = chunkStart + start;
        boolean reset = in.has(batch, token, ScanInputs.RESET);
        float[] carry = s.state(local);
        float[] before = reset ? s.zero() : s.before(start);
        s.prepare(tiles, in, batch, head, chunkStart, tile);
        boolean finite = s.packTile(tiles, in, pass.dy(), batch, head, token, rows, s.since, s.dy, s.dySince);
        tiles.weights(s.products, start * TILE, s.decay, start, rows, s.decays, s.decayed);
        for (int p = 0; p < layout.panels(); p++) {
            int at = p * layout.tilePanel();
            tiles.transpose(s.dy, at, layout.panel(), s.ones, s.dyColumns);
            tiles.transpose(s.x, at, layout.panel(), s.steps, s.driveColumns);
            tiles.project(layout.panel(), s.dy, at, TILE, s.driveColumns, at, s.inner, p > 0);
        }
        tiles.addProducts(s.decays, s.inner, rows * TILE, s.productGrad, start * TILE);
        share(s, layout, before, s.dyColumns, s.since, rows, s.cColumns, s.cGrad, start, s.fromState);
        share(s, layout, carry, s.driveColumns, s.until, rows, s.bColumns, s.bGrad, start, s.toState);
        for (int p = 0; p < layout.panels(); p++) {
            tiles.read(layout.panel(), s.bColumns, s.columnsAt(tile), rows, layout.states(), carry, p * layout.statePanel(), s.until,
                    s.decayed, true, finite, rows, s.dy, p * layout.tilePanel(), s.panel(s.dDrive, p), layout.panel());
        }
        float through = s.since[rows - 1] * tiles.dot(carry, before, layout.state());
        storeInput(pass, s, batch, head, token, start, rows, through);
        if (reset) {
            Arrays.fill(carry, 0);
        } else {
            s.advance(tiles, tile, s.c, s.dySince, carry);
        }
    }

    /** A tile's share of the gradient of B or C that goes through the state, and its inner products with B or C. */
    private void share(DualScratch s, DualLayout layout, float[] state, float[] columns, float[] factors, int rows,
            float[] weights, float[] total, int start, float[] sums) {
        for (int p = 0; p < layout.panels(); p++) {
            tiles.project(layout.panel(), state, p * layout.statePanel(), layout.states(), columns, p * layout.tilePanel(), s.share, p > 0);
        }
        tiles.collect(s.share, layout.states(), factors, rows, weights, start * layout.states(), total, start, layout.chunkRow(), sums);
    }

    /** Writes the gradients of the input and the step sizes of a tile, and adds to those of A and D. */
    private void storeInput(Pass pass, DualScratch s, int batch, int head, int token, int start, int rows, float through) {
        DualInputs in = pass.in();
        DualLayout layout = pass.layout();
        int width = in.shape().width();
        float a = in.a().getAtIndex(F32, head);
        float skip = in.skip() == null ? 0 : in.skip().getAtIndex(F32, head);
        MemorySegment x = in.x().slice(batch, token, rows, head * width, width);
        MemorySegment dy = pass.dy().slice(batch, token, rows, head * width, width);
        MemorySegment dx = pass.out().x().slice(batch, token, rows, head * width, width);
        int xRow = (int) in.x().tokenStride();
        int dxRow = (int) pass.out().x().tokenStride();
        for (int t = 0; t < rows; t++) {
            s.inputDots[t] = 0;
            s.sums[t] = 0;
        }
        for (int p = 0; p < layout.panels(); p++) {
            int at = p * layout.tilePanel();
            int columns = layout.columns(p);
            tiles.combine(s.dDrive, at, layout.panel(), s.steps, dy, p * layout.panel(), (int) pass.dy().tokenStride(), skip, rows, columns,
                    dx, p * layout.panel(), dxRow);
            tiles.dots(x, p * layout.panel(), xRow, s.dDrive, at, layout.panel(), rows, columns, s.inputDots);
            tiles.dots(x, p * layout.panel(), xRow, dy, p * layout.panel(), (int) pass.dy().tokenStride(), rows, columns, s.sums);
        }
        StateSpaceDualCpu.clearPadding(in, batch, token, rows, dx, dxRow, width);
        decayGradients(s, rows, through);
        MemorySegment dDt = pass.out().dt().slice(batch, token, rows, head, 1);
        for (int t = 0; t < rows; t++) {
            boolean padding = in.has(batch, token + t, ScanInputs.SKIP);
            dDt.setAtIndex(F32, t * pass.out().dt().tokenStride(), padding ? 0 : s.inputDots[t] + a * s.fromState[t]);
            s.aGrad += padding ? 0 : s.dt[start + t] * s.fromState[t];
            s.skipGrad += padding ? 0 : s.sums[t];
        }
    }

    /**
     * Replaces {@code fromState} by the gradients of the logarithms of the tile's decays: what comes from the state to tokens from t on,
     * what goes from tokens before t to the state, what passes the tile, and what goes from tokens before t to tokens from t on.
     */
    private static void decayGradients(DualScratch s, int rows, float through) {
        float[] across = new float[TILE];
        float later = 0;
        for (int t = rows - 1; t >= 0; t--) {
            later += s.fromState[t];
            s.fromState[t] = later + through;
        }
        float earlier = 0;
        for (int t = 0; t < rows; t++) {
            s.fromState[t] += earlier;
            earlier += s.toState[t];
            float sum = 0;
            for (int i = t; i < rows; i++) {
                if (t > 0) {
                    int at = i * TILE + t - 1;
                    across[i] += s.decayed[at] * s.inner[at];
                }
                sum += across[i];
            }
            s.fromState[t] += sum;
        }
    }

    /** Writes the gradients of B and C of a chunk: what went through the state, and what went from token to token. */
    private void storeMatrices(Pass pass, DualScratch s, int batch, int group, int part, int token) {
        DualShape shape = pass.in().shape();
        boolean single = parts(shape) == 1;
        MemorySegment db = single ? pass.out().b() : pass.memory().asSlice(part * matrix(shape) * Float.BYTES);
        MemorySegment dc = single ? pass.out().c() : pass.memory().asSlice((parts(shape) + part) * matrix(shape) * Float.BYTES);
        for (int i = 0; i < s.tiles; i++) {
            for (int t = s.starts[i]; t < s.starts[i + 1]; t++) {
                long at = ((((long) batch * shape.tokens() + token + t) * shape.groups()) + group) * shape.states();
                storeRow(pass, s, s.bGrad, s.c, i, t, true, db.asSlice(at * Float.BYTES, (long) shape.states() * Float.BYTES));
                storeRow(pass, s, s.cGrad, s.b, i, t, false, dc.asSlice(at * Float.BYTES, (long) shape.states() * Float.BYTES));
            }
        }
    }

    private void storeRow(Pass pass, DualScratch s, float[] columns, float[] source, int tile, int t, boolean isB,
            MemorySegment out) {
        int n = pass.layout().states();
        int row = pass.layout().chunkRow();
        for (int i = 0; i < n; i++) {
            s.row[i] = columns[i * row + t];
        }
        for (int i = isB ? t : s.starts[tile]; i < (isB ? s.starts[tile + 1] : t + 1); i++) {
            int from = isB ? i : t;
            int column = (isB ? t : i) - s.starts[tile];
            tiles.add(s.productGrad[from * TILE + column], source, i * n, n, s.row, 0);
        }
        MemorySegment.copy(s.row, 0, out, F32, 0, pass.in().shape().states());
    }
}
