package dev.sequent.backend.nd4j;

import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Elements in native memory as Java numbers, in runs: floats as doubles, integers and booleans as longs. Storing rounds floats to
 * nearest even (to 16 bits by way of F32), keeps the low bits of integers, and turns numbers into booleans by comparing with 0.
 */
final class Elements {
    /** Elements of a run: what loops convert at a time. */
    static final int RUN = 1024;

    private static final ValueLayout.OfByte B1 = ValueLayout.JAVA_BYTE;
    private static final ValueLayout.OfShort H = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfInt I = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong L = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfFloat F = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfDouble D = ValueLayout.JAVA_DOUBLE_UNALIGNED;

    private Elements() {}

    /** Reads {@code n} elements from element {@code from} on as doubles; I64 beyond 53 bits is rounded. */
    static void load(DType dtype, MemorySegment memory, long from, int n, double[] into) {
        switch (dtype) {
            case F64 -> MemorySegment.copy(memory, D, 8 * from, into, 0, n);
            case F32 -> {
                for (int i = 0; i < n; i++) {
                    into[i] = memory.get(F, 4 * (from + i));
                }
            }
            case F16 -> {
                for (int i = 0; i < n; i++) {
                    into[i] = Float.float16ToFloat(memory.get(H, 2 * (from + i)));
                }
            }
            case BF16 -> {
                for (int i = 0; i < n; i++) {
                    into[i] = Float.intBitsToFloat(memory.get(H, 2 * (from + i)) << 16);
                }
            }
            case I64 -> {
                for (int i = 0; i < n; i++) {
                    into[i] = memory.get(L, 8 * (from + i));
                }
            }
            case I32 -> {
                for (int i = 0; i < n; i++) {
                    into[i] = memory.get(I, 4 * (from + i));
                }
            }
            case BOOL -> {
                for (int i = 0; i < n; i++) {
                    into[i] = memory.get(B1, from + i);
                }
            }
        }
    }

    /** Writes {@code n} doubles to the elements from {@code from} on. */
    static void store(DType dtype, MemorySegment memory, long from, int n, double[] values) {
        switch (dtype) {
            case F64 -> MemorySegment.copy(values, 0, memory, D, 8 * from, n);
            case F32 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(F, 4 * (from + i), (float) values[i]);
                }
            }
            case F16 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(H, 2 * (from + i), Float.floatToFloat16((float) values[i]));
                }
            }
            case BF16 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(H, 2 * (from + i), bfloat16((float) values[i]));
                }
            }
            case I64 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(L, 8 * (from + i), (long) values[i]);
                }
            }
            case I32 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(I, 4 * (from + i), (int) values[i]);
                }
            }
            case BOOL -> {
                for (int i = 0; i < n; i++) {
                    memory.set(B1, from + i, (byte) (values[i] != 0 ? 1 : 0));
                }
            }
        }
    }

    /** Reads {@code n} integers or booleans. */
    static void load(DType dtype, MemorySegment memory, long from, int n, long[] into) {
        switch (dtype) {
            case I64 -> MemorySegment.copy(memory, L, 8 * from, into, 0, n);
            case I32 -> {
                for (int i = 0; i < n; i++) {
                    into[i] = memory.get(I, 4 * (from + i));
                }
            }
            case BOOL -> {
                for (int i = 0; i < n; i++) {
                    into[i] = memory.get(B1, from + i);
                }
            }
            case F64, F32, F16, BF16 -> throw new IllegalArgumentException("not an integer dtype: " + dtype);
        }
    }

    /** Writes {@code n} integers, converted to {@code dtype}: floats are rounded once. */
    static void store(DType dtype, MemorySegment memory, long from, int n, long[] values) {
        switch (dtype) {
            case I64 -> MemorySegment.copy(values, 0, memory, L, 8 * from, n);
            case I32 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(I, 4 * (from + i), (int) values[i]);
                }
            }
            case BOOL -> {
                for (int i = 0; i < n; i++) {
                    memory.set(B1, from + i, (byte) (values[i] != 0 ? 1 : 0));
                }
            }
            case F64 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(D, 8 * (from + i), values[i]);
                }
            }
            case F32 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(F, 4 * (from + i), values[i]);
                }
            }
            case F16 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(H, 2 * (from + i), Float.floatToFloat16(values[i]));
                }
            }
            case BF16 -> {
                for (int i = 0; i < n; i++) {
                    memory.set(H, 2 * (from + i), bfloat16(values[i]));
                }
            }
        }
    }

    /** Fills all of {@code memory} with one number. */
    static void fill(DType dtype, MemorySegment memory, double value) {
        switch (dtype) {
            case F64 -> fill(memory, Double.doubleToRawLongBits(value), 8);
            case F32 -> fill(memory, Integer.toUnsignedLong(Float.floatToRawIntBits((float) value)) * 0x1_0000_0001L, 4);
            case F16 -> fill(memory, Short.toUnsignedLong(Float.floatToFloat16((float) value)) * 0x1_0001_0001_0001L, 2);
            case BF16 -> fill(memory, Short.toUnsignedLong(bfloat16((float) value)) * 0x1_0001_0001_0001L, 2);
            case I64 -> fill(memory, (long) value, 8);
            case I32 -> fill(memory, Integer.toUnsignedLong((int) value) * 0x1_0000_0001L, 4);
            case BOOL -> memory.fill((byte) (value != 0 ? 1 : 0));
        }
    }

    /** Repeats a pattern of eight bytes; what is left at the end is less than eight bytes, in elements of {@code bytes} bytes. */
    private static void fill(MemorySegment memory, long pattern, int bytes) {
        if (pattern == 0) {
            memory.fill((byte) 0);
            return;
        }
        long whole = memory.byteSize() / 8 * 8;
        for (long at = 0; at < whole; at += 8) {
            memory.set(L, at, pattern);
        }
        for (long at = whole; at < memory.byteSize(); at += bytes) {
            if (bytes == 4) {
                memory.set(I, at, (int) pattern);
            } else {
                memory.set(H, at, (short) pattern);
            }
        }
    }

    /** The nearest bfloat16, ties to even; NaN stays NaN, whatever its payload. */
    static short bfloat16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
    }
}
