package dev.sequent.backend.cpu;

import dev.sequent.spi.Layout;
import dev.sequent.spi.MatmulProvider;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Batched matrix products. Operands whose rows or columns are dense are read where they lie, transposed views included; the batch is
 * folded into the rows of A where B is the same for all of it. On request, products of F32 operands that a provider takes in F32 and in
 * BF16, so neither tiny nor of few rows or columns, round their operands to BF16. Thread-safe.
 */
final class Matmul {
    /** Products with fewer multiplications are spread over threads by matrix, larger ones inside each matrix. */
    private static final long SMALL_PRODUCT = 1 << 20;
    /** So many matrices per thread are enough to keep all threads busy. */
    private static final int MATRICES_PER_THREAD = 4;

    private final Machine machine;
    private final Copies copies;
    private final Casts casts;
    private final Gemm gemm;
    private final MatmulProvider.Matmul provider;
    private final HalfGemv half;
    private final boolean rounding;

    /**
     * Products by {@code gemm}, or by {@code provider} (null for none) where that accepts them.
     *
     * @param rounding whether F32 operands may be rounded to BF16
     */
    Matmul(Machine machine, Copies copies, Casts casts, Gemm gemm, MatmulProvider.Matmul provider, boolean rounding) {
        this.machine = machine;
        this.copies = copies;
        this.casts = casts;
        this.gemm = gemm;
        this.provider = provider;
        this.half = gemm instanceof JavaGemm ? new HalfGemv(machine.pool()) : null;
        this.rounding = rounding;
    }

    /** Sizes of one product. */
    private record Sizes(int m, int n, int k) {
        static Sizes of(CpuHandle a, CpuHandle b, boolean ta, boolean tb) {
            long m = a.shape().dim(ta ? -1 : -2);
            long n = b.shape().dim(tb ? -2 : -1);
            long k = a.shape().dim(ta ? -2 : -1);
            if (Math.max(m, Math.max(n, k)) > Integer.MAX_VALUE) {
                throw new ShapeException("matmul", "rows and columns below 2^31", a.shape() + " and " + b.shape());
            }
            return new Sizes((int) m, (int) n, (int) k);
        }

        long work() {
            return Math.max(1, (long) m * n * k);
        }
    }

    /** The innermost two axes of an operand as a row-major matrix. {@code x} belongs to this record. */
    private record Matrix(CpuHandle x, boolean transposed, long ld) {}

    CpuHandle matmul(CpuHandle a, CpuHandle b, boolean ta, boolean tb) {
        Sizes sizes = Sizes.of(a, b, ta, tb);
        Shape shape = a.shape().with(-2, sizes.m).with(-1, sizes.n);
        if (shape.size() == 0 || sizes.k == 0) {
            CpuHandle y = machine.allocate("matmul", shape, a.dtype());
            return machine.produce(y, () -> casts.fill(y, 0));
        }
        if (isThin(a, b, ta, tb, sizes)) {
            return thin(a, b, tb, sizes, shape);
        }
        return switch (a.dtype()) {
            case F32 -> product(a, b, ta, tb, sizes, shape);
            case BF16 -> {
                boolean native16 = provider != null && provider.accepts(sizes.m, sizes.n, sizes.k, DType.BF16.bytes());
                yield rounded(native16 ? product(a, b, ta, tb, sizes, shape) : widened(a, b, ta, tb, sizes, shape), DType.BF16);
            }
            case F16 -> rounded(widened(a, b, ta, tb, sizes, shape), DType.F16);
            case F64, I64, I32, BOOL -> plain(a, b, ta, tb, sizes, shape);
        };
    }

    /** a b^T over the last axis of a where that is a product of a few dense rows with dense rows that no provider takes; else null. */
    CpuHandle project(CpuHandle a, CpuHandle b) {
        if (a.shape().rank() == 0 || b.shape().rank() != 2 || a.dtype() != b.dtype() || a.shape().dim(-1) != b.shape().dim(1)
                || b.shape().size() == 0 || !a.contiguous() || b.strides()[1] != 1) {
            return null;
        }
        long rows = a.shape().size() / b.shape().dim(1);
        if (rows < 1 || rows > JavaGemm.THIN_ROWS || Math.max(b.shape().dim(0), b.shape().dim(1)) > Integer.MAX_VALUE) {
            return null;
        }
        Sizes sizes = new Sizes((int) rows, (int) b.shape().dim(0), (int) b.shape().dim(1));
        Shape shape = a.shape().with(-1, sizes.n);
        return switch (a.dtype()) {
            case F32 -> provider != null && provider.accepts(sizes.m, sizes.n, sizes.k, Float.BYTES) ? null : few(a, b, sizes, shape);
            case BF16, F16 -> half == null ? null : thin(a, b, true, sizes, shape);
            default -> null;
        };
    }

    private CpuHandle few(CpuHandle a, CpuHandle b, Sizes sizes, Shape shape) {
        CpuHandle y = machine.allocate("matmul", shape, DType.F32);
        return machine.produce(y, () -> gemm.gemm(false, true, sizes.m, sizes.n, sizes.k, a.memory().asSlice(a.offset()), sizes.k,
                b.memory().asSlice(b.offset()), b.strides()[0], 0, y.memory().asSlice(y.offset()), sizes.n));
    }

    /** Whether a few rows are multiplied with a stored (n, k) matrix of 16-bit floats, as weights are in generation. */
    private boolean isThin(CpuHandle a, CpuHandle b, boolean ta, boolean tb, Sizes sizes) {
        return half != null && (a.dtype() == DType.BF16 || a.dtype() == DType.F16) && !ta && a.shape().rank() == 2
                && b.shape().rank() == 2 && sizes.m <= JavaGemm.THIN_ROWS && b.strides()[tb ? 1 : 0] == 1;
    }

    private CpuHandle thin(CpuHandle a, CpuHandle b, boolean tb, Sizes sizes, Shape shape) {
        CpuHandle rows = copies.contiguous("matmul", a);
        try {
            CpuHandle y = machine.allocate("matmul", shape, a.dtype());
            MemorySegment q = b.memory().asSlice(b.offset());
            return machine.produce(y, () -> half.multiply(b.dtype(), sizes.m, sizes.n, sizes.k, rows.memory().asSlice(rows.offset()), q,
                    b.strides()[tb ? 0 : 1], y.memory().asSlice(y.offset())));
        } finally {
            rows.release();
        }
    }

    private CpuHandle rounded(CpuHandle y, DType dtype) {
        try {
            return casts.cast(y, dtype);
        } finally {
            y.release();
        }
    }

    private CpuHandle widened(CpuHandle a, CpuHandle b, boolean ta, boolean tb, Sizes sizes, Shape shape) {
        CpuHandle wideA = casts.cast(a, DType.F32);
        try {
            CpuHandle wideB = casts.cast(b, DType.F32);
            try {
                return product(wideA, wideB, ta, tb, sizes, shape);
            } finally {
                wideB.release();
            }
        } finally {
            wideA.release();
        }
    }

    /** The F32 product of F32 or BF16 operands. */
    private CpuHandle product(CpuHandle a, CpuHandle b, boolean ta, boolean tb, Sizes sizes, Shape shape) {
        CpuHandle y = machine.allocate("matmul", shape, DType.F32);
        return machine.produce(y, () -> {
            Matrix left = matrix(a, ta);
            try {
                Matrix right = matrix(b, tb);
                try {
                    batch(left, right, sizes, y);
                } finally {
                    right.x.release();
                }
            } finally {
                left.x.release();
            }
        });
    }

    private Matrix matrix(CpuHandle x, boolean transposed) {
        int rank = x.shape().rank();
        long rows = x.shape().dim(-2);
        long columns = x.shape().dim(-1);
        long down = x.strides()[rank - 2];
        long across = x.strides()[rank - 1];
        if ((columns == 1 || across == 1) && (rows == 1 || down >= columns)) {
            return new Matrix(x.share(), transposed, rows == 1 ? columns : down);
        }
        if ((rows == 1 || down == 1) && (columns == 1 || across >= rows)) {
            return new Matrix(x.share(), !transposed, columns == 1 ? rows : across);
        }
        return new Matrix(copies.dense("matmul", x), transposed, columns);
    }

    private void batch(Matrix a, Matrix b, Sizes sizes, CpuHandle y) {
        int axes = y.shape().rank() - 2;
        Layout.Space space = Layout.collapse(Arrays.copyOf(y.shape().toArray(), axes), new long[][] {
            Arrays.copyOf(a.x.strides(), axes), Arrays.copyOf(b.x.strides(), axes), Arrays.copyOf(y.strides(), axes)});
        Sizes folded = sizes;
        long[] dims = Arrays.copyOf(space.dims(), space.rank() + 1);
        dims[space.rank()] = 1;
        int last = space.rank() - 1;
        if (dims[last] > 1 && space.strides()[1][last] == 0 && !a.transposed && space.strides()[0][last] == sizes.m * a.ld
                && sizes.m * dims[last] <= Integer.MAX_VALUE) {
            folded = new Sizes((int) (sizes.m * dims[last]), sizes.n, sizes.k);
            dims[last] = 1;
        }
        products(a, b, folded, y, dims, space.strides());
    }

    private void products(Matrix a, Matrix b, Sizes sizes, CpuHandle y, long[] dims, long[][] strides) {
        long count = 1;
        for (long d : dims) {
            count *= d;
        }
        int bytes = a.x.dtype().bytes();
        boolean given = provider != null && provider.accepts(sizes.m, sizes.n, sizes.k, bytes);
        boolean rounded = given && rounding && bytes == Float.BYTES && provider.accepts(sizes.m, sizes.n, sizes.k, DType.BF16.bytes());
        boolean byMatrix = sizes.work() < SMALL_PRODUCT || count >= (long) MATRICES_PER_THREAD * machine.pool().threads();
        long perTask = byMatrix ? Math.max(1, SMALL_PRODUCT / 8 / sizes.work()) : count;
        machine.range(count, perTask, (from, to) -> {
            Cursor cursor = new Cursor(dims, strides, from);
            for (long i = from; i < to; i++) {
                MemorySegment p = a.x.memory().asSlice(a.x.offset() + cursor.at(0) * bytes);
                MemorySegment q = b.x.memory().asSlice(b.x.offset() + cursor.at(1) * bytes);
                MemorySegment r = y.memory().asSlice(y.offset() + cursor.at(2) * 4);
                if (!given) {
                    gemm.gemm(a.transposed, b.transposed, sizes.m, sizes.n, sizes.k, p, a.ld, q, b.ld, 0, r, sizes.n);
                } else if (rounded) {
                    provider.gemmRounded(a.transposed, b.transposed, sizes.m, sizes.n, sizes.k, p, a.ld, q, b.ld, 0, r, sizes.n);
                } else if (bytes == 2) {
                    provider.gemmBf16(a.transposed, b.transposed, sizes.m, sizes.n, sizes.k, p, a.ld, q, b.ld, 0, r, sizes.n);
                } else {
                    provider.gemmF32(a.transposed, b.transposed, sizes.m, sizes.n, sizes.k, p, a.ld, q, b.ld, 0, r, sizes.n);
                }
                cursor.advance();
            }
        });
    }

    /** F64 in double precision and integers exactly, a row of the result at a time. */
    private CpuHandle plain(CpuHandle a, CpuHandle b, boolean ta, boolean tb, Sizes sizes, Shape shape) {
        CpuHandle y = machine.allocate("matmul", shape, a.dtype());
        return machine.produce(y, () -> {
            CpuHandle left = oriented(a, ta);
            try {
                CpuHandle right = oriented(b, tb);
                try {
                    machine.overRows(y, shape.size() / sizes.n, (long) sizes.n * sizes.k, row -> plainRow(left, right, sizes, row, y));
                } finally {
                    right.release();
                }
            } finally {
                left.release();
            }
        });
    }

    private CpuHandle oriented(CpuHandle x, boolean transposed) {
        if (!transposed) {
            return copies.contiguous("matmul", x);
        }
        int rank = x.shape().rank();
        long[] strides = x.strides().clone();
        strides[rank - 1] = x.strides()[rank - 2];
        strides[rank - 2] = x.strides()[rank - 1];
        Shape shape = x.shape().with(-1, x.shape().dim(-2)).with(-2, x.shape().dim(-1));
        CpuHandle view = x.view(x.offset(), shape, strides);
        try {
            return copies.contiguous("matmul", view);
        } finally {
            view.release();
        }
    }

    private static void plainRow(CpuHandle a, CpuHandle b, Sizes sizes, long row, CpuHandle y) {
        DType dtype = a.dtype();
        int bytes = dtype.bytes();
        boolean floats = dtype.isFloat();
        double[] numbers = new double[floats ? sizes.n : 0];
        long[] integers = new long[floats ? 0 : sizes.n];
        long p = a.offset() + row * sizes.k * bytes;
        long q = b.offset() + row / sizes.m * sizes.k * sizes.n * bytes;
        for (int k = 0; k < sizes.k; k++, p += bytes) {
            if (floats) {
                double s = Elements.number(dtype, a.memory(), p);
                for (int j = 0; j < sizes.n; j++, q += bytes) {
                    numbers[j] += s * Elements.number(dtype, b.memory(), q);
                }
            } else {
                long s = Elements.integer(dtype, a.memory(), p);
                for (int j = 0; j < sizes.n; j++, q += bytes) {
                    integers[j] += s * Elements.integer(dtype, b.memory(), q);
                }
            }
        }
        long t = y.offset() + row * sizes.n * bytes;
        for (int j = 0; j < sizes.n; j++, t += bytes) {
            if (floats) {
                Elements.set(dtype, y.memory(), t, numbers[j]);
            } else {
                Elements.set(dtype, y.memory(), t, integers[j]);
            }
        }
    }
}
