package dev.sequent.backend.cpu;

import dev.sequent.type.DType;
import java.util.function.UnaryOperator;

/** Conversions between dtypes, and fills. Thread-safe. */
final class Casts {
    private static final Elementwise.Mode RAW = new Elementwise.Mode(false, false);

    private final Machine machine;
    private final Elementwise elementwise;

    Casts(Machine machine, Elementwise elementwise) {
        this.machine = machine;
        this.elementwise = elementwise;
    }

    CpuHandle cast(CpuHandle x, DType to) {
        DType from = x.dtype();
        if (from == to) {
            return x.share();
        }
        Elementwise.RowKernel kernel;
        if (to == DType.F32 && (Elementwise.isHalf(from) || from == DType.BOOL)) {
            kernel = row -> machine.kernels().widen(from, row.in[0], row.at[0], row.out, row.outAt, row.n);
        } else if (from == DType.F32 && Elementwise.isHalf(to)) {
            kernel = row -> machine.kernels().narrow(to, row.in[0], row.at[0], row.out, row.outAt, row.n);
        } else {
            kernel = PlainRows.cast(from, to);
        }
        return elementwise.map("cast", to, RAW, kernel, x);
    }

    /** Converts a 16-bit operand to F32, applies {@code operation}, and rounds its result back. */
    CpuHandle inF32(CpuHandle x, UnaryOperator<CpuHandle> operation) {
        CpuHandle wide = cast(x, DType.F32);
        try {
            CpuHandle result = operation.apply(wide);
            try {
                return cast(result, x.dtype());
            } finally {
                result.release();
            }
        } finally {
            wide.release();
        }
    }

    /** Fills a row-major tensor. */
    void fill(CpuHandle y, double value) {
        long n = y.shape().size();
        DType dtype = y.dtype();
        int bytes = dtype.bytes();
        machine.range(n, Machine.GRAIN, (from, to) -> {
            long at = y.offset() + from * bytes;
            Elements.set(dtype, y.memory(), at, value);
            if (dtype == DType.F32) {
                machine.kernels().fill((float) value, y.memory(), at, (int) (to - from));
            } else {
                Copies.repeat(bytes, y.memory(), at, y.memory(), at, (int) (to - from));
            }
        });
    }

    /** Turns every non-zero byte of a row-major BOOL tensor into 1. */
    void normalise(CpuHandle y) {
        machine.range(y.shape().size(), Machine.GRAIN, (from, to) -> {
            for (long i = from; i < to; i++) {
                Elements.set(DType.BOOL, y.memory(), y.offset() + i, Elements.integer(DType.BOOL, y.memory(), y.offset() + i));
            }
        });
    }
}
