package dev.sequent.backend.nd4j;

import dev.sequent.op.ReduceOp;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Reductions, scans and orders as loops of ours over ND4J's buffers. Operands are dense and seen as {@code (outer, n, inner)} with the
 * axis in the middle; floats accumulate in double and are rounded once, in a fixed order. Thread-safe.
 */
final class HostReductions {
    private HostReductions() {}

    /** Sizes around an axis. */
    record Axis(long outer, int n, int inner) {}

    /** Reduces the middle axis of {@code x} to {@code y} of size {@code outer inner}. */
    static void reduce(ReduceOp op, Axis axis, Dense x, Dense y) {
        MemorySegment in = x.segment();
        MemorySegment out = y.segment();
        DType dtype = x.dtype();
        int inner = axis.inner();
        int rows = Math.max(1, Elements.RUN / Math.max(1, inner));
        if (dtype.isFloat()) {
            double[] partial = new double[inner];
            double[] run = new double[Math.min(rows, Math.max(1, axis.n())) * inner];
            for (long o = 0; o < axis.outer(); o++) {
                Arrays.fill(partial, op.identity());
                for (int k = 0; k < axis.n(); k += rows) {
                    int count = Math.min(rows, axis.n() - k);
                    Elements.load(dtype, in, (o * axis.n() + k) * inner, count * inner, run);
                    accumulate(op, run, count, partial);
                }
                Elements.store(dtype, out, o * inner, inner, partial);
            }
        } else {
            long[] partial = new long[inner];
            long[] run = new long[inner];
            for (long o = 0; o < axis.outer(); o++) {
                Arrays.fill(partial, dtype == DType.I32 ? (int) op.identity() : (long) op.identity());
                for (int k = 0; k < axis.n(); k++) {
                    Elements.load(dtype, in, (o * axis.n() + k) * inner, inner, run);
                    for (int i = 0; i < inner; i++) {
                        partial[i] = op.applyInteger(partial[i], run[i]);
                    }
                }
                Elements.store(dtype, out, o * inner, inner, partial);
            }
        }
    }

    /** Adds {@code count} rows of {@code run} to {@code partial}. */
    private static void accumulate(ReduceOp op, double[] run, int count, double[] partial) {
        int inner = partial.length;
        if (op == ReduceOp.SUM && inner == 1) {
            // four chains: one alone would wait for every addition
            double a = 0;
            double b = 0;
            double c = 0;
            double d = 0;
            int k = 0;
            for (; k + 3 < count; k += 4) {
                a += run[k];
                b += run[k + 1];
                c += run[k + 2];
                d += run[k + 3];
            }
            for (; k < count; k++) {
                a += run[k];
            }
            partial[0] += a + b + (c + d);
            return;
        }
        for (int k = 0; k < count; k++) {
            int row = k * inner;
            if (op == ReduceOp.SUM) {
                for (int i = 0; i < inner; i++) {
                    partial[i] += run[row + i];
                }
            } else {
                for (int i = 0; i < inner; i++) {
                    partial[i] = op.apply(partial[i], run[row + i]);
                }
            }
        }
    }

    /** Position of the first extreme along the middle axis; NaN is more extreme than any number. */
    static void argReduce(ReduceOp op, Axis axis, Dense x, Dense y) {
        MemorySegment in = x.segment();
        MemorySegment out = y.segment();
        DType dtype = x.dtype();
        int inner = axis.inner();
        long[] best = new long[inner];
        double[] row = new double[inner];
        double[] held = new double[inner];
        long[] exactRow = new long[dtype.isFloat() ? 0 : inner];
        long[] exactHeld = new long[exactRow.length];
        for (long o = 0; o < axis.outer(); o++) {
            for (int k = 0; k < axis.n(); k++) {
                long from = (o * axis.n() + k) * inner;
                if (dtype.isFloat()) {
                    Elements.load(dtype, in, from, inner, row);
                    for (int i = 0; i < inner; i++) {
                        boolean isBetter = op == ReduceOp.MAX ? row[i] > held[i] : row[i] < held[i];
                        if (k == 0 || isBetter || Double.isNaN(row[i]) && !Double.isNaN(held[i])) {
                            held[i] = row[i];
                            best[i] = k;
                        }
                    }
                } else {
                    Elements.load(dtype, in, from, inner, exactRow);
                    for (int i = 0; i < inner; i++) {
                        if (k == 0 || (op == ReduceOp.MAX ? exactRow[i] > exactHeld[i] : exactRow[i] < exactHeld[i])) {
                            exactHeld[i] = exactRow[i];
                            best[i] = k;
                        }
                    }
                }
            }
            Elements.store(DType.I64, out, o * inner, inner, best);
        }
    }

    /** Inclusive cumulative reduction along the middle axis. */
    static void scan(ReduceOp op, Axis axis, boolean reverse, Dense x, Dense y) {
        MemorySegment in = x.segment();
        MemorySegment out = y.segment();
        DType dtype = x.dtype();
        int inner = axis.inner();
        double[] partial = new double[inner];
        double[] row = new double[inner];
        long[] exactPartial = new long[dtype.isFloat() ? 0 : inner];
        long[] exactRow = new long[exactPartial.length];
        for (long o = 0; o < axis.outer(); o++) {
            for (int step = 0; step < axis.n(); step++) {
                long from = (o * axis.n() + (reverse ? axis.n() - 1 - step : step)) * inner;
                if (dtype.isFloat()) {
                    Elements.load(dtype, in, from, inner, row);
                    for (int i = 0; i < inner; i++) {
                        partial[i] = step == 0 ? row[i] : op.apply(partial[i], row[i]);
                    }
                    Elements.store(dtype, out, from, inner, partial);
                } else {
                    Elements.load(dtype, in, from, inner, exactRow);
                    for (int i = 0; i < inner; i++) {
                        exactPartial[i] = step == 0 ? exactRow[i] : op.applyInteger(exactPartial[i], exactRow[i]);
                    }
                    Elements.store(dtype, out, from, inner, exactPartial);
                }
            }
        }
    }

    /** Positions of the {@code k} largest of every row of {@code n} elements; NaN first, both zeros equal, ties in order. */
    static void topK(int n, int k, Dense x, Dense y) {
        MemorySegment in = x.segment();
        DType dtype = x.dtype();
        double[] row = new double[n];
        long[] exact = new long[dtype.isFloat() ? 0 : n];
        long[] best = new long[k];
        for (long r = 0; r < (n == 0 ? 0 : x.size() / n); r++) {
            if (dtype.isFloat()) {
                Elements.load(dtype, in, r * n, n, row);
                for (int i = 0; i < n; i++) {
                    row[i] += 0.0;
                }
            } else {
                Elements.load(dtype, in, r * n, n, exact);
            }
            // the sort is stable, so equal elements keep their ascending positions
            int[] order = IntStream.range(0, n).boxed()
                    .sorted((i, j) -> dtype.isFloat() ? Double.compare(row[j], row[i]) : Long.compare(exact[j], exact[i]))
                    .limit(k).mapToInt(Integer::intValue).toArray();
            for (int i = 0; i < k; i++) {
                best[i] = order[i];
            }
            Elements.store(DType.I64, y.segment(), r * k, k, best);
        }
    }

    /** Product of integer matrices, exact modulo the dtype's range; {@code a} is (batch, m, k) and {@code b} (batch, n, k). */
    static void matmul(long batch, int m, int n, int k, Dense a, Dense b, Dense y) {
        MemorySegment left = a.segment();
        MemorySegment right = b.segment();
        DType dtype = a.dtype();
        long[] row = new long[k];
        long[] column = new long[k];
        long[] sum = new long[1];
        for (long i = 0; i < batch * m; i++) {
            Elements.load(dtype, left, i * k, k, row);
            for (int j = 0; j < n; j++) {
                Elements.load(dtype, right, (i / m * n + j) * k, k, column);
                sum[0] = 0;
                for (int p = 0; p < k; p++) {
                    sum[0] += row[p] * column[p];
                }
                Elements.store(dtype, y.segment(), i * n + j, 1, sum);
            }
        }
    }
}
