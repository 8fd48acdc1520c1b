package dev.sequent.backend.djl;

import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import dev.sequent.op.ReduceOp;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.stream.IntStream;

/** Reductions and cumulative reductions. Every method returns a new array; intermediate ones belong to the call. */
final class Reductions {
    /** Elements that one partial sum of a whole tensor covers. */
    private static final long RUN = 4096;

    private Reductions() {}

    /** The type in which a dtype is reduced: PyTorch sums I32 as I64, whose low bits are the sum modulo 2^32. */
    static DType compute(ReduceOp op, DType dtype) {
        boolean adds = op == ReduceOp.SUM || op == ReduceOp.PROD;
        return dtype == DType.F16 ? DType.F32 : dtype == DType.I32 && adds ? DType.I64 : dtype;
    }

    /** Reduces along at least one axis, none of which is empty for MAX and MIN; {@code dtype} is what {@link #compute} says. */
    static PtNDArray reduce(Call c, ReduceOp op, PtNDArray x, Shape shape, int[] axes) {
        if (op == ReduceOp.SUM) {
            boolean isWhole = IntStream.range(0, shape.rank()).allMatch(a -> shape.dim(a) == 1 || IntStream.of(axes).anyMatch(i -> i == a));
            return isWhole && shape.size() > 2 * RUN ? sumOfAll(c, x, shape)
                    : JniUtils.sum(x, IntStream.of(axes).asLongStream().toArray(), true);
        }
        PtNDArray y = x;
        for (int i = axes.length - 1; i >= 0; i--) {
            PtNDArray next = switch (op) {
                case PROD -> JniUtils.prod(y, axes[i], true);
                case MAX -> JniUtils.max(y, axes[i], true);
                case MIN -> JniUtils.min(y, axes[i], true);
                case SUM -> throw new AssertionError(op);
            };
            y = i == 0 ? next : c.keep(next);
        }
        return y;
    }

    /**
     * The sum of a whole tensor by way of the sums of runs of fixed length: PyTorch would give every thread a part, and the result would
     * depend on their number.
     */
    private static PtNDArray sumOfAll(Call c, PtNDArray x, Shape shape) {
        long n = shape.size();
        PtNDArray flat = c.keep(JniUtils.reshape(x, new long[] {n}));
        while (n > 2 * RUN) {
            long runs = n / RUN;
            PtNDArray rows = c.keep(JniUtils.reshape(c.keep(JniUtils.slice(flat, 0, 0, runs * RUN, 1)), new long[] {runs, RUN}));
            PtNDArray partial = c.keep(JniUtils.sum(rows, new long[] {1}, false));
            PtNDArray rest = c.keep(JniUtils.slice(flat, 0, runs * RUN, n, 1));
            flat = c.keep(JniUtils.cat(new PtNDArray[] {partial, rest}, 0));
            n = runs + n % RUN;
        }
        long[] ones = new long[shape.rank()];
        Arrays.fill(ones, 1);
        return JniUtils.reshape(c.keep(JniUtils.sum(flat, new long[] {0}, true)), ones);
    }

    /** Inclusive cumulative reduction along {@code axis} of a tensor that is not empty; {@code dtype} is what {@link #compute} says. */
    static PtNDArray scan(Call c, ReduceOp op, PtNDArray x, DType dtype, int axis, long n, boolean reverse) {
        long[] axes = {axis};
        PtNDArray from = reverse ? c.keep(JniUtils.flip(x, axes)) : x;
        PtNDArray y = switch (op) {
            case SUM -> JniUtils.cumSum(from, axis);
            case PROD -> JniUtils.cumProd(from, axis, c.type(dtype));
            case MAX, MIN -> running(c, op, from, axis, n);
        };
        return reverse ? JniUtils.flip(c.keep(y), axes) : y;
    }

    /** Running extremes, which DJL lacks: after step k every element has seen the 2^k elements that end with it. */
    private static PtNDArray running(Call c, ReduceOp op, PtNDArray x, int axis, long n) {
        PtNDArray y = c.keep(JniUtils.slice(x, axis, 0, n, 1));
        for (long distance = 1; distance < n; distance *= 2) {
            PtNDArray head = c.keep(JniUtils.slice(y, axis, 0, distance, 1));
            PtNDArray later = c.keep(JniUtils.slice(y, axis, distance, n, 1));
            PtNDArray earlier = c.keep(JniUtils.slice(y, axis, 0, n - distance, 1));
            PtNDArray both = c.keep(op == ReduceOp.MAX ? JniUtils.max(later, earlier) : JniUtils.min(later, earlier));
            y = c.keep(JniUtils.cat(new PtNDArray[] {head, both}, axis));
        }
        return JniUtils.slice(y, axis, 0, n, 1);
    }
}
