package dev.sequent.backend.nd4j;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.Philox;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.DoubleUnaryOperator;
import java.util.function.LongUnaryOperator;

/**
 * Elementwise operations as loops of ours over ND4J's buffers: in double precision for floats, in exact arithmetic for integers. For
 * what ND4J lacks or does differently. Operands and results are dense and of equal size. Thread-safe.
 */
final class HostElementwise {
    private HostElementwise() {}

    /** What is done with one run of elements. */
    private interface Run {
        void apply(long from, int n);
    }

    private static void runs(long size, Run body) {
        for (long from = 0; from < size; from += Elements.RUN) {
            body.apply(from, (int) Math.min(Elements.RUN, size - from));
        }
    }

    private static int length(Dense x) {
        return (int) Math.min(Elements.RUN, x.size());
    }

    /** Elements of {@code y} from those of {@code x}, as double or as long; their dtypes may differ. */
    private static void map(Dense x, Dense y, DoubleUnaryOperator floats, LongUnaryOperator integers) {
        MemorySegment in = x.segment();
        MemorySegment out = y.segment();
        DType from = x.dtype();
        DType to = y.dtype();
        if (from.isFloat()) {
            double[] a = new double[length(x)];
            runs(x.size(), (at, n) -> {
                Elements.load(from, in, at, n, a);
                for (int i = 0; i < n; i++) {
                    a[i] = floats.applyAsDouble(a[i]);
                }
                Elements.store(to, out, at, n, a);
            });
        } else {
            long[] a = new long[length(x)];
            runs(x.size(), (at, n) -> {
                Elements.load(from, in, at, n, a);
                for (int i = 0; i < n; i++) {
                    a[i] = integers.applyAsLong(a[i]);
                }
                Elements.store(to, out, at, n, a);
            });
        }
    }

    static void unary(UnaryOp op, Dense x, Dense y) {
        map(x, y, op::apply, op::applyInteger);
    }

    static void binaryScalar(BinaryOp op, Dense x, double s, boolean reversed, Dense y) {
        long integer = (long) s;
        if (reversed) {
            map(x, y, a -> op.apply(s, a), a -> op.applyInteger(integer, a));
        } else {
            map(x, y, a -> op.apply(a, s), a -> op.applyInteger(a, integer));
        }
    }

    static void cast(Dense x, Dense y) {
        map(x, y, DoubleUnaryOperator.identity(), LongUnaryOperator.identity());
    }

    static void binary(BinaryOp op, Dense x, Dense z, Dense y) {
        MemorySegment left = x.segment();
        MemorySegment right = z.segment();
        MemorySegment out = y.segment();
        DType dtype = x.dtype();
        if (dtype.isFloat()) {
            double[] a = new double[length(x)];
            double[] b = new double[length(x)];
            runs(x.size(), (from, n) -> {
                Elements.load(dtype, left, from, n, a);
                Elements.load(dtype, right, from, n, b);
                for (int i = 0; i < n; i++) {
                    a[i] = op.apply(a[i], b[i]);
                }
                Elements.store(dtype, out, from, n, a);
            });
        } else {
            long[] a = new long[length(x)];
            long[] b = new long[length(x)];
            runs(x.size(), (from, n) -> {
                Elements.load(dtype, left, from, n, a);
                Elements.load(dtype, right, from, n, b);
                for (int i = 0; i < n; i++) {
                    a[i] = op.applyInteger(a[i], b[i]);
                }
                Elements.store(dtype, out, from, n, a);
            });
        }
    }

    static void compare(CompareOp op, Dense x, Dense z, Dense y) {
        MemorySegment left = x.segment();
        MemorySegment right = z.segment();
        MemorySegment out = y.segment();
        DType dtype = x.dtype();
        double[] a = new double[length(x)];
        double[] b = new double[length(x)];
        long[] c = new long[dtype.isFloat() ? 0 : length(x)];
        long[] d = new long[c.length];
        runs(x.size(), (from, n) -> {
            if (dtype.isFloat()) {
                Elements.load(dtype, left, from, n, a);
                Elements.load(dtype, right, from, n, b);
            } else {
                // integers are compared as integers: as doubles, large ones would seem equal
                Elements.load(dtype, left, from, n, c);
                Elements.load(dtype, right, from, n, d);
                for (int i = 0; i < n; i++) {
                    a[i] = Long.compare(c[i], d[i]);
                }
            }
            for (int i = 0; i < n; i++) {
                a[i] = op.apply(a[i], b[i]) ? 1 : 0;
            }
            Elements.store(DType.BOOL, out, from, n, a);
        });
    }

    /** Chooses whole elements, without looking at what they mean. */
    static void where(Dense condition, Dense x, Dense z, Dense y) {
        MemorySegment holds = condition.segment();
        MemorySegment out = y.segment();
        int bytes = y.dtype().bytes();
        MemorySegment.copy(z.segment(), 0, out, 0, out.byteSize());
        MemorySegment in = x.segment();
        long size = y.size();
        // runs of chosen elements are copied at once
        for (long i = 0; i < size; i++) {
            long first = i;
            while (i < size && holds.get(ValueLayout.JAVA_BYTE, i) != 0) {
                i++;
            }
            if (i > first) {
                MemorySegment.copy(in, first * bytes, out, first * bytes, (i - first) * bytes);
            }
        }
    }

    /** Turns bytes into booleans: 0 or 1. */
    static void normalise(Dense y) {
        MemorySegment bytes = y.segment();
        for (long i = 0; i < y.size(); i++) {
            bytes.set(ValueLayout.JAVA_BYTE, i, (byte) (bytes.get(ValueLayout.JAVA_BYTE, i) != 0 ? 1 : 0));
        }
    }

    static void iota(Dense y) {
        MemorySegment out = y.segment();
        long[] a = new long[length(y)];
        runs(y.size(), (from, n) -> {
            for (int i = 0; i < n; i++) {
                a[i] = from + i;
            }
            Elements.store(y.dtype(), out, from, n, a);
        });
    }

    static void uniform(long seed, long offset, Dense y) {
        MemorySegment out = y.segment();
        DType dtype = y.dtype();
        double[] a = new double[length(y)];
        int[] words = new int[Philox.WORDS];
        runs(y.size(), (from, n) -> {
            long block = Math.floorDiv(offset + from, Philox.WORDS);
            Philox.block(seed, block, words);
            for (int i = 0; i < n; i++) {
                long number = offset + from + i;
                int word = (int) (number & Philox.WORDS - 1);
                if (word == 0) {
                    Philox.block(seed, number >> 2, words);
                }
                a[i] = truncate(Philox.uniform(words[word]), dtype);
            }
            Elements.store(dtype, out, from, n, a);
        });
    }

    /** A number in [0, 1) rounded toward zero, so that storing it rounds no more. */
    private static double truncate(float value, DType dtype) {
        return switch (dtype) {
            case F16 -> {
                short nearest = Float.floatToFloat16(value);
                yield Float.float16ToFloat(Float.float16ToFloat(nearest) > value ? (short) (nearest - 1) : nearest);
            }
            case BF16 -> Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xFFFF_0000);
            case F64, F32, I64, I32, BOOL -> value;
        };
    }
}
