package dev.sequent.backend.reference;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The elements of one tensor in row-major order: floats as doubles that the dtype can represent, integers and booleans as longs.
 * Whatever is stored is converted to the dtype first. Not synchronised: written by one thread, then only read.
 */
final class HeapArray {
    private final Shape shape;
    private final DType dtype;
    private final double[] floats;
    private final long[] integers;

    /** An array of zeros. */
    HeapArray(Shape shape, DType dtype) {
        int length = Math.toIntExact(shape.size());
        this.shape = shape;
        this.dtype = dtype;
        this.floats = dtype.isFloat() ? new double[length] : null;
        this.integers = dtype.isFloat() ? null : new long[length];
    }

    private HeapArray(Shape shape, DType dtype, double[] floats, long[] integers) {
        this.shape = shape;
        this.dtype = dtype;
        this.floats = floats;
        this.integers = integers;
    }

    /** The same elements, in memory of their own, under a shape of equal size. */
    HeapArray copy(Shape shape) {
        return new HeapArray(shape, dtype, floats == null ? null : floats.clone(), integers == null ? null : integers.clone());
    }

    Shape shape() {
        return shape;
    }

    DType dtype() {
        return dtype;
    }

    int length() {
        return floats != null ? floats.length : integers.length;
    }

    /** Bytes of the elements in their dtype. */
    long bytes() {
        return shape.size() * dtype.bytes();
    }

    boolean isFloat() {
        return floats != null;
    }

    /** Element {@code i} as a double, rounded where an I64 has more than 53 bits. */
    double number(int i) {
        return floats != null ? floats[i] : integers[i];
    }

    /** Element {@code i} of an integer or boolean array. */
    long integer(int i) {
        return integers[i];
    }

    /** Stores a number: rounded to nearest even, or truncated toward zero, or compared with 0, as the dtype wants it. */
    void setNumber(int i, double value) {
        switch (dtype) {
            case F64, F32, F16, BF16 -> floats[i] = round(value, dtype);
            case I64 -> integers[i] = (long) value;
            case I32 -> integers[i] = (int) value;
            case BOOL -> integers[i] = value != 0 ? 1 : 0;
        }
    }

    /** Stores an integer exactly where the dtype can hold it; I32 keeps the low 32 bits, floats round to nearest even. */
    void setInteger(int i, long value) {
        switch (dtype) {
            case F64 -> floats[i] = value;
            case F32, F16, BF16 -> floats[i] = round(shorten(value), dtype);
            case I64 -> integers[i] = value;
            case I32 -> integers[i] = (int) value;
            case BOOL -> integers[i] = value != 0 ? 1 : 0;
        }
    }

    /** Element {@code i} becomes element {@code j} of {@code from}, converted to this array's dtype. */
    void copy(int i, HeapArray from, int j) {
        if (from.isFloat()) {
            setNumber(i, from.floats[j]);
        } else {
            setInteger(i, from.integers[j]);
        }
    }

    /** Order of two elements; NaN is greater than any number and both zeros are equal. */
    int compare(int i, int j) {
        return isFloat() ? Double.compare(floats[i] + 0.0, floats[j] + 0.0) : Long.compare(integers[i], integers[j]);
    }

    /**
     * Whether element {@code i} is strictly better than {@code j}: greater, or less when {@code !greater}; NaN is better than any number.
     */
    boolean isBefore(int i, int j, boolean greater) {
        if (isFloat() && (Double.isNaN(floats[i]) || Double.isNaN(floats[j]))) {
            return Double.isNaN(floats[i]) && !Double.isNaN(floats[j]);
        }
        return greater ? compare(i, j) > 0 : compare(i, j) < 0;
    }

    void fill(double value) {
        for (int i = 0; i < length(); i++) {
            setNumber(i, value);
        }
    }

    /** {@code value} rounded to nearest even. */
    static double round(double value, DType dtype) {
        return switch (dtype) {
            case F64 -> value;
            case F32 -> (float) value;
            case F16 -> overflow(Math.rint(value / distance(value, 11, -14)) * distance(value, 11, -14), 65504);
            case BF16 -> overflow(Math.rint(value / distance(value, 8, -126)) * distance(value, 8, -126), 0x1.FEp127);
            case I64, I32, BOOL -> throw new IllegalArgumentException("not a float dtype: " + dtype);
        };
    }

    /** A finite {@code value} of at most 24 bits rounded toward zero. */
    static double truncate(float value, DType dtype) {
        return switch (dtype) {
            case F16 -> (int) (value / distance(value, 11, -14)) * distance(value, 11, -14);
            case BF16 -> (int) (value / distance(value, 8, -126)) * distance(value, 8, -126);
            default -> value;
        };
    }

    /** Distance of neighbouring numbers around {@code value}, a power of two, so that dividing by it is exact. */
    private static double distance(double value, int significandBits, int minExponent) {
        return Math.scalb(1.0, Math.max(Math.getExponent(value), minExponent) - (significandBits - 1));
    }

    private static double overflow(double rounded, double largest) {
        return Math.abs(rounded) > largest ? Math.copySign(Double.POSITIVE_INFINITY, rounded) : rounded;
    }

    /**
     * A number of at most 53 bits that rounds to 24 or fewer bits as {@code value} does: the lowest eleven bits of a long one
     * become one bit that says whether any of them was set. Without it the value would be rounded twice, first to double.
     */
    private static double shorten(long value) {
        long kept = value & -0x800;
        boolean isLong = Math.abs(value >> 1) >= 1L << 52;
        return isLong && kept != value ? kept | 0x400 : value;
    }

    /** Reads all elements from {@code source}'s remaining bytes and leaves the buffer as it is. */
    void read(String op, ByteBuffer source) {
        checkBytes(op, source);
        ByteBuffer bytes = source.slice().order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < length(); i++) {
            switch (dtype) {
                case F64 -> floats[i] = bytes.getDouble();
                case F32 -> floats[i] = bytes.getFloat();
                case F16 -> floats[i] = Float.float16ToFloat(bytes.getShort());
                case BF16 -> floats[i] = Float.intBitsToFloat(bytes.getShort() << 16);
                case I64 -> integers[i] = bytes.getLong();
                case I32 -> integers[i] = bytes.getInt();
                case BOOL -> integers[i] = bytes.get() != 0 ? 1 : 0;
            }
        }
    }

    /** Writes all elements to {@code target}'s remaining bytes and leaves position and limit as they are. */
    void write(String op, ByteBuffer target) {
        checkBytes(op, target);
        ByteBuffer bytes = target.slice().order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < length(); i++) {
            switch (dtype) {
                case F64 -> bytes.putDouble(floats[i]);
                case F32 -> bytes.putFloat((float) floats[i]);
                case F16 -> bytes.putShort(Float.floatToFloat16((float) floats[i]));
                case BF16 -> bytes.putShort((short) (Float.floatToIntBits((float) floats[i]) >>> 16));
                case I64 -> bytes.putLong(integers[i]);
                case I32 -> bytes.putInt((int) integers[i]);
                case BOOL -> bytes.put((byte) integers[i]);
            }
        }
    }

    private void checkBytes(String op, ByteBuffer buffer) {
        if (buffer.remaining() != bytes()) {
            throw new ShapeException(op, bytes() + " bytes for " + dtype + shape, buffer.remaining() + " bytes");
        }
    }

    @Override
    public String toString() {
        return dtype + shape.toString() + (isFloat() ? Arrays.toString(floats) : Arrays.toString(integers));
    }
}
