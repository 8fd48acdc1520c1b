package dev.sequent.backend.cuda;

import dev.sequent.op.ReduceOp;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.Layout;
import dev.sequent.spi.Layout.Space;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.util.Arrays;

/**
 * Reductions, positions of extremes and cumulative reductions on one device. How the work is split depends on shapes, layouts and the
 * device alone, so the same operands give the same bits. Called with the device's lock.
 */
final class Reductions {
    private static final int THREADS = 256;
    private static final int WARP = 32;
    /** A reduction as short as this is one thread's. */
    private static final long SHORT = 64;
    /** The fewest elements for which a thread, and a block, of several on one output is worth its partial sum. */
    private static final long PER_THREAD = 128;
    private static final long PER_BLOCK = 4096;
    private static final int THREADS_PER_MULTIPROCESSOR = 2048;

    private final CudaDevice device;
    private final Kernels kernels;

    Reductions(CudaDevice device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    CudaHandle reduce(ReduceOp op, CudaHandle x, int[] axes) {
        boolean[] reduced = new boolean[x.shape().rank()];
        Shape shape = x.shape();
        for (int axis : axes) {
            reduced[axis] = true;
            shape = shape.with(axis, 1);
        }
        CudaHandle y = device.allocate(op.name(), shape, x.dtype());
        long[] dims = x.shape().toArray();
        Space kept = Layout.collapse(Strides.select(dims, reduced, false), Strides.select(x.strides(), reduced, false));
        Space inner = Layout.collapse(Strides.select(dims, reduced, true), Strides.select(x.strides(), reduced, true));
        long length = Arrays.stream(inner.dims()).reduce(1, (a, b) -> a * b);
        if (y.size() > 0) {
            run(op, x, y, kept, inner, length);
        }
        return y;
    }

    private void run(ReduceOp op, CudaHandle x, CudaHandle y, Space kept, Space inner, long length) {
        long outputs = y.size();
        boolean besides = outputs >= WARP && kept.strides()[0][kept.rank() - 1] == 1 && inner.strides()[0][inner.rank() - 1] != 1;
        boolean byThread = length <= SHORT || besides;
        long busy = (long) device.limits().multiprocessors() * (byThread ? THREADS_PER_MULTIPROCESSOR
                : THREADS_PER_MULTIPROCESSOR / THREADS);
        long least = byThread ? PER_THREAD : PER_BLOCK;
        long parts = Math.max(1, Math.min((busy + outputs - 1) / outputs, length / least));
        long chunk = Math.max(1, (length + parts - 1) / parts);
        parts = Math.max(1, (length + chunk - 1) / chunk);
        String kernel = byThread ? "reduce_by_thread" : "reduce_by_block";
        long[] axes = axes(op, kept, inner);
        if (parts == 1) {
            device.launch(kernels.of(kernel, x.dtype()), grid(outputs, byThread), op.ordinal(), x, y, outputs, length, chunk, axes);
            return;
        }
        try (CudaScratch partial = device.scratch(op.name(), outputs * parts * Kernels.accumulatorBytes(x.dtype()))) {
            device.launch(kernels.of(kernel + "_partly", x.dtype()), grid(outputs * parts, byThread), op.ordinal(), x, partial, outputs,
                    length, chunk, axes);
            boolean restByThread = outputs >= WARP;
            long[] rest = axes(op, Layout.collapse(new long[] {outputs}, new long[] {1}),
                    Layout.collapse(new long[] {parts}, new long[] {outputs}));
            device.launch(kernels.of(restByThread ? "reduce_by_thread_rest" : "reduce_by_block_rest", x.dtype()),
                    grid(outputs, restByThread), op.ordinal(), partial, y, outputs, parts, parts, rest);
        }
    }

    private Grid grid(long work, boolean byThread) {
        return byThread ? device.grid(work, THREADS) : device.blocks(work, THREADS);
    }

    /** The struct Axes of reduce.cu. */
    private static long[] axes(ReduceOp op, Space kept, Space inner) {
        long[] first = Strides.argument(op.name(), kept);
        long[] second = Strides.argument(op.name(), inner);
        long[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    CudaHandle argReduce(ReduceOp op, CudaHandle x, int axis) {
        long length = x.shape().dim(axis);
        if (length == 0) {
            throw new ShapeException("argReduce", "at least one element along axis " + axis, x.shape().toString());
        }
        CudaHandle y = device.allocate("argReduce", x.shape().with(axis, 1), DType.I64);
        device.launch(kernels.of("arg_reduce", x.dtype()), grid(y.size(), false), op.ordinal(), x, y, y.size(), length, x.strides()[axis],
                Strides.argument("argReduce", lines(x, axis)));
        return y;
    }

    /** Indices of the largest elements of rows; {@code x} is contiguous. */
    CudaHandle topK(CudaHandle x, int k) {
        long length = x.shape().dim(-1);
        CudaHandle y = device.allocate("topK", x.shape().with(-1, k), DType.I64);
        long rows = length == 0 ? 0 : x.size() / length;
        if (k > 0) {
            device.launch(kernels.of("top_k", x.dtype()), grid(rows, false), x, y, rows, length, (long) k);
        }
        return y;
    }

    CudaHandle scan(ReduceOp op, CudaHandle x, int axis, boolean reverse) {
        CudaHandle y = device.allocate("scan", x.shape(), x.dtype());
        long length = x.shape().dim(axis);
        long lines = length == 0 ? 0 : x.size() / length;
        long inner = y.shape().strides()[axis];
        boolean byThread = inner >= WARP || length <= WARP;
        device.launch(kernels.of(byThread ? "scan_by_thread" : "scan_by_block", x.dtype()), grid(lines, byThread), op.ordinal(), x, y,
                lines, length, x.strides()[axis], inner, reverse ? 1 : 0, Strides.argument("scan", lines(x, axis)));
        return y;
    }

    /** Where the lines along an axis begin. */
    private static Space lines(CudaHandle x, int axis) {
        boolean[] chosen = new boolean[x.shape().rank()];
        chosen[axis] = true;
        return Layout.collapse(Strides.select(x.shape().toArray(), chosen, false), Strides.select(x.strides(), chosen, false));
    }
}
