package dev.sequent.ssm.scan;

import dev.sequent.fused.Rows;
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
    private static final int TASKS = 4;

    private final Parallel pool;
    private final DualScan loops;
    private final DualTiles tiles;
    private final DualCarrier carrier;
    private final DualPacking packing;
    private final ThreadLocal<DualScratch> scratch = new ThreadLocal<>();

    DualBackward(Parallel pool, DualScan loops, DualTiles tiles, DualCarrier carrier) {
        this.pool = pool;
        this.loops = loops;
        this.tiles = tiles;
        this.carrier = carrier;
        this.packing = new DualPacking(pool, tiles);
    }

    /** One pass: what it reads and writes. */
    private record Pass(DualInputs in, DualLayout layout, MemorySegment saved, ScanRows dy, DualGradients out, MemorySegment memory,
            MemorySegment packed) {}

    /** Heads of a task. Depends on the sizes only, as the order of sums must. */
    private static int taskHeads(DualShape s) {
        int wanted = Math.ceilDiv(TASKS, s.batch() * s.groups());
        return Math.ceilDiv(s.headsPerGroup(), Math.min(wanted, s.headsPerGroup()));
    }

    /** Whether chunks are tasks. */
    private boolean split(DualShape s) {
        return carrier.pays(s, s.batch() * s.groups() * parts(s));
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
        return carriesAt(s) + (split(s) ? StateSpaceDualCpu.savedFloats(s) : 0);
    }

    private static long packedAt(DualShape s) {
        return sharedFloats(s) + 2 * scalars(s);
    }

    private long carriesAt(DualShape s) {
        return packedAt(s) + (parts(s) == 1 ? 0 : packing.floats(s));
    }

    void run(DualInputs in, MemorySegment saved, ScanRows dy, DualStates dFinalState, DualGradients out, MemorySegment memory) {
        DualShape s = in.shape();
        int parts = parts(s);
        MemorySegment packed = parts == 1 ? null : memory.asSlice(packedAt(s) * Float.BYTES);
        if (packed != null) {
            packing.run(in, packed);
        }
        Pass pass = new Pass(in, DualLayout.of(s), saved, dy, out, memory, packed);
        boolean split = split(s);
        MemorySegment carries = memory.asSlice(carriesAt(s) * Float.BYTES);
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
            Rows.sumParts(pool, tiles.rowMath(), memory, 0, parts, matrix(s), out.b());
            Rows.sumParts(pool, tiles.rowMath(), memory, parts * matrix(s), parts, matrix(s), out.c());
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
        DualScratch s = DualScratch.of(scratch, layout, taskHeads(shape));
        int batch = task.batch();
        int first = task.part() * taskHeads(shape);
        int heads = Math.min(taskHeads(shape), shape.headsPerGroup() - first);
        int firstHead = task.group() * shape.headsPerGroup() + first;
        for (int h = 0; h < heads; h++) {
            carry.load(firstHead + h, s.state(h));
        }
        for (int chunk = to - 1; chunk >= from; chunk--) {
            chunk(pass, s, task, firstHead, heads, chunk);
        }
        for (int h = 0; from == 0 && pass.out().initialState() != null && h < heads; h++) {
            pass.out().initialState().store(shape, layout, batch, firstHead + h, s.state(h));
        }
    }

    private void chunk(Pass pass, DualScratch s, Task task, int firstHead, int heads, int chunk) {
        DualInputs in = pass.in();
        DualShape shape = in.shape();
        int batch = task.batch();
        int token = chunk * pass.layout().chunk();
        int count = Math.min(pass.layout().chunk(), shape.tokens() - token);
        packing.load(pass.packed(), in, batch, task.group(), chunk, s.matrices);
        Arrays.fill(s.bGrad, 0);
        Arrays.fill(s.cGrad, 0);
        Arrays.fill(s.productGrad, 0);
        s.readRows(tiles, in, pass.dy(), batch, firstHead, heads, token, count);
        for (int h = 0; h < heads; h++) {
            s.aGrad = 0;
            s.skipGrad = 0;
            s.packSteps(loops, in, batch, firstHead + h, token, count);
            replay(pass, s, batch, firstHead + h, h, token);
            for (int i = s.matrices.tiles - 1; i >= 0; i--) {
                tile(pass, s, batch, firstHead + h, h, token, i);
            }
            long at = sharedFloats(shape) + ((long) chunk * shape.batch() + batch) * shape.heads() + firstHead + h;
            pass.memory().setAtIndex(F32, at, (float) s.aGrad);
            pass.memory().setAtIndex(F32, at + scalars(shape), (float) s.skipGrad);
        }
        s.writeRows(tiles, pass.out().x(), batch, firstHead, heads, token, count);
        int width = heads * shape.width();
        MemorySegment dx = pass.out().x().slice(batch, token, count, firstHead * shape.width(), width);
        StateSpaceDualCpu.clearPadding(in, batch, token, count, dx, pass.out().x().tokenStride(), width);
        storeMatrices(pass, s, batch, task.group(), task.part(), token);
    }

    /** Runs the recurrence of a chunk again, keeping the states before its tiles. */
    private void replay(Pass pass, DualScratch s, int batch, int head, int local, int token) {
        DualInputs in = pass.in();
        DualMatrices m = s.matrices;
        MemorySegment state = StateSpaceDualCpu.savedState(pass.saved(), in.shape(), pass.layout(), batch, head,
                token / pass.layout().chunk());
        for (int i = 0; i < m.tiles; i++) {
            boolean reset = in.has(batch, token + m.starts[i], ScanInputs.RESET);
            float[] here = reset ? s.zero() : s.before(m.starts[i]);
            if (i == 0 && !reset) {
                MemorySegment.copy(state, F32, 0, here, 0, here.length);
            }
            boolean continued = i + 1 < m.tiles && !in.has(batch, token + m.starts[i + 1], ScanInputs.RESET);
            for (int p = 0; continued && p < pass.layout().panels(); p++) {
                s.pack(tiles, in, s.rows(false, local, i), pass.layout().width(), batch, p, token, i, s.weights, s.x, s.scaled, 0);
                s.advance(tiles, i, m.b, s.scaled, 0, here, s.before(m.starts[i + 1]), p);
            }
        }
    }

    private void tile(Pass pass, DualScratch s, int batch, int head, int local, int chunkStart, int tile) {
        DualLayout layout = pass.layout();
        int start = s.matrices.starts[tile];
        int rows = s.matrices.rows(tile);
        boolean reset = pass.in().has(batch, chunkStart + start, ScanInputs.RESET);
        float[] carry = s.state(local);
        float[] before = reset ? s.zero() : s.before(start);
        tiles.weights(s.matrices.products, start * TILE, s.steps.decay, start, rows, s.decays, s.decayed);
        boolean finite = true;
        for (int p = 0; p < layout.panels(); p++) {
            int at = p * layout.tilePanel();
            s.pack(tiles, pass.in(), s.rows(false, local, tile), layout.width(), batch, p, chunkStart, tile, s.weights, s.x, s.scaled, at);
            finite &= s.pack(tiles, pass.in(), s.rows(true, local, tile), layout.width(), batch, p, chunkStart, tile, s.since, s.dy,
                    s.dySince, at);
            tiles.transpose(s.dy, at, rows, layout.panel(), s.ones, 0, s.dyColumns, at);
            tiles.transpose(s.x, at, rows, layout.panel(), s.steps.dt, start, s.driveColumns, at);
        }
        tiles.project(layout.panel(), layout.panels(), s.dy, 0, layout.tilePanel(), TILE, s.driveColumns, s.inner);
        tiles.addProducts(s.decays, s.inner, rows * TILE, s.productGrad, start * TILE);
        share(s, layout, before, s.dyColumns, s.since, rows, s.matrices.cColumns, s.cGrad, start, s.fromState);
        share(s, layout, carry, s.driveColumns, s.until, rows, s.matrices.bColumns, s.bGrad, start, s.toState);
        Arrays.fill(s.inputDots, 0);
        Arrays.fill(s.sums, 0);
        float through = 0;
        for (int p = 0; p < layout.panels(); p++) {
            input(pass, s, head, local, tile, p, finite);
            int at = p * layout.statePanel();
            through += tiles.dot(carry, before, at, layout.statePanel());
            if (reset) {
                Arrays.fill(carry, at, at + layout.statePanel(), 0);
            } else {
                s.advance(tiles, tile, s.matrices.c, s.dySince, p * layout.tilePanel(), carry, carry, p);
            }
        }
        decayGradients(s, rows, s.decay(tile) * through);
        storeSteps(pass, s, batch, head, chunkStart + start, start, rows);
    }

    /** A tile's share of the gradient of B or C that goes through the state, and its inner products with B or C. */
    private void share(DualScratch s, DualLayout layout, float[] state, float[] columns, float[] factors, int rows,
            float[] weights, float[] total, int start, float[] sums) {
        tiles.project(layout.panel(), layout.panels(), state, 0, layout.statePanel(), layout.states(), columns, s.share);
        tiles.collect(s.share, layout.states(), factors, start, rows, weights, start * layout.states(), total, start, layout.chunkRow(),
                sums);
    }

    /** Forms a panel of the gradient of the input of a tile. */
    private void input(Pass pass, DualScratch s, int head, int local, int tile, int panel, boolean finite) {
        DualInputs in = pass.in();
        DualLayout layout = pass.layout();
        int start = s.matrices.starts[tile];
        int rows = s.matrices.rows(tile);
        int at = panel * layout.tilePanel();
        tiles.read(layout.panel(), s.matrices.bColumns, s.matrices.columnsAt(tile), rows, layout.states(), s.state(local),
                panel * layout.statePanel(), s.until, start, s.decayed, finite, rows, s.dy, at, s.drive, layout.panel());
        float skip = in.skip() == null ? 0 : in.skip().getAtIndex(F32, head);
        int columns = layout.columns(panel);
        MemorySegment dx = s.gradientRows(local, tile).asSlice((long) panel * layout.panel() * Float.BYTES);
        tiles.inputGradients(s.drive, s.x, s.dy, at, layout.panel(), s.steps.dt, start, skip, rows, columns, dx, layout.width(),
                s.inputDots, s.sums);
    }

    /** Writes the gradients of the step sizes of a tile, and adds to those of A and D. */
    private static void storeSteps(Pass pass, DualScratch s, int batch, int head, int token, int start, int rows) {
        DualInputs in = pass.in();
        float a = in.a().getAtIndex(F32, head);
        MemorySegment dDt = pass.out().dt().slice(batch, token, rows, head, 1);
        for (int t = 0; t < rows; t++) {
            boolean padding = in.has(batch, token + t, ScanInputs.SKIP);
            dDt.setAtIndex(F32, t * pass.out().dt().tokenStride(), padding ? 0 : s.inputDots[t] + a * s.fromState[t]);
            s.aGrad += padding ? 0 : s.steps.dt[start + t] * s.fromState[t];
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
        for (int i = 0; i < s.matrices.tiles; i++) {
            transposeProducts(s, i);
            storeTile(pass, s, s.bGrad, s.productGrad, s.matrices.starts[i] * TILE, s.matrices.c, i, db, batch, group, token);
            storeTile(pass, s, s.cGrad, s.productColumns, 0, s.matrices.b, i, dc, batch, group, token);
        }
    }

    private static void transposeProducts(DualScratch s, int tile) {
        int rows = s.matrices.rows(tile);
        int at = s.matrices.starts[tile] * TILE;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < TILE; j++) {
                s.productColumns[j * TILE + t] = s.productGrad[at + t * TILE + j];
            }
        }
    }

    /** Rows of a tile of the gradient of B or C: {@code columns} transposed, and the products times the rows of the other one. */
    private void storeTile(Pass pass, DualScratch s, float[] columns, float[] products, int productsAt, float[] other, int tile,
            MemorySegment target, int batch, int group, int token) {
        DualShape shape = pass.in().shape();
        int n = pass.layout().states();
        int row = pass.layout().chunkRow();
        int start = s.matrices.starts[tile];
        int rows = s.matrices.rows(tile);
        for (int i = 0; i < n; i++) {
            for (int t = 0; t < rows; t++) {
                s.rows[t * n + i] = columns[i * row + start + t];
            }
        }
        tiles.advance(n, products, productsAt, TILE, rows, other, s.matrices.columnsAt(tile), s.rows, 0, s.rows, 0, TILE, 1);
        for (int t = 0; t < rows; t++) {
            long at = ((((long) batch * shape.tokens() + token + start + t) * shape.groups()) + group) * shape.states();
            MemorySegment.copy(s.rows, t * n, target, F32, at * Float.BYTES, shape.states());
        }
    }
}
