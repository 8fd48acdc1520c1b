package dev.sequent.backend.cpu;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.Philox;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The kernels as plain loops in double precision: what runs where the vector module is absent, and what the vector kernels are
 * tested against.
 */
final class ScalarKernels implements Kernels {
    private static final ValueLayout.OfFloat F = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort H = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfInt I = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfByte B = ValueLayout.JAVA_BYTE;

    private final String reason;

    /** Kernels that say why they are in use. */
    ScalarKernels(String reason) {
        this.reason = reason;
    }

    @Override
    public String description() {
        return "scalar kernels (" + reason + ")";
    }

    @Override
    public boolean vectorised() {
        return false;
    }

    @Override
    public void unary(UnaryOp op, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i++) {
            y.set(F, yo + 4L * i, (float) op.apply(x.get(F, xo + 4L * i)));
        }
    }

    @Override
    public void binary(BinaryOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i++) {
            y.set(F, yo + 4L * i, (float) op.apply(a.get(F, ao + 4L * i), b.get(F, bo + 4L * i)));
        }
    }

    @Override
    public void binaryScalar(BinaryOp op, MemorySegment x, long xo, float s, boolean reversed, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i++) {
            float v = x.get(F, xo + 4L * i);
            y.set(F, yo + 4L * i, (float) (reversed ? op.apply(s, v) : op.apply(v, s)));
        }
    }

    @Override
    public void compare(CompareOp op, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i++) {
            y.set(B, yo + i, (byte) (op.apply(a.get(F, ao + 4L * i), b.get(F, bo + 4L * i)) ? 1 : 0));
        }
    }

    @Override
    public void select(MemorySegment c, long co, MemorySegment a, long ao, MemorySegment b, long bo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i++) {
            y.set(F, yo + 4L * i, c.get(B, co + i) != 0 ? a.get(F, ao + 4L * i) : b.get(F, bo + 4L * i));
        }
    }

    @Override
    public void fill(float value, MemorySegment y, long yo, int n) {
        MemorySegment t = y.asSlice(yo, 4L * n);
        for (int i = 0; i < n; i++) {
            t.set(F, 4L * i, value);
        }
    }

    @Override
    public void widen(DType from, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        if (from == DType.BOOL) {
            for (int i = 0; i < n; i++) {
                y.set(F, yo + 4L * i, x.get(B, xo + i));
            }
            return;
        }
        for (int i = 0; i < n; i++) {
            y.set(F, yo + 4L * i, widen(from, x.get(H, xo + 2L * i)));
        }
    }

    @Override
    public void narrow(DType to, MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i++) {
            y.set(H, yo + 2L * i, narrow(to, x.get(F, xo + 4L * i)));
        }
    }

    /** The value of a 16-bit float. */
    static float widen(DType from, short bits) {
        return from == DType.BF16 ? Float.intBitsToFloat(bits << 16) : Float.float16ToFloat(bits);
    }

    /** The nearest 16-bit float, ties to even. */
    static short narrow(DType to, float value) {
        if (to == DType.F16) {
            return Float.floatToFloat16(value);
        }
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
    }

    @Override
    public void reduceRows(ReduceOp op, MemorySegment x, long xo, long stride, int rows, int n, MemorySegment y, long yo) {
        for (int r = 0; r < rows; r++) {
            double sum = op.identity();
            for (int i = 0; i < n; i++) {
                sum = op.apply(sum, x.get(F, xo + r * stride + 4L * i));
            }
            y.set(F, yo + 4L * r, (float) sum);
        }
    }

    @Override
    public void accumulateRows(ReduceOp op, MemorySegment x, long xo, long stride, int rows, MemorySegment y, long yo, int n) {
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < n; i++) {
                y.set(F, yo + 4L * i, (float) op.apply(y.get(F, yo + 4L * i), x.get(F, xo + r * stride + 4L * i)));
            }
        }
    }

    @Override
    public void transpose(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int n, int m) {
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < m; i++) {
                y.set(I, yo + j * ys + 4L * i, x.get(I, xo + i * xs + 4L * j));
            }
        }
    }

    @Override
    public void copyRows(MemorySegment x, long xo, long xs, MemorySegment y, long yo, long ys, int rows, int n) {
        for (int r = 0; r < rows; r++) {
            MemorySegment.copy(x, xo + r * xs, y, yo + r * ys, 4L * n);
        }
    }

    @Override
    public void reverse(MemorySegment x, long xo, MemorySegment y, long yo, int n) {
        for (int i = 0; i < n; i++) {
            y.set(I, yo + 4L * i, x.get(I, xo - 4L * i));
        }
    }

    @Override
    public void expand(MemorySegment x, long xo, long row, boolean repeat, int rows, int n, MemorySegment y, long yo) {
        int step = repeat ? 0 : 4;
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < n; i++) {
                y.set(I, yo + 4L * (r * n + i), x.get(I, xo + r * row + i * step));
            }
        }
    }

    @Override
    public void uniform(long seed, long first, MemorySegment y, long yo, int n) {
        int[] words = new int[4];
        long counter = -1;
        boolean filled = false;
        for (int i = 0; i < n; i++) {
            long at = first + i;
            if (!filled || at >> 2 != counter) {
                counter = at >> 2;
                Philox.block(seed, counter, words);
                filled = true;
            }
            y.set(F, yo + 4L * i, Philox.uniform(words[(int) (at & 3)]));
        }
    }
}
