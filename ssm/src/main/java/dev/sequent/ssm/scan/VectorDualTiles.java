package dev.sequent.ssm.scan;

import dev.sequent.fused.LaneSum;
import dev.sequent.fused.RowMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** The loops of the state-space dual's tiles in the Vector API; products of matrices are in {@link VectorDualProducts}. */
final class VectorDualTiles implements DualTiles {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder LE = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final int L = S.length();
    private static final int TILE = DualLayout.TILE;
    private static final int W = DualLayout.WIDE;
    /** Row t is 1 in column t. */
    private static final float[] IDENTITY = identity();

    /** Distances of a column's elements in panels. */
    private static final int[] COLUMN_OF_WIDE = column(W);
    private static final int[] COLUMN_OF_TILE = column(TILE);

    private static int[] column(int row) {
        int[] at = new int[L];
        Arrays.setAll(at, t -> t * row);
        return at;
    }

    private static float[] identity() {
        float[] i = new float[TILE * TILE];
        for (int t = 0; t < TILE; t++) {
            i[t * TILE + t] = 1;
        }
        return i;
    }

    private static FloatVector load(MemorySegment source, int index) {
        return FloatVector.fromMemorySegment(S, source, index * 4L, LE);
    }

    private static FloatVector load(float[] source, int index) {
        return FloatVector.fromArray(S, source, index);
    }

    private static MemorySegment part(MemorySegment s, int at, int floats) {
        return s.asSlice(at * 4L, floats * 4L);
    }

    @Override
    public RowMath rowMath() {
        return RowMath.of(true);
    }

    @Override
    public void products(float[] a, int aAt, int k, float[] b, int bAt, int bRow, float[] out, int outAt) {
        VectorDualProducts.products(a, aAt, k, b, bAt, bRow, out, outAt);
    }

    @Override
    public void read(int panel, float[] a, int aAt, int aRow, int states, float[] state, int stateAt, float[] factors,
            int factorsAt, float[] mix, boolean finite, int rows, float[] x, int xAt, MemorySegment out,
            int outRow) {
        VectorDualProducts.read(panel, a, aAt, aRow, states, state, stateAt, factors, factorsAt, mix, finite, rows, x, xAt, out, outRow);
    }

    @Override
    public void advance(int panel, float[] a, int aAt, int aRow, int rows, float[] x, int xAt, float[] from, int fromAt, float[] to,
            int toAt, int states, float decay) {
        VectorDualProducts.advance(panel, a, aAt, aRow, rows, x, xAt, from, fromAt, to, toAt, states, decay);
    }

    @Override
    public void project(int panel, int panels, float[] a, int aAt, int aPanel, int rows, float[] columns, float[] out) {
        VectorDualProducts.project(panel, panels, a, aAt, aPanel, rows, columns, out);
    }

    @Override
    public boolean pack(MemorySegment x, int xRow, int rows, int columns, int panel, float[] factors, int factorsAt, float[] plain,
            float[] scaled, int at) {
        MemorySegment xs = part(x, 0, (rows - 1) * xRow + columns);
        int whole = columns - columns % L;
        FloatVector zeros = FloatVector.zero(S);
        float rest = 0;
        for (int t = 0; t < rows; t++) {
            FloatVector f = FloatVector.broadcast(S, factors[factorsAt + t]);
            int to = at + t * panel;
            for (int j = 0; j < whole; j += L) {
                FloatVector v = load(xs, t * xRow + j);
                zeros = v.fma(FloatVector.zero(S), zeros);
                v.intoArray(plain, to + j);
                v.mul(f).intoArray(scaled, to + j);
            }
            for (int j = whole; j < panel; j++) {
                float v = j < columns ? xs.get(F32, (t * xRow + j) * 4L) : 0;
                rest += v * 0;
                plain[to + j] = v;
                scaled[to + j] = v * factors[factorsAt + t];
            }
        }
        return rest == 0 && zeros.compare(VectorOperators.EQ, 0f).allTrue();
    }

    @Override
    public void copy(MemorySegment from, int fromRow, int rows, int columns, MemorySegment to, int toRow) {
        MemorySegment source = part(from, 0, (rows - 1) * fromRow + columns);
        MemorySegment target = part(to, 0, (rows - 1) * toRow + columns);
        int whole = columns - columns % L;
        for (int t = 0; t < rows; t++) {
            for (int j = 0; j < whole; j += L) {
                FloatVector v = FloatVector.fromMemorySegment(S, source, (t * fromRow + j) * 4L, LE);
                v.intoMemorySegment(target, (t * toRow + j) * 4L, LE);
            }
            for (int j = whole; j < columns; j++) {
                target.set(F32, (t * toRow + j) * 4L, source.get(F32, (t * fromRow + j) * 4L));
            }
        }
    }

    @Override
    public void weights(float[] m, int mAt, float[] decay, int from, int rows, float[] l, float[] s) {
        for (int j = 0; j < TILE; j += L) {
            FloatVector row = FloatVector.zero(S);
            for (int t = 0; t < TILE; t++) {
                VectorMask<Float> beyond = VectorMask.fromLong(S, t < rows ? beyond(t + 1 - j) : -1L);
                row = row.fma(FloatVector.broadcast(S, decay[from + t]), FloatVector.fromArray(S, IDENTITY, t * TILE + j)).blend(0f,
                        beyond);
                row.intoArray(l, t * TILE + j);
                row.mul(FloatVector.fromArray(S, m, mAt + t * TILE + j)).blend(0f, beyond).intoArray(s, t * TILE + j);
            }
        }
    }

    /** The lanes from {@code count} on. */
    private static long beyond(int count) {
        return -1L << Math.clamp(count, 0, L);
    }

    @Override
    public void inputGradients(MemorySegment drive, float[] x, float[] dy, int at, int panel, float[] steps, int stepsAt, float skip,
            int rows, int columns, MemorySegment dx, int dxRow, float[] driveDots, float[] skipDots) {
        MemorySegment ds = part(drive, 0, rows * panel);
        MemorySegment out = part(dx, 0, (rows - 1) * dxRow + columns);
        int whole = columns - columns % L;
        for (int t = 0; t < rows; t++) {
            FloatVector step = FloatVector.broadcast(S, steps[stepsAt + t]);
            FloatVector driveSum = FloatVector.zero(S);
            FloatVector skipSum = FloatVector.zero(S);
            int row = at + t * panel;
            for (int j = 0; j < whole; j += L) {
                FloatVector d = load(ds, t * panel + j);
                FloatVector v = load(x, row + j);
                FloatVector g = load(dy, row + j);
                d.fma(step, g.mul(skip)).intoMemorySegment(out, (t * dxRow + j) * 4L, LE);
                driveSum = d.fma(v, driveSum);
                skipSum = g.fma(v, skipSum);
            }
            float driveRest = 0;
            float skipRest = 0;
            for (int j = whole; j < columns; j++) {
                float d = ds.get(F32, (t * panel + j) * 4L);
                out.set(F32, (t * dxRow + j) * 4L, Math.fma(d, steps[stepsAt + t], dy[row + j] * skip));
                driveRest = Math.fma(d, x[row + j], driveRest);
                skipRest = Math.fma(dy[row + j], x[row + j], skipRest);
            }
            driveDots[t] += LaneSum.of(driveSum) + driveRest;
            skipDots[t] += LaneSum.of(skipSum) + skipRest;
        }
    }

    @Override
    public float dot(float[] x, float[] y, int at, int count) {
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = FloatVector.zero(S);
        FloatVector s2 = FloatVector.zero(S);
        FloatVector s3 = FloatVector.zero(S);
        FloatVector s4 = FloatVector.zero(S);
        FloatVector s5 = FloatVector.zero(S);
        FloatVector s6 = FloatVector.zero(S);
        FloatVector s7 = FloatVector.zero(S);
        for (int i = at; i < at + count; i += 8 * L) {
            s0 = FloatVector.fromArray(S, x, i).fma(FloatVector.fromArray(S, y, i), s0);
            s1 = FloatVector.fromArray(S, x, i + L).fma(FloatVector.fromArray(S, y, i + L), s1);
            s2 = FloatVector.fromArray(S, x, i + 2 * L).fma(FloatVector.fromArray(S, y, i + 2 * L), s2);
            s3 = FloatVector.fromArray(S, x, i + 3 * L).fma(FloatVector.fromArray(S, y, i + 3 * L), s3);
            s4 = FloatVector.fromArray(S, x, i + 4 * L).fma(FloatVector.fromArray(S, y, i + 4 * L), s4);
            s5 = FloatVector.fromArray(S, x, i + 5 * L).fma(FloatVector.fromArray(S, y, i + 5 * L), s5);
            s6 = FloatVector.fromArray(S, x, i + 6 * L).fma(FloatVector.fromArray(S, y, i + 6 * L), s6);
            s7 = FloatVector.fromArray(S, x, i + 7 * L).fma(FloatVector.fromArray(S, y, i + 7 * L), s7);
        }
        return LaneSum.of(s0.add(s1).add(s2.add(s3)).add(s4.add(s5).add(s6.add(s7))));
    }

    @Override
    public void transpose(float[] x, int xAt, int rows, int columns, float[] factors, int factorsAt, float[] out, int outAt) {
        int[] column = columns == W ? COLUMN_OF_WIDE : COLUMN_OF_TILE;
        for (int t = 0; t < TILE; t += L) {
            FloatVector f = FloatVector.fromArray(S, factors, factorsAt + t);
            VectorMask<Float> beyond = VectorMask.fromLong(S, beyond(rows - t));
            for (int j = 0; j < columns; j++) {
                FloatVector.fromArray(S, x, xAt + t * columns + j, column, 0).mul(f).blend(0f, beyond).intoArray(out, outAt + j * TILE + t);
            }
        }
    }

    @Override
    public void collect(float[] x, int states, float[] factors, int factorsAt, int rows, float[] weights, int weightsAt, float[] total,
            int totalAt, int row, float[] sums) {
        for (int j = 0; j < TILE; j += L) {
            VectorMask<Float> beyond = VectorMask.fromLong(S, beyond(rows - j));
            FloatVector f = FloatVector.fromArray(S, factors, factorsAt + j);
            FloatVector sum = FloatVector.zero(S);
            for (int n = 0; n < states; n++) {
                FloatVector value = load(x, n * TILE + j).mul(f).blend(0f, beyond);
                load(total, totalAt + n * row + j).add(value).intoArray(total, totalAt + n * row + j);
                sum = value.fma(load(weights, weightsAt + n * rows + j), sum);
            }
            sum.intoArray(sums, j);
        }
    }

    @Override
    public void addProducts(float[] l, float[] k, int count, float[] total, int totalAt) {
        for (int i = 0; i < count; i += L) {
            load(l, i).fma(load(k, i), load(total, totalAt + i)).intoArray(total, totalAt + i);
        }
    }
}
