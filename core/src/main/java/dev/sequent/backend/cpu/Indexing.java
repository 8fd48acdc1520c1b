package dev.sequent.backend.cpu;

import dev.sequent.op.BinaryOp;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.BiConsumer;

/** Reads and sums at positions that other tensors name. An index outside the tensor is an error, found before memory is touched. */
final class Indexing {
    private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG_UNALIGNED;
    /** Parts into which the slices of a sum are divided by their index, so that threads never write to the same slice. */
    private static final int PARTS = 8;

    private final Machine machine;
    private final Copies copies;
    private final Casts casts;

    Indexing(Machine machine, Copies copies, Casts casts) {
        this.machine = machine;
        this.copies = copies;
        this.casts = casts;
    }

    /** Indices as dense I64, all of them inside {@code [0, size)}. */
    private CpuHandle indices(String op, CpuHandle index, long size) {
        CpuHandle wide = casts.cast(index, DType.I64);
        CpuHandle dense;
        try {
            dense = copies.contiguous(op, wide);
        } finally {
            wide.release();
        }
        return machine.produce(dense, () -> machine.range(dense.shape().size(), Machine.GRAIN, (from, to) -> {
            for (long i = from; i < to; i++) {
                long n = at(dense, i);
                if (n < 0 || n >= size) {
                    throw new ShapeException(op, "indices in [0, " + size + ")", Long.toString(n));
                }
            }
        }));
    }

    private static long at(CpuHandle index, long i) {
        return index.memory().get(I64, index.offset() + 8 * i);
    }

    private static long product(Shape shape, int from, int to) {
        long n = 1;
        for (int i = from; i < to; i++) {
            n *= shape.dim(i);
        }
        return n;
    }

    CpuHandle gather(CpuHandle x, int axis, CpuHandle index) {
        Shape shape = index.shape();
        CpuHandle y = machine.allocate("gather", shape, x.dtype());
        if (shape.size() == 0) {
            return y;
        }
        int bytes = x.dtype().bytes();
        return machine.produce(y, () -> {
            CpuHandle dense = indices("gather", index, x.shape().dim(axis));
            try {
                long[] strides = x.strides().clone();
                long jump = strides[axis] * bytes;
                strides[axis] = 0;
                int last = shape.rank() - 1;
                long width = shape.dim(last);
                long step = strides[last] * bytes;
                machine.range(shape.size() / width, Math.max(1, Machine.GRAIN / width), (from, to) -> {
                    Cursor cursor = new Cursor(shape.toArray(), new long[][] {strides}, from);
                    for (long row = from; row < to; row++) {
                        long source = x.offset() + cursor.at(0) * bytes;
                        for (long i = 0; i < width; i++) {
                            long n = row * width + i;
                            Copies.row(bytes, x.memory(), source + i * step + at(dense, n) * jump, y.memory(), y.offset() + n * bytes, 1);
                        }
                        cursor.advance();
                    }
                });
            } finally {
                dense.release();
            }
        });
    }

    CpuHandle indexSelect(CpuHandle x, int axis, CpuHandle index) {
        long count = index.shape().size();
        Shape shape = x.shape().with(axis, count);
        CpuHandle y = machine.allocate("indexSelect", shape, x.dtype());
        return machine.produce(y, () -> {
            withDense("indexSelect", indices("indexSelect", index, x.shape().dim(axis)), x, (at, dense) -> {
                long size = x.shape().dim(axis);
                long inner = product(shape, axis + 1, shape.rank()) * x.dtype().bytes();
                if (shape.size() > 0) {
                    machine.overRows(y, shape.size() * x.dtype().bytes() / inner, inner / 4, row -> {
                        long from = row / count * size + at(at, row % count);
                        bytes(dense.memory(), dense.offset() + from * inner, y.memory(), y.offset() + row * inner, inner);
                    });
                }
            });
        });
    }

    private static void bytes(MemorySegment x, long xo, MemorySegment y, long yo, long n) {
        MemorySegment.copy(x, xo, y, yo, n);
    }

    CpuHandle scatterAdd(CpuHandle x, int axis, CpuHandle index, CpuHandle source) {
        return adding("scatterAdd", x, axis, index, source, (y, at, s) -> {
            long inner = product(x.shape(), axis + 1, x.shape().rank());
            long size = x.shape().dim(axis);
            long count = source.shape().dim(axis);
            long lines = count == 0 ? 0 : source.shape().size() / count;
            int bytes = y.dtype().bytes();
            machine.overRows(y, lines, count, line -> {
                long outer = line / inner;
                long column = line % inner;
                for (long k = 0; k < count; k++) {
                    long from = (outer * count + k) * inner + column;
                    long to = (outer * size + at(at, from)) * inner + column;
                    add(y.dtype(), s.memory(), s.offset() + from * bytes, y.memory(), y.offset() + to * bytes, 1);
                }
            });
        });
    }

    CpuHandle indexAdd(CpuHandle x, int axis, CpuHandle index, CpuHandle source) {
        return adding("indexAdd", x, axis, index, source, (y, at, s) -> {
            long inner = product(x.shape(), axis + 1, x.shape().rank());
            long outer = product(x.shape(), 0, axis);
            long size = x.shape().dim(axis);
            long count = index.shape().size();
            int bytes = y.dtype().bytes();
            int parts = count * inner < Machine.GRAIN ? 1 : PARTS;
            machine.range(outer * parts, 1, (from, to) -> {
                for (long task = from; task < to; task++) {
                    long o = task / parts;
                    for (long k = 0; k < count; k++) {
                        long n = at(at, k);
                        if (n % parts != task % parts) {
                            continue;
                        }
                        long p = s.offset() + (o * count + k) * inner * bytes;
                        long q = y.offset() + (o * size + n) * inner * bytes;
                        add(y.dtype(), s.memory(), p, y.memory(), q, Math.toIntExact(inner));
                    }
                }
            });
        });
    }

    /** Adds into {@code y}, at dense indices, a dense source. */
    @FunctionalInterface
    private interface Sum {
        void into(CpuHandle y, CpuHandle index, CpuHandle source);
    }

    private CpuHandle adding(String op, CpuHandle x, int axis, CpuHandle index, CpuHandle source, Sum sum) {
        if (Elementwise.isHalf(x.dtype())) {
            CpuHandle wide = casts.cast(source, DType.F32);
            try {
                return casts.inF32(x, sums -> adding(op, sums, axis, index, wide, sum));
            } finally {
                wide.release();
            }
        }
        CpuHandle y = copies.dense(op, x);
        return machine.produce(y, () -> {
            withDense(op, indices(op, index, x.shape().dim(axis)), source, (at, dense) -> {
                if (source.shape().size() > 0) {
                    sum.into(y, at, dense);
                }
            });
        });
    }

    /** Runs {@code body} on {@code at} and a dense form of {@code x}, and releases both, {@code at} also when the other cannot be made. */
    private void withDense(String op, CpuHandle at, CpuHandle x, BiConsumer<CpuHandle, CpuHandle> body) {
        try {
            CpuHandle dense = copies.contiguous(op, x);
            try {
                body.accept(at, dense);
            } finally {
                dense.release();
            }
        } finally {
            at.release();
        }
    }

    private void add(DType dtype, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        if (dtype == DType.F32 && n > 1) {
            machine.kernels().binary(BinaryOp.ADD, y, yo, x, xo, y, yo, n);
            return;
        }
        for (long i = 0, end = (long) n * dtype.bytes(); i < end; i += dtype.bytes()) {
            if (dtype.isFloat()) {
                Elements.set(dtype, y, yo + i, Elements.number(dtype, y, yo + i) + Elements.number(dtype, x, xo + i));
            } else {
                Elements.set(dtype, y, yo + i, Elements.integer(dtype, y, yo + i) + Elements.integer(dtype, x, xo + i));
            }
        }
    }
}
