package dev.sequent.fused.norm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sequent.fused.RowMath;
import dev.sequent.fused.Rows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * RMS and layer normalisation of the rows of a matrix in host memory, F32, forward and backward, optionally after a residual addition.
 *
 * <p>With z = (s - mean) rstd: y = z w + b. Layer normalisation (Ba et al. 2016) takes the row's mean and 1 / sqrt(variance + eps);
 * RMS normalisation (Zhang and Sennrich 2019) has mean 0 and rstd = 1 / sqrt(mean(s^2) + eps). Backward, with g = dy w:
 * ds = rstd (g - mean(g) - z mean(g z)), where RMS normalisation lacks the term mean(g); dw = sum of dy z and db = sum of dy over rows.
 *
 * <p>Thread-safe: no state.
 */
final class NormRows {
    private final RowMath math;
    private final NormMath norm;

    NormRows(RowMath math, NormMath norm) {
        this.math = math;
        this.norm = norm;
    }

    static NormRows of(boolean vector) {
        return new NormRows(RowMath.of(vector), NormMath.of(vector));
    }

    /**
     * Arguments of {@link NormRows#forward}.
     *
     * @param x input (rows, width)
     * @param residual added to x before it is normalised (rows, width), or null
     * @param sum receives s = x + residual (rows, width); null without residual
     * @param weight w (width)
     * @param bias b (width), or null
     * @param y receives the output (rows, width)
     * @param mean receives the mean of every row (rows); null for RMS normalisation
     * @param rstd receives the reciprocal deviation of every row (rows)
     */
    record Forward(MemorySegment x, MemorySegment residual, MemorySegment sum, MemorySegment weight, MemorySegment bias, MemorySegment y,
        MemorySegment mean, MemorySegment rstd, int rows, int width, float eps) {}

    /**
     * Arguments of {@link NormRows#backward}.
     *
     * @param dy gradient of the output (rows, width)
     * @param dsum gradient that reaches s on another way (rows, width), or null
     * @param s what was normalised: the forward pass's sum, or x without residual (rows, width)
     * @param mean what the forward pass saved, or null
     * @param dx receives the gradient of s, which is that of x and that of the residual (rows, width); may be {@code dy}
     * @param dweight receives the gradient of w (width)
     * @param dbias receives the gradient of b (width), or null
     * @param scratch at least {@link NormRows#scratchFloats} floats of any content
     */
    record Backward(MemorySegment dy, MemorySegment dsum, MemorySegment s, MemorySegment weight, MemorySegment mean, MemorySegment rstd,
        MemorySegment dx, MemorySegment dweight, MemorySegment dbias, MemorySegment scratch, int rows, int width) {}

    /** Floats of scratch memory that {@link #backward} needs: one partial column sum per block of rows, for dw and for db. */
    static long scratchFloats(int rows, int width, boolean bias) {
        return (long) Rows.blocks(rows) * width * (bias ? 2 : 1);
    }

    void forward(Parallel parallel, Forward f) {
        Rows.forEach(parallel, f.rows, f.width, (from, to) -> {
            for (int r = from; r < to; r++) {
                forwardRow(f, r);
            }
        });
    }

    private void forwardRow(Forward f, int row) {
        int n = f.width;
        long at = (long) row * n;
        MemorySegment s = f.x;
        if (f.residual != null) {
            s = f.sum;
            math.add(f.x, at, f.residual, at, s, at, n);
        }
        float mean = 0;
        if (f.mean != null) {
            mean = math.sum(s, at, n) / n;
            f.mean.setAtIndex(JAVA_FLOAT, row, mean);
        }
        float rstd = (float) (1 / Math.sqrt(math.sumSquares(s, at, mean, n) / n + f.eps));
        f.rstd.setAtIndex(JAVA_FLOAT, row, rstd);
        if (f.bias == null) {
            norm.apply(s, at, mean, rstd, f.weight, f.y, at, n);
        } else {
            norm.apply(s, at, mean, rstd, f.weight, f.bias, f.y, at, n);
        }
    }

    void backward(Parallel parallel, Backward b) {
        int blocks = Rows.blocks(b.rows);
        int size = Rows.blockRows(b.rows);
        int n = b.width;
        if (b.rows == 0) {
            clear(b.dweight, 0, n);
            if (b.dbias != null) {
                clear(b.dbias, 0, n);
            }
            return;
        }
        parallel.forEach(blocks, block -> backwardBlock(b, block, block * size, Math.min(b.rows, (block + 1) * size)));
        Rows.sumParts(parallel, math, b.scratch, 0, blocks, n, b.dweight);
        if (b.dbias != null) {
            Rows.sumParts(parallel, math, b.scratch, (long) blocks * n, blocks, n, b.dbias);
        }
    }

    private void backwardBlock(Backward b, int block, int from, int to) {
        int n = b.width;
        long dw = (long) block * n;
        long db = (long) Rows.blocks(b.rows) * n + dw;
        clear(b.scratch, dw, n);
        if (b.dbias != null) {
            clear(b.scratch, db, n);
        }
        for (int r = from; r < to; r++) {
            if (b.dbias != null) {
                math.add(b.scratch, db, b.dy, (long) r * n, b.scratch, db, n);
            }
            backwardRow(b, r, dw);
        }
    }

    private void backwardRow(Backward b, int row, long dw) {
        int n = b.width;
        long at = (long) row * n;
        float rstd = b.rstd.getAtIndex(JAVA_FLOAT, row);
        float mean = 0;
        float offset = 0;
        if (b.mean != null) {
            mean = b.mean.getAtIndex(JAVA_FLOAT, row);
            offset = math.dot(b.dy, at, b.weight, 0, n) / n;
        }
        float slope = norm.weightedDot(b.dy, at, b.weight, b.s, at, mean, n) * rstd / n;
        norm.gradient(b.dy, at, b.weight, b.s, at, mean, rstd, offset, slope, b.dx, at, b.scratch, dw, n);
        if (b.dsum != null) {
            math.add(b.dx, at, b.dsum, at, b.dx, at, n);
        }
    }

    private static void clear(MemorySegment x, long at, int n) {
        x.asSlice(at << 2, (long) n << 2).fill((byte) 0);
    }
}
