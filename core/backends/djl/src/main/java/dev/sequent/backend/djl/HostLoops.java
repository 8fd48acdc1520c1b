package dev.sequent.backend.djl;

import ai.djl.pytorch.engine.PtNDArray;
import dev.sequent.op.BinaryOp;
import dev.sequent.op.Philox;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Operations for which DJL has no exact form, as Java loops over the memory of DJL's arrays; a GPU's arrays make the way through the
 * host. Arrays that are passed in are dense and on the host; so are the ones that are returned.
 */
final class HostLoops {
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED;

    private HostLoops() {}

    /** An I64 array, on the call's device, of a value that need not be a double. */
    static PtNDArray filled(Call c, Shape shape, long value) {
        PtNDArray y = c.hostArray(shape, DType.I64);
        MemorySegment to = c.memory(y, shape, DType.I64);
        for (long i = 0; i < shape.size(); i++) {
            to.set(LONG, i * Long.BYTES, value);
        }
        return c.toDevice(y);
    }

    /** Makes every byte that is not 0 a 1, as PyTorch expects booleans to be. */
    static void normalise(MemorySegment booleans) {
        for (long i = 0; i < booleans.byteSize(); i++) {
            booleans.set(ValueLayout.JAVA_BYTE, i, (byte) (booleans.get(ValueLayout.JAVA_BYTE, i) != 0 ? 1 : 0));
        }
    }

    /** Philox numbers: see {@link dev.sequent.spi.Backend#randomUniform}. */
    static void uniform(MemorySegment to, long n, DType dtype, long seed, long offset) {
        int[] words = new int[Philox.WORDS];
        for (long i = 0; i < n; i++) {
            int word = Math.floorMod(offset + i, Philox.WORDS);
            if (word == 0 || i == 0) {
                Philox.block(seed, Math.floorDiv(offset + i, Philox.WORDS), words);
            }
            float uniform = Philox.uniform(words[word]);
            switch (dtype) {
                case F64 -> to.set(DOUBLE, i * Double.BYTES, uniform);
                case F16 -> to.set(SHORT, i * Short.BYTES, truncated(uniform));
                default -> to.set(FLOAT, i * Float.BYTES, uniform);
            }
        }
    }

    /** The F16 number next to {@code x}, which is not negative, toward zero. */
    private static short truncated(float x) {
        short nearest = Float.floatToFloat16(x);
        return Float.float16ToFloat(nearest) > x ? (short) (nearest - 1) : nearest;
    }

    /** {@code op(x)} of F64 elements. */
    static void doubles(UnaryOp op, MemorySegment x, MemorySegment y, long n) {
        for (long i = 0; i < n; i++) {
            y.set(DOUBLE, i * Double.BYTES, op.apply(x.get(DOUBLE, i * Double.BYTES)));
        }
    }

    /** Integer {@code op(a, b)}; an operand of one element stands for a scalar. */
    static void integers(BinaryOp op, DType dtype, MemorySegment a, boolean scalarA, MemorySegment b, boolean scalarB, MemorySegment y,
            long n) {
        for (long i = 0; i < n; i++) {
            if (dtype == DType.I64) {
                y.set(LONG, i * Long.BYTES, op.applyInteger(a.get(LONG, scalarA ? 0 : i * Long.BYTES),
                        b.get(LONG, scalarB ? 0 : i * Long.BYTES)));
            } else {
                long left = a.get(INT, scalarA ? 0 : i * Integer.BYTES);
                y.set(INT, i * Integer.BYTES, (int) op.applyInteger(left, b.get(INT, scalarB ? 0 : i * Integer.BYTES)));
            }
        }
    }

    /**
     * Adds {@code source} to {@code y}, which holds a copy of x, in ascending order of source's elements: element (o, k, i), of sizes
     * {@code outer}, {@code length} and {@code inner}, goes to row {@code index} of the {@code rows} along the axis.
     *
     * @param each whether the index has an element for every element of source, or one for every k
     */
    static void add(Call c, DType dtype, MemorySegment y, long rows, MemorySegment index, boolean each, MemorySegment source,
            long[] sizes) {
        long outer = sizes[0];
        long length = sizes[1];
        long inner = sizes[2];
        for (long o = 0; o < outer; o++) {
            for (long k = 0; k < length; k++) {
                long from = (o * length + k) * inner;
                if (each) {
                    for (long i = 0; i < inner; i++) {
                        long row = checked(c, index.get(LONG, (from + i) * Long.BYTES), rows);
                        addRun(dtype, y, (o * rows + row) * inner + i, source, from + i, 1);
                    }
                } else {
                    long row = checked(c, index.get(LONG, k * Long.BYTES), rows);
                    addRun(dtype, y, (o * rows + row) * inner, source, from, inner);
                }
            }
        }
    }

    private static void addRun(DType dtype, MemorySegment y, long to, MemorySegment source, long from, long n) {
        switch (dtype) {
            case F64 -> {
                for (long i = 0; i < n; i++) {
                    long at = (to + i) * Double.BYTES;
                    y.set(DOUBLE, at, y.get(DOUBLE, at) + source.get(DOUBLE, (from + i) * Double.BYTES));
                }
            }
            case I64 -> {
                for (long i = 0; i < n; i++) {
                    long at = (to + i) * Long.BYTES;
                    y.set(LONG, at, y.get(LONG, at) + source.get(LONG, (from + i) * Long.BYTES));
                }
            }
            case I32 -> {
                for (long i = 0; i < n; i++) {
                    long at = (to + i) * Integer.BYTES;
                    y.set(INT, at, y.get(INT, at) + source.get(INT, (from + i) * Integer.BYTES));
                }
            }
            default -> {
                for (long i = 0; i < n; i++) {
                    long at = (to + i) * Float.BYTES;
                    y.set(FLOAT, at, y.get(FLOAT, at) + source.get(FLOAT, (from + i) * Float.BYTES));
                }
            }
        }
    }

    /** Requires every index to lie in [0, n). */
    static void check(Call c, MemorySegment index, long count, long n) {
        for (long i = 0; i < count; i++) {
            checked(c, index.get(LONG, i * Long.BYTES), n);
        }
    }

    private static long checked(Call c, long index, long n) {
        if (index < 0 || index >= n) {
            throw new ShapeException(c.op(), "indices in [0, " + n + ")", Long.toString(index));
        }
        return index;
    }

    /** Indices of the {@code k} largest of every row of {@code n} elements; dtype is F64, F32, I64 or I32. */
    static void topK(MemorySegment x, DType dtype, long rows, int n, int k, MemorySegment y) {
        long[] keys = new long[n];
        TopRows best = new TopRows(keys, k);
        for (long row = 0; row < rows; row++) {
            for (int i = 0; i < n; i++) {
                keys[i] = key(x, dtype, row * n + i);
            }
            best.select();
            for (int rank = 0; rank < k; rank++) {
                y.set(LONG, (row * k + rank) * Long.BYTES, best.index(rank));
            }
        }
    }

    /** A long that orders elements by value: NaN first, both zeros equal. */
    private static long key(MemorySegment x, DType dtype, long i) {
        return switch (dtype) {
            case I64 -> x.get(LONG, i * Long.BYTES);
            case I32 -> x.get(INT, i * Integer.BYTES);
            case F64 -> key(x.get(DOUBLE, i * Double.BYTES));
            default -> key(x.get(FLOAT, i * Float.BYTES));
        };
    }

    private static long key(double value) {
        long bits = Double.doubleToLongBits(value + 0.0);
        return bits ^ (bits >> 63 & Long.MAX_VALUE);
    }
}
