package dev.sequent.backend.cpu;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.spi.Layout;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.UnaryOperator;

/**
 * Reductions and scans. How a sum is cut into pieces depends on shapes and layout only, never on the number of threads, so results
 * are the same on every machine with the same vector width.
 */
final class Reductions {
    private static final ValueLayout.OfFloat F = ValueLayout.JAVA_FLOAT_UNALIGNED;
    /** Longer rows are reduced in pieces of this many elements, whose sums are added in double precision. */
    private static final int PIECE = 32_768;
    /** Columns that are summed together: their partial sums stay in the first-level cache. */
    private static final int COLUMNS = 1_024;
    private static final int MIN_ROWS_PER_SPLIT = 32;

    private final Machine machine;
    private final Copies copies;
    private final Casts casts;

    Reductions(Machine machine, Copies copies, Casts casts) {
        this.machine = machine;
        this.copies = copies;
        this.casts = casts;
    }

    CpuHandle reduce(ReduceOp op, CpuHandle x, int[] axes) {
        Shape shape = x.shape();
        for (int axis : axes) {
            shape = shape.with(axis, 1);
        }
        if (x.shape().size() == 0) {
            CpuHandle y = machine.allocate(op.name(), shape, x.dtype());
            return machine.produce(y, () -> casts.fill(y, identity(op, x.dtype())));
        }
        if (Elementwise.isHalf(x.dtype())) {
            return casts.inF32(x, wide -> reduceF32(op, wide, axes));
        }
        return x.dtype() == DType.F32 ? reduceF32(op, x, axes) : reducePlain(op, x, axes, shape);
    }

    private static double identity(ReduceOp op, DType dtype) {
        if (dtype != DType.BOOL) {
            return op.identity();
        }
        return op == ReduceOp.MIN || op == ReduceOp.PROD ? 1 : 0;
    }

    private CpuHandle reduceF32(ReduceOp op, CpuHandle x, int[] axes) {
        int innermost = -1;
        int count = 0;
        boolean repeated = false;
        for (int axis : axes) {
            if (x.shape().dim(axis) > 1) {
                count++;
                repeated |= x.strides()[axis] == 0;
                if (innermost < 0 || x.strides()[axis] < x.strides()[innermost]) {
                    innermost = axis;
                }
            }
        }
        if (count == 0) {
            return copies.dense(op.name(), x);
        }
        if (repeated) {
            return through(copies.dense(op.name(), x), dense -> reduceF32(op, dense, axes));
        }
        Layout.Space reduced = reducedSpace(x, axes);
        if (reduced.rank() > 1) {
            int first = innermost;
            return through(reduceF32(op, x, new int[] {first}), y -> reduceF32(op, y, axes));
        }
        return reduceOneAxis(op, x, axes, reduced.inner(), reduced.strides()[0][0]);
    }

    /** Runs {@code next} on an intermediate result and releases that. */
    private static CpuHandle through(CpuHandle temporary, UnaryOperator<CpuHandle> next) {
        try {
            return next.apply(temporary);
        } finally {
            temporary.release();
        }
    }

    private static Layout.Space reducedSpace(CpuHandle x, int[] axes) {
        long[] dims = new long[axes.length];
        long[] strides = new long[axes.length];
        for (int i = 0; i < axes.length; i++) {
            dims[i] = x.shape().dim(axes[i]);
            strides[i] = x.strides()[axes[i]];
        }
        int[] order = Layout.order(dims, new long[][] {strides});
        return Layout.collapse(Layout.permute(dims, order), new long[][] {Layout.permute(strides, order)});
    }

    /** All reduced axes behave as one of {@code length} elements that are {@code stride} apart. */
    private CpuHandle reduceOneAxis(ReduceOp op, CpuHandle x, int[] axes, long length, long stride) {
        Shape shape = x.shape();
        for (int axis : axes) {
            shape = shape.with(axis, 1);
        }
        // Strides along axes of size 1 in the result do not matter; joining axes needs their size to be 1 for both operands.
        Layout.Space kept = Layout.collapse(shape.toArray(), new long[][] {x.strides(), shape.strides()});
        boolean columns = kept.inner() > 1 && kept.strides()[0][kept.rank() - 1] == 1;
        if (stride != 1 && !columns) {
            return through(reducedLast(op, x, axes), last -> reduceF32(op, last, new int[] {last.shape().rank() - 1})).reshaped(shape);
        }
        CpuHandle y = machine.allocate(op.name(), shape, DType.F32);
        return machine.produce(y, () -> {
            if (stride == 1) {
                reduceRows(op, x, kept, length, y);
            } else {
                reduceColumns(op, x, kept, length, stride, y);
            }
        });
    }

    /** A dense copy in which the reduced axes are one last axis and the others one or more before it. */
    private CpuHandle reducedLast(ReduceOp op, CpuHandle x, int[] axes) {
        int rank = x.shape().rank();
        boolean[] reduced = new boolean[rank];
        for (int axis : axes) {
            reduced[axis] = true;
        }
        int[] order = new int[rank];
        int n = 0;
        long length = 1;
        for (int i = 0; i < rank; i++) {
            if (!reduced[i]) {
                order[n++] = i;
            }
        }
        for (int axis : axes) {
            order[n++] = axis;
            length *= x.shape().dim(axis);
        }
        Shape permuted = Shape.of(Layout.permute(x.shape().toArray(), order));
        CpuHandle view = x.view(x.offset(), permuted, Layout.permute(x.strides(), order));
        Shape flat = Shape.of(length == 0 ? 0 : x.shape().size() / length, length);
        return through(view, v -> copies.dense(op.name(), v)).reshaped(flat);
    }

    private void reduceRows(ReduceOp op, CpuHandle x, Layout.Space kept, long length, CpuHandle y) {
        if (length > PIECE) {
            reduceLongRows(op, x, kept, length, y);
            return;
        }
        int last = kept.rank() - 1;
        long inner = kept.inner();
        long stride = kept.strides()[0][last] * 4;
        long rows = Math.max(1, Math.min(inner, Machine.GRAIN / length));
        long blocks = (inner + rows - 1) / rows;
        machine.range(kept.rows() * blocks, Math.max(1, Machine.GRAIN / (rows * length)), (from, to) -> {
            Cursor cursor = new Cursor(kept.dims(), kept.strides(), from / blocks);
            for (long b = from; b < to; b++) {
                long first = b % blocks * rows;
                int n = (int) Math.min(rows, inner - first);
                machine.kernels().reduceRows(op, x.memory(), x.offset() + cursor.at(0) * 4 + first * stride, stride, n, (int) length,
                        y.memory(), y.offset() + (cursor.at(1) + first) * 4);
                if (b % blocks == blocks - 1) {
                    cursor.advance();
                }
            }
        });
    }

    private void reduceLongRows(ReduceOp op, CpuHandle x, Layout.Space kept, long length, CpuHandle y) {
        long pieces = (length + PIECE - 1) / PIECE;
        long[] dims = new long[kept.rank() + 1];
        System.arraycopy(kept.dims(), 0, dims, 0, kept.rank());
        dims[kept.rank()] = 1;
        long rows = kept.size();
        through(machine.allocate(op.name(), Shape.of(rows, pieces), DType.F32), partial -> {
            machine.range(rows * pieces, 1, (from, to) -> {
                for (long b = from; b < to; b++) {
                    Cursor cursor = new Cursor(dims, kept.strides(), b / pieces);
                    long start = b % pieces * PIECE;
                    int n = (int) Math.min(PIECE, length - start);
                    machine.kernels().reduceRows(op, x.memory(), x.offset() + (cursor.at(0) + start) * 4, 0, 1, n,
                            partial.memory(), partial.offset() + b * 4);
                }
            });
            for (long row = 0; row < rows; row++) {
                double sum = op.identity();
                for (long i = 0; i < pieces; i++) {
                    sum = op.apply(sum, partial.memory().get(F, partial.offset() + (row * pieces + i) * 4));
                }
                y.memory().set(F, y.offset() + row * 4, (float) sum);
            }
            return y;
        });
    }

    private void reduceColumns(ReduceOp op, CpuHandle x, Layout.Space kept, long length, long stride, CpuHandle y) {
        long inner = kept.inner();
        int columns = (int) Math.min(COLUMNS, inner);
        long rows = Math.max(MIN_ROWS_PER_SPLIT, PIECE / columns);
        long splits = length <= 2 * rows ? 1 : (length + rows - 1) / rows;
        if (splits == 1) {
            columnSums(op, x, kept, length, stride, columns, length, 1, y);
            return;
        }
        long size = y.shape().size();
        through(machine.allocate(op.name(), Shape.of(splits, size), DType.F32), partial -> {
            columnSums(op, x, kept, length, stride, columns, rows, splits, partial);
            Layout.Space flat = Layout.Space.flat(size, 2);
            reduceColumns(op, partial, flat, splits, size, y);
            return y;
        });
    }

    /** Reduces every {@code rows} rows to one row of {@code y}, which has {@code splits} of them. */
    private void columnSums(ReduceOp op, CpuHandle x, Layout.Space kept, long length, long stride, int columns, long rows, long splits,
            CpuHandle y) {
        long inner = kept.inner();
        long blocks = (inner + columns - 1) / columns;
        long size = kept.size();
        long perTask = Math.max(1, Machine.GRAIN / (columns * Math.min(rows, length)));
        machine.range(kept.rows() * blocks * splits, perTask, (from, to) -> {
            for (long task = from; task < to; task++) {
                long split = task % splits;
                long block = task / splits % blocks;
                Cursor cursor = new Cursor(kept.dims(), kept.strides(), task / splits / blocks);
                int n = (int) Math.min(columns, inner - block * columns);
                int count = (int) Math.min(rows, length - split * rows);
                long source = x.offset() + (cursor.at(0) + block * columns + split * rows * stride) * 4;
                long target = y.offset() + (split * size + cursor.at(1) + block * columns) * 4;
                machine.kernels().fill((float) op.identity(), y.memory(), target, n);
                machine.kernels().accumulateRows(op, x.memory(), source, stride * 4, count, y.memory(), target, n);
            }
        });
    }

    private CpuHandle reducePlain(ReduceOp op, CpuHandle x, int[] axes, Shape shape) {
        long length = x.shape().size() / shape.size();
        DType dtype = x.dtype();
        int bytes = dtype.bytes();
        CpuHandle y = machine.allocate(op.name(), shape, dtype);
        return machine.produce(y, () -> through(reducedLast(op, x, axes), last -> {
            machine.range(shape.size(), Math.max(1, Machine.GRAIN / length), (from, to) -> {
                for (long row = from; row < to; row++) {
                    long at = last.offset() + row * length * bytes;
                    if (dtype.isFloat()) {
                        double sum = op.identity();
                        for (long i = 0; i < length; i++) {
                            sum = op.apply(sum, Elements.number(dtype, last.memory(), at + i * bytes));
                        }
                        Elements.set(dtype, y.memory(), y.offset() + row * bytes, sum);
                    } else {
                        long sum = Elements.integer(dtype, last.memory(), at);
                        for (long i = 1; i < length; i++) {
                            sum = op.applyInteger(sum, Elements.integer(dtype, last.memory(), at + i * bytes));
                        }
                        Elements.set(dtype, y.memory(), y.offset() + row * bytes, sum);
                    }
                }
            });
            return y;
        }));
    }

    CpuHandle argReduce(ReduceOp op, CpuHandle x, int axis) {
        long n = x.shape().dim(axis);
        if (n == 0) {
            throw new ShapeException("argReduce", "at least one element along axis " + axis, x.shape().toString());
        }
        Shape shape = x.shape().with(axis, 1);
        CpuHandle y = machine.allocate("argReduce", shape, DType.I64);
        if (shape.size() == 0) {
            return y;
        }
        return machine.produce(y, () -> through(reducedLast(op, x, new int[] {axis}), rows ->
                machine.overRows(y, shape.size(), n, row -> {
                    long at = rows.offset() + row * n * x.dtype().bytes();
                    Elements.set(DType.I64, y.memory(), y.offset() + row * 8, first(op, rows, at, n));
                })));
    }

    private long first(ReduceOp op, CpuHandle x, long at, long n) {
        if (x.dtype() == DType.F32 && n <= Integer.MAX_VALUE) {
            return firstF32(op, x.memory(), at, (int) n);
        }
        return op == ReduceOp.MAX ? argMax(x.dtype(), x.memory(), at, n) : argMin(x.dtype(), x.memory(), at, n);
    }

    /** Finds the extreme value with the vector kernel and then where it stands. */
    private long firstF32(ReduceOp op, MemorySegment x, long at, int n) {
        Machine.Scratch scratch = machine.scratch();
        float best;
        try {
            machine.kernels().reduceRows(op, x, at, 0, 1, n, scratch.f32(0), 0);
            best = scratch.f32(0).get(F, 0);
        } finally {
            machine.give(scratch);
        }
        int i = 0;
        if (Float.isNaN(best)) {
            while (!Float.isNaN(x.get(F, at + 4L * i))) {
                i++;
            }
        } else {
            while (x.get(F, at + 4L * i) != best) {
                i++;
            }
        }
        return i;
    }

    private static long argMax(DType dtype, MemorySegment x, long at, long n) {
        long best = 0;
        long bestKey = Elements.key(dtype, x, at);
        for (long i = 1; i < n; i++) {
            long key = Elements.key(dtype, x, at + i * dtype.bytes());
            if (key > bestKey) {
                bestKey = key;
                best = i;
            }
        }
        return best;
    }

    /** NaN, which has the greatest key, is taken for the smallest number here. */
    private static long argMin(DType dtype, MemorySegment x, long at, long n) {
        long best = 0;
        long bestKey = Long.MAX_VALUE;
        for (long i = 0; i < n; i++) {
            long p = at + i * dtype.bytes();
            if (dtype.isFloat() && Double.isNaN(Elements.number(dtype, x, p))) {
                return i;
            }
            long key = Elements.key(dtype, x, p);
            if (key < bestKey) {
                bestKey = key;
                best = i;
            }
        }
        return best;
    }

    CpuHandle topK(CpuHandle x, int k) {
        long n = x.shape().dim(-1);
        Shape shape = x.shape().with(-1, k);
        CpuHandle y = machine.allocate("topK", shape, DType.I64);
        if (shape.size() == 0) {
            return y;
        }
        long rows = shape.size() / k;
        return machine.produce(y, () -> through(copies.contiguous("topK", x), dense ->
                machine.overRows(y, rows, n, row -> {
                    TopK heap = new TopK(k);
                    long at = dense.offset() + row * n * x.dtype().bytes();
                    for (long i = 0; i < n; i++) {
                        heap.offer(Elements.key(x.dtype(), dense.memory(), at + i * x.dtype().bytes()), i);
                    }
                    long[] best = heap.descending();
                    for (int i = 0; i < k; i++) {
                        Elements.set(DType.I64, y.memory(), y.offset() + (row * k + i) * 8, best[i]);
                    }
                })));
    }

    CpuHandle scan(ReduceOp op, CpuHandle x, int axis, boolean reverse) {
        if (x.shape().size() == 0) {
            return machine.allocate("scan", x.shape(), x.dtype());
        }
        if (Elementwise.isHalf(x.dtype())) {
            return casts.inF32(x, wide -> scan(op, wide, axis, reverse));
        }
        long n = x.shape().dim(axis);
        long inner = 1;
        for (int i = axis + 1; i < x.shape().rank(); i++) {
            inner *= x.shape().dim(i);
        }
        long width = inner;
        CpuHandle y = machine.allocate("scan", x.shape(), x.dtype());
        return machine.produce(y, () -> through(copies.contiguous("scan", x), dense -> {
            if (x.dtype() == DType.F32 && width > 1) {
                scanColumns(op, dense, n, width, reverse, y);
            } else {
                scanPlain(op, dense, n, width, reverse, y);
            }
            return y;
        }));
    }

    private void scanColumns(ReduceOp op, CpuHandle x, long n, long width, boolean reverse, CpuHandle y) {
        BinaryOp combine = switch (op) {
            case SUM -> BinaryOp.ADD;
            case PROD -> BinaryOp.MUL;
            case MAX -> BinaryOp.MAX;
            case MIN -> BinaryOp.MIN;
        };
        long columns = Math.min(COLUMNS, width);
        long blocks = (width + columns - 1) / columns;
        long outer = x.shape().size() / n / width;
        long step = (reverse ? -width : width) * 4;
        machine.range(outer * blocks, Math.max(1, Machine.GRAIN / (n * columns)), (from, to) -> {
            for (long task = from; task < to; task++) {
                long first = task / blocks * n * width + task % blocks * columns;
                int count = (int) Math.min(columns, width - task % blocks * columns);
                long at = (first + (reverse ? (n - 1) * width : 0)) * 4;
                Copies.row(4, x.memory(), x.offset() + at, y.memory(), y.offset() + at, count);
                for (long i = 1; i < n; i++) {
                    long previous = y.offset() + at;
                    at += step;
                    machine.kernels().binary(combine, y.memory(), previous, x.memory(), x.offset() + at,
                            y.memory(), y.offset() + at, count);
                }
            }
        });
    }

    private void scanPlain(ReduceOp op, CpuHandle x, long n, long width, boolean reverse, CpuHandle y) {
        DType dtype = x.dtype();
        int bytes = dtype.bytes();
        machine.overRows(y, x.shape().size() / n, n, line -> {
            long at = (line / width * n * width + line % width + (reverse ? (n - 1) * width : 0)) * bytes;
            long step = (reverse ? -width : width) * bytes;
            if (dtype == DType.F32 && op == ReduceOp.SUM) {
                runningSum(x.memory(), x.offset() + at, y.memory(), y.offset() + at, step, n);
            } else if (dtype.isFloat()) {
                double sum = op.identity();
                for (long i = 0; i < n; i++, at += step) {
                    sum = op.apply(sum, Elements.number(dtype, x.memory(), x.offset() + at));
                    Elements.set(dtype, y.memory(), y.offset() + at, sum);
                }
            } else {
                long sum = Elements.integer(dtype, x.memory(), x.offset() + at);
                Elements.set(dtype, y.memory(), y.offset() + at, sum);
                for (long i = 1; i < n; i++) {
                    at += step;
                    sum = op.applyInteger(sum, Elements.integer(dtype, x.memory(), x.offset() + at));
                    Elements.set(dtype, y.memory(), y.offset() + at, sum);
                }
            }
        });
    }

    private static void runningSum(MemorySegment x, long xo, MemorySegment y, long yo, long step, long n) {
        double sum = 0;
        for (long i = 0; i < n; i++) {
            sum += x.get(F, xo + i * step);
            y.set(F, yo + i * step, (float) sum);
        }
    }
}
