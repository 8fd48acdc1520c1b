package dev.sequent.backend.cpu;

import dev.sequent.type.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Single elements of any dtype in native memory, as numbers and as integers. Positions are in bytes. */
final class Elements {
    private static final ValueLayout.OfDouble F64 = ValueLayout.JAVA_DOUBLE_UNALIGNED;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort F16 = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfByte BOOL = ValueLayout.JAVA_BYTE;

    /** Bits of the smallest normal F32. */
    private static final int MIN_NORMAL = 0x00800000;

    private Elements() {}

    /** An element as a double, rounded where an I64 has more than 53 bits. */
    static double number(DType dtype, MemorySegment x, long at) {
        return switch (dtype) {
            case F64 -> x.get(F64, at);
            case F32 -> exact(x.get(I32, at));
            case F16 -> Float.float16ToFloat(x.get(F16, at));
            case BF16 -> exact(x.get(F16, at) << 16);
            case I64 -> x.get(I64, at);
            case I32 -> x.get(I32, at);
            case BOOL -> x.get(BOOL, at);
        };
    }

    /** The value of an F32, denormal ones included, which the processor's own conversion takes for 0 in a loop. */
    private static double exact(int bits) {
        int magnitude = bits & Integer.MAX_VALUE;
        if (magnitude >= MIN_NORMAL) {
            return Float.intBitsToFloat(bits);
        }
        return Math.copySign(magnitude * 0x1p-149, bits);
    }

    /** An element of an integer or boolean tensor. */
    static long integer(DType dtype, MemorySegment x, long at) {
        return switch (dtype) {
            case I64 -> x.get(I64, at);
            case I32 -> x.get(I32, at);
            case BOOL -> x.get(BOOL, at);
            case F64, F32, F16, BF16 -> throw new IllegalArgumentException("not an integer dtype: " + dtype);
        };
    }

    /** Stores a number: rounded once to nearest even, or truncated toward zero, or compared with 0, as the dtype wants it. */
    static void set(DType dtype, MemorySegment x, long at, double value) {
        switch (dtype) {
            case F64 -> x.set(F64, at, value);
            case F32 -> x.set(F32, at, (float) value);
            case F16, BF16 -> x.set(F16, at, ScalarKernels.narrow(dtype, roundToOdd(value)));
            case I64 -> x.set(I64, at, (long) value);
            case I32 -> x.set(I32, at, (int) value);
            case BOOL -> x.set(BOOL, at, (byte) (value != 0 ? 1 : 0));
        }
    }

    /** Stores an integer: exactly in I64, its low 32 bits in I32, rounded to nearest even in floats. */
    static void set(DType dtype, MemorySegment x, long at, long value) {
        switch (dtype) {
            case F64 -> x.set(F64, at, value);
            case F32 -> x.set(F32, at, value);
            case F16, BF16 -> set(dtype, x, at, (double) keepSticky(value));
            case I64 -> x.set(I64, at, value);
            case I32 -> x.set(I32, at, (int) value);
            case BOOL -> x.set(BOOL, at, (byte) (value != 0 ? 1 : 0));
        }
    }

    /**
     * A key under which elements order as longs: greater numbers have greater keys, both zeros the same one, and NaN the greatest.
     */
    static long key(DType dtype, MemorySegment x, long at) {
        return dtype.isFloat() ? key(number(dtype, x, at)) : integer(dtype, x, at);
    }

    private static long key(double value) {
        long bits = Double.doubleToLongBits(value + 0.0);
        return bits ^ bits >> 63 & Long.MAX_VALUE;
    }

    /**
     * A float that rounds to a 16-bit float as {@code value} does: truncated, with its last bit set when something was cut off.
     * Rounding to nearest here would round twice.
     */
    private static float roundToOdd(double value) {
        float f = (float) value;
        if (f == value || Double.isNaN(value)) {
            return f;
        }
        int bits = Float.floatToRawIntBits(f);
        int truncated = Math.abs((double) f) > Math.abs(value) ? bits - 1 : bits;
        return Float.intBitsToFloat(truncated | 1);
    }

    /** {@code value} in at most 53 bits, with the last one set when something was cut off. */
    private static long keepSticky(long value) {
        boolean isLong = Math.abs(value >> 1) >= 1L << 52;
        boolean inexact = (value & 0x7FF) != 0;
        return isLong ? value & -0x800 | (inexact ? 0x400 : 0) : value;
    }
}
