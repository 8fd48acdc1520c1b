package dev.sequent.backend.cpu;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Elementwise loops for the dtypes without kernels of their own: F64 in double precision, integers exactly, booleans as 0 and 1. */
final class PlainRows {
    private static final ValueLayout.OfByte B = ValueLayout.JAVA_BYTE;

    private PlainRows() {}

    static Elementwise.RowKernel unary(UnaryOp op, DType dtype) {
        int bytes = dtype.bytes();
        if (dtype.isFloat()) {
            return row -> {
                for (long i = 0, end = (long) row.n * bytes; i < end; i += bytes) {
                    Elements.set(dtype, row.out, row.outAt + i, op.apply(Elements.number(dtype, row.in[0], row.at[0] + i)));
                }
            };
        }
        return row -> {
            for (long i = 0, end = (long) row.n * bytes; i < end; i += bytes) {
                Elements.set(dtype, row.out, row.outAt + i, op.applyInteger(Elements.integer(dtype, row.in[0], row.at[0] + i)));
            }
        };
    }

    static Elementwise.RowKernel binary(BinaryOp op, DType dtype) {
        int bytes = dtype.bytes();
        if (dtype.isFloat()) {
            return row -> {
                for (long i = 0, end = (long) row.n * bytes; i < end; i += bytes) {
                    double a = Elements.number(dtype, row.in[0], row.at[0] + i);
                    double b = Elements.number(dtype, row.in[1], row.at[1] + i);
                    Elements.set(dtype, row.out, row.outAt + i, op.apply(a, b));
                }
            };
        }
        return row -> {
            for (long i = 0, end = (long) row.n * bytes; i < end; i += bytes) {
                long a = Elements.integer(dtype, row.in[0], row.at[0] + i);
                long b = Elements.integer(dtype, row.in[1], row.at[1] + i);
                Elements.set(dtype, row.out, row.outAt + i, op.applyInteger(a, b));
            }
        };
    }

    static Elementwise.RowKernel binaryScalar(BinaryOp op, DType dtype, double s, boolean reversed) {
        int bytes = dtype.bytes();
        if (dtype.isFloat()) {
            return row -> {
                for (long i = 0, end = (long) row.n * bytes; i < end; i += bytes) {
                    double a = Elements.number(dtype, row.in[0], row.at[0] + i);
                    Elements.set(dtype, row.out, row.outAt + i, reversed ? op.apply(s, a) : op.apply(a, s));
                }
            };
        }
        long n = (long) s;
        return row -> {
            for (long i = 0, end = (long) row.n * bytes; i < end; i += bytes) {
                long a = Elements.integer(dtype, row.in[0], row.at[0] + i);
                Elements.set(dtype, row.out, row.outAt + i, reversed ? op.applyInteger(n, a) : op.applyInteger(a, n));
            }
        };
    }

    static Elementwise.RowKernel compare(CompareOp op, DType dtype) {
        int bytes = dtype.bytes();
        if (dtype.isFloat()) {
            return row -> {
                for (int i = 0; i < row.n; i++) {
                    double a = Elements.number(dtype, row.in[0], row.at[0] + (long) i * bytes);
                    double b = Elements.number(dtype, row.in[1], row.at[1] + (long) i * bytes);
                    row.out.set(B, row.outAt + i, (byte) (op.apply(a, b) ? 1 : 0));
                }
            };
        }
        return row -> {
            for (int i = 0; i < row.n; i++) {
                long a = Elements.integer(dtype, row.in[0], row.at[0] + (long) i * bytes);
                long b = Elements.integer(dtype, row.in[1], row.at[1] + (long) i * bytes);
                row.out.set(B, row.outAt + i, (byte) (op.apply(Long.compare(a, b), 0) ? 1 : 0));
            }
        };
    }

    /** Chooses between elements of {@code bytes} bytes without looking at them. */
    static Elementwise.RowKernel select(int bytes) {
        return row -> {
            for (int i = 0; i < row.n; i++) {
                int k = row.in[0].get(B, row.at[0] + i) != 0 ? 1 : 2;
                Copies.row(bytes, row.in[k], row.at[k] + (long) i * bytes, row.out, row.outAt + (long) i * bytes, 1);
            }
        };
    }

    static Elementwise.RowKernel cast(DType from, DType to) {
        return row -> {
            for (int i = 0; i < row.n; i++) {
                copy(from, row.in[0], row.at[0] + (long) i * from.bytes(), to, row.out, row.outAt + (long) i * to.bytes());
            }
        };
    }

    private static void copy(DType from, MemorySegment x, long xo, DType to, MemorySegment y, long yo) {
        if (from.isFloat()) {
            Elements.set(to, y, yo, Elements.number(from, x, xo));
        } else {
            Elements.set(to, y, yo, Elements.integer(from, x, xo));
        }
    }
}
