package dev.sequent.backend.cpu;

import dev.sequent.spi.Layout;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;

/**
 * Drives row kernels over operands of any layout. Axes are visited in the order of the operands' memory and the result takes that
 * order, neighbouring axes are joined, and what is left are rows in which every operand either moves by one element or stands still.
 * Rows that a kernel cannot read in place (16-bit floats, repeated elements, very short rows) are staged in scratch memory.
 */
final class Elementwise {
    /** Rows shorter than this are staged several at a time. */
    private static final int SHORT = 32;

    private final Machine machine;
    private final Copies copies;

    Elementwise(Machine machine, Copies copies) {
        this.machine = machine;
        this.copies = copies;
    }

    /** One row of operands and result. */
    static final class Row {
        final MemorySegment[] in;
        /** Position of each operand's first element, in bytes. */
        final long[] at;
        /** Operands that stand still; only where the kernel said that it handles them, and never all of them. */
        final boolean[] constant;
        MemorySegment out;
        long outAt;
        int n;

        private Row(int operands) {
            in = new MemorySegment[operands];
            at = new long[operands];
            constant = new boolean[operands];
        }
    }

    /** Computes one row. */
    @FunctionalInterface
    interface RowKernel {
        void run(Row row);
    }

    /**
     * How a kernel wants its operands.
     *
     * @param widen 16-bit floats are given as F32, and taken as F32 where the result is 16-bit
     * @param constants operands that stand still in a row are given as one element instead of a row
     */
    record Mode(boolean widen, boolean constants) {}

    /** Applies {@code kernel} to operands of equal shape. */
    CpuHandle map(String op, DType result, Mode mode, RowKernel kernel, CpuHandle... operands) {
        Shape shape = operands[0].shape();
        if (shape.size() == 0) {
            return machine.allocate(op, shape, result);
        }
        if (allContiguous(operands)) {
            return sweep(op, shape, result, mode, kernel, operands, Layout.Space.flat(shape.size(), operands.length), shape.strides());
        }
        CpuHandle[] xs = operands.clone();
        try {
            int[] order = Layout.order(shape.toArray(), strides(xs, null));
            long[] dims = Layout.permute(shape.toArray(), order);
            Layout.Space space = Layout.collapse(dims, strides(xs, order));
            for (int k = 0; k < xs.length; k++) {
                // Rows that jump through memory are slow to read one by one, and a copy can go by tiles.
                if (space.inner() > 1 && space.strides()[k][space.rank() - 1] > 1) {
                    xs[k] = copies.dense(op, operands[k], order);
                }
            }
            space = Layout.collapse(dims, strides(xs, order));
            return sweep(op, shape, result, mode, kernel, xs, space, Layout.dense(shape.toArray(), order));
        } finally {
            for (int k = 0; k < xs.length; k++) {
                if (xs[k] != operands[k]) {
                    xs[k].release();
                }
            }
        }
    }

    private static boolean allContiguous(CpuHandle[] xs) {
        for (CpuHandle x : xs) {
            if (!x.contiguous()) {
                return false;
            }
        }
        return true;
    }

    /** The operands' strides, in another order of axes where one is given. */
    private static long[][] strides(CpuHandle[] xs, int[] order) {
        long[][] strides = new long[xs.length][];
        for (int k = 0; k < xs.length; k++) {
            strides[k] = order == null ? xs[k].strides() : Layout.permute(xs[k].strides(), order);
        }
        return strides;
    }

    private CpuHandle sweep(String op, Shape shape, DType result, Mode mode, RowKernel kernel, CpuHandle[] xs, Layout.Space space,
            long[] layout) {
        CpuHandle y = machine.allocate(op, shape, result, layout);
        return machine.produce(y, () -> {
            Sweep sweep = new Sweep(machine, space, mode, kernel, xs, y);
            machine.range(sweep.blocks, sweep.blocksPerTask, sweep::run);
        });
    }

    /** One pass over the rows. */
    private static final class Sweep {
        private final Machine machine;
        private final RowKernel kernel;
        private final CpuHandle y;
        private final CpuHandle[] xs;
        private final long[] dims;
        private final long[][] strides;
        private final long inner;
        private final boolean shortRows;
        /** Operands read where they lie. */
        private final boolean[] direct;
        private final boolean[] constant;
        private final boolean[] widened;
        private final boolean narrowed;
        /** Elements of a block: several whole rows when they are short, otherwise a piece of one row. */
        private final long blockLength;
        private final long blocksPerRow;
        private final long rowsPerBlock;
        private final long total;
        final long blocks;
        final long blocksPerTask;

        private Sweep(Machine machine, Layout.Space space, Mode mode, RowKernel kernel, CpuHandle[] xs, CpuHandle y) {
            this.machine = machine;
            this.kernel = kernel;
            this.xs = xs;
            this.y = y;
            dims = space.dims();
            inner = space.inner();
            int rank = space.rank();
            shortRows = rank > 1 && inner < SHORT;
            direct = new boolean[xs.length];
            constant = new boolean[xs.length];
            widened = new boolean[xs.length];
            strides = new long[xs.length][];
            narrowed = mode.widen && isHalf(y.dtype());
            boolean staged = narrowed;
            boolean allConstant = true;
            for (int k = 0; k < xs.length; k++) {
                int bytes = xs[k].dtype().bytes();
                strides[k] = space.strides()[k].clone();
                widened[k] = mode.widen && isHalf(xs[k].dtype());
                boolean still = inner > 1 && strides[k][rank - 1] == 0;
                direct[k] = !widened[k] && (shortRows ? space.dense(k) : !still);
                constant[k] = mode.constants && !widened[k] && !shortRows && still;
                allConstant &= constant[k];
                staged |= !direct[k] && !constant[k];
                for (int i = 0; i < rank; i++) {
                    strides[k][i] *= bytes;
                }
            }
            if (allConstant) {
                constant[0] = false;
                staged = true;
            }
            long longest = staged ? Machine.ROW : Machine.GRAIN;
            rowsPerBlock = shortRows ? Math.max(1, longest / inner) : 1;
            blockLength = shortRows ? rowsPerBlock * inner : Math.min(longest, inner);
            blocksPerRow = shortRows ? 1 : (inner + blockLength - 1) / blockLength;
            blocks = (space.rows() + rowsPerBlock - 1) / rowsPerBlock * blocksPerRow;
            blocksPerTask = Math.max(1, Machine.GRAIN / blockLength);
            total = space.size();
        }

        private void run(long from, long to) {
            Machine.Scratch scratch = machine.scratch();
            Row row = new Row(xs.length);
            Cursor cursor = new Cursor(dims, strides, from / blocksPerRow * rowsPerBlock);
            try {
                for (long block = from; block < to; block++) {
                    if (shortRows) {
                        shortBlock(block, cursor, row, scratch);
                    } else {
                        longBlock(block, cursor, row, scratch);
                    }
                }
            } finally {
                machine.give(scratch);
            }
        }

        private void longBlock(long block, Cursor cursor, Row row, Machine.Scratch scratch) {
            long piece = block % blocksPerRow;
            long start = piece * blockLength;
            row.n = (int) Math.min(blockLength, inner - start);
            int last = dims.length - 1;
            for (int k = 0; k < xs.length; k++) {
                long at = xs[k].offset() + cursor.at(k) + start * strides[k][last];
                row.constant[k] = constant[k];
                if (direct[k] || constant[k]) {
                    row.in[k] = xs[k].memory();
                    row.at[k] = at;
                } else {
                    boolean still = strides[k][last] == 0 && row.n > 1;
                    if (still) {
                        Copies.repeat(xs[k].dtype().bytes(), xs[k].memory(), at, scratch.raw(k), 0, row.n);
                    }
                    stage(k, still ? scratch.raw(k) : xs[k].memory(), still ? 0 : at, row, scratch);
                }
            }
            compute(block / blocksPerRow * inner + start, row, scratch);
            if (piece == blocksPerRow - 1) {
                cursor.advance();
            }
        }

        private void shortBlock(long block, Cursor cursor, Row row, Machine.Scratch scratch) {
            long first = block * blockLength;
            int n = (int) Math.min(blockLength, total - first);
            row.n = n;
            int width = (int) inner;
            for (int done = 0; done < n;) {
                int rows = (int) Math.min(cursor.left(), (n - done) / width);
                for (int k = 0; k < xs.length; k++) {
                    if (!direct[k]) {
                        expand(k, xs[k].offset() + cursor.at(k), rows, width, scratch.raw(k), done);
                    }
                }
                cursor.advance(rows);
                done += rows * width;
            }
            for (int k = 0; k < xs.length; k++) {
                row.constant[k] = false;
                if (direct[k]) {
                    row.in[k] = xs[k].memory();
                    row.at[k] = xs[k].offset() + first * xs[k].dtype().bytes();
                } else {
                    stage(k, scratch.raw(k), 0, row, scratch);
                }
            }
            compute(first, row, scratch);
        }

        /** Stages rows of operand k that are evenly spaced. */
        private void expand(int k, long at, int rows, int width, MemorySegment target, int done) {
            int bytes = xs[k].dtype().bytes();
            long spacing = strides[k][dims.length - 2];
            boolean repeat = strides[k][dims.length - 1] == 0;
            if (bytes == 4) {
                machine.kernels().expand(xs[k].memory(), at, spacing, repeat, rows, width, target, done * 4L);
                return;
            }
            for (int r = 0; r < rows; r++) {
                long to = (long) (done + r * width) * bytes;
                if (repeat) {
                    Copies.repeat(bytes, xs[k].memory(), at + r * spacing, target, to, width);
                } else {
                    Copies.row(bytes, xs[k].memory(), at + r * spacing, target, to, width);
                }
            }
        }

        private void stage(int k, MemorySegment source, long at, Row row, Machine.Scratch scratch) {
            if (widened[k]) {
                machine.kernels().widen(xs[k].dtype(), source, at, scratch.f32(k), 0, row.n);
                row.in[k] = scratch.f32(k);
                row.at[k] = 0;
            } else {
                row.in[k] = source;
                row.at[k] = at;
            }
        }

        private void compute(long index, Row row, Machine.Scratch scratch) {
            long at = y.offset() + index * y.dtype().bytes();
            if (!narrowed) {
                row.out = y.memory();
                row.outAt = at;
                kernel.run(row);
                return;
            }
            row.out = scratch.f32(xs.length);
            row.outAt = 0;
            kernel.run(row);
            machine.kernels().narrow(y.dtype(), row.out, 0, y.memory(), at, row.n);
        }
    }

    /** Whether elements are stored in 16 bits and computed in F32. */
    static boolean isHalf(DType dtype) {
        return dtype == DType.BF16 || dtype == DType.F16;
    }
}
