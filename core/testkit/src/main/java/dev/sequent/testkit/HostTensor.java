package dev.sequent.testkit;

import dev.sequent.spi.Backend;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import java.util.function.IntToLongFunction;
import java.util.function.UnaryOperator;

/**
 * A tensor in plain Java arrays: the inputs and the expected results of contract tests.
 *
 * <p>It shares no code with any backend. Elements are found by coordinates, not by strides, and rounding to 16 bits goes through
 * the JDK and through bit patterns, so that a mistake in a backend is not repeated here. Expected floats are kept in double
 * precision, unrounded. Immutable.
 */
public final class HostTensor {
    private final Shape shape;
    private final DType dtype;
    private final double[] numbers;
    private final long[] integers;

    private HostTensor(Shape shape, DType dtype, double[] numbers, long[] integers) {
        this.shape = shape;
        this.dtype = dtype;
        this.numbers = numbers;
        this.integers = integers;
    }

    /** Floats, element i in row-major order being {@code element(i)}; not rounded. */
    public static HostTensor floats(Shape shape, DType dtype, IntToDoubleFunction element) {
        double[] values = new double[Math.toIntExact(shape.size())];
        Arrays.setAll(values, element);
        return new HostTensor(shape, dtype, values, null);
    }

    /** Integers or booleans, element i in row-major order being {@code element(i)}, cut to the dtype's bits. */
    public static HostTensor integers(Shape shape, DType dtype, IntToLongFunction element) {
        long[] values = new long[Math.toIntExact(shape.size())];
        Arrays.setAll(values, i -> dtype == DType.I32 ? (int) element.applyAsLong(i) : element.applyAsLong(i));
        return new HostTensor(shape, dtype, null, values);
    }

    /** A vector of the given values, rounded to {@code dtype}. */
    public static HostTensor vector(DType dtype, double... values) {
        Shape shape = Shape.of(values.length);
        return dtype.isFloat() ? floats(shape, dtype, i -> round(values[i], dtype)) : integers(shape, dtype, i -> (long) values[i]);
    }

    /** A vector of indices. */
    public static HostTensor indices(DType dtype, long... values) {
        return integers(Shape.of(values.length), dtype, i -> values[i]);
    }

    /** Reproducible values: floats in [-3, 3), integers in [-9, 9], booleans. */
    public static HostTensor random(Shape shape, DType dtype, long seed) {
        return random(shape, dtype, seed, 3);
    }

    /** Reproducible values: floats in [-range, range), integers in [-3 range, 3 range], booleans. */
    public static HostTensor random(Shape shape, DType dtype, long seed, double range) {
        SplittableRandom random = new SplittableRandom(seed);
        long limit = (long) (3 * range);
        return switch (dtype.kind()) {
            case FLOAT -> floats(shape, dtype, i -> round(random.nextDouble(-range, range), dtype));
            case INTEGER -> integers(shape, dtype, i -> random.nextLong(-limit, limit + 1));
            case BOOLEAN -> integers(shape, dtype, i -> random.nextInt(2));
        };
    }

    /** Reproducible indices in [0, n). */
    public static HostTensor randomIndices(Shape shape, DType dtype, int n, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return integers(shape, dtype, i -> random.nextInt(n));
    }

    /** Sizes. */
    public Shape shape() {
        return shape;
    }

    /** Element type. */
    public DType dtype() {
        return dtype;
    }

    /** Number of elements. */
    public int size() {
        return Math.toIntExact(shape.size());
    }

    /** True for a float dtype. */
    public boolean isFloat() {
        return numbers != null;
    }

    /** Element i in row-major order as a double. */
    public double number(int i) {
        return numbers != null ? numbers[i] : integers[i];
    }

    /** Element i in row-major order of an integer or boolean tensor. */
    public long integer(int i) {
        return integers[i];
    }

    /** Row-major index of a coordinate. */
    public int index(long... coordinate) {
        long index = 0;
        for (int axis = 0; axis < shape.rank(); axis++) {
            index = index * shape.dim(axis) + coordinate[axis];
        }
        return (int) index;
    }

    /** Coordinate of element i. */
    public long[] coordinate(int i) {
        return coordinate(shape, i);
    }

    /** Coordinate of element i of a tensor of the given shape. */
    public static long[] coordinate(Shape shape, int i) {
        long[] coordinate = new long[shape.rank()];
        long rest = i;
        for (int axis = shape.rank() - 1; axis >= 0; axis--) {
            coordinate[axis] = rest % shape.dim(axis);
            rest /= shape.dim(axis);
        }
        return coordinate;
    }

    /** The same elements in the same order under another shape. */
    public HostTensor reshaped(Shape to) {
        return new HostTensor(to, dtype, numbers, integers);
    }

    /** A tensor whose element at coordinate c is this one's at {@code source(c)}; c may be changed in place. */
    public HostTensor moved(Shape to, UnaryOperator<long[]> source) {
        IntToLongFunction from = i -> index(source.apply(coordinate(to, i)));
        return isFloat()
                ? floats(to, dtype, i -> numbers[(int) from.applyAsLong(i)])
                : integers(to, dtype, i -> integers[(int) from.applyAsLong(i)]);
    }

    /** This tensor as seen along other axes: axis i of the result is axis {@code order[i]}. */
    public HostTensor permuted(int... order) {
        long[] dims = new long[order.length];
        Arrays.setAll(dims, i -> shape.dim(order[i]));
        return moved(Shape.of(dims), c -> {
            long[] source = new long[order.length];
            for (int i = 0; i < order.length; i++) {
                source[order[i]] = c[i];
            }
            return source;
        });
    }

    /** This tensor with every element rounded to its dtype. */
    public HostTensor rounded() {
        return isFloat() ? floats(shape, dtype, i -> round(numbers[i], dtype)) : this;
    }

    /** Nearest value of a float dtype; 16-bit types by way of F32, which is exact for the inputs of tests. */
    public static double round(double value, DType dtype) {
        return switch (dtype) {
            case F64 -> value;
            case F32 -> (float) value;
            case F16 -> Float.float16ToFloat(Float.floatToFloat16((float) value));
            case BF16 -> Float.intBitsToFloat(bfloat16((float) value) << 16);
            case I64, I32, BOOL -> throw new IllegalArgumentException("not a float dtype: " + dtype);
        };
    }

    /** The 16 bits of the BF16 number nearest to {@code value}, ties to even. */
    public static short bfloat16(float value) {
        int bits = Float.floatToIntBits(value);
        // half a unit of the last kept place, less one bit when that place is even: the carry does the rounding
        return Float.isNaN(value) ? 0x7FC0 : (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
    }

    /** Row-major little-endian elements in a new heap buffer; floats must be values of the dtype. */
    public ByteBuffer bytes() {
        ByteBuffer buffer = ByteBuffer.allocate(size() * dtype.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < size(); i++) {
            switch (dtype) {
                case F64 -> buffer.putDouble(numbers[i]);
                case F32 -> buffer.putFloat((float) numbers[i]);
                case F16 -> buffer.putShort(Float.floatToFloat16((float) numbers[i]));
                case BF16 -> buffer.putShort(bfloat16((float) numbers[i]));
                case I64 -> buffer.putLong(integers[i]);
                case I32 -> buffer.putInt((int) integers[i]);
                case BOOL -> buffer.put((byte) integers[i]);
            }
        }
        return buffer.flip();
    }

    /** Reads a tensor back from a backend. */
    public static HostTensor download(Backend backend, TensorHandle x) {
        ByteBuffer target = ByteBuffer.allocate(Math.toIntExact(x.shape().size() * x.dtype().bytes()));
        backend.download(x, target);
        return of(x.shape(), x.dtype(), target.clear());
    }

    /** Reads what {@link #bytes()} writes. */
    public static HostTensor of(Shape shape, DType dtype, ByteBuffer source) {
        ByteBuffer buffer = source.slice().order(ByteOrder.LITTLE_ENDIAN);
        return switch (dtype) {
            case F64 -> floats(shape, dtype, i -> buffer.getDouble(8 * i));
            case F32 -> floats(shape, dtype, i -> buffer.getFloat(4 * i));
            case F16 -> floats(shape, dtype, i -> Float.float16ToFloat(buffer.getShort(2 * i)));
            case BF16 -> floats(shape, dtype, i -> Float.intBitsToFloat(buffer.getShort(2 * i) << 16));
            case I64 -> integers(shape, dtype, i -> buffer.getLong(8 * i));
            case I32 -> integers(shape, dtype, i -> buffer.getInt(4 * i));
            case BOOL -> integers(shape, dtype, buffer::get);
        };
    }

    /** Fails unless {@code given} has the same values: NaN equals NaN, and zeros have their sign. */
    public void requireEqual(HostTensor given) {
        for (int i = 0; i < size(); i++) {
            boolean isEqual = isFloat() ? Double.compare(numbers[i], given.numbers[i]) == 0 : integers[i] == given.integers[i];
            if (!isEqual) {
                fail(given, i, "exactly");
            }
        }
    }

    /** Fails unless every float of {@code given} is within its bound of this one; integers have to be equal. */
    public void requireWithin(IntToDoubleFunction bound, HostTensor given) {
        if (!isFloat()) {
            requireEqual(given);
            return;
        }
        for (int i = 0; i < size(); i++) {
            double allowed = bound.applyAsDouble(i);
            if (!Tolerance.isWithin(numbers[i], given.numbers[i], allowed, dtype)) {
                fail(given, i, "within " + allowed);
            }
        }
    }

    private void fail(HostTensor given, int i, String how) {
        String value = isFloat() ? numbers[i] + ", given " + given.numbers[i] : integers[i] + ", given " + given.integers[i];
        String where = "element " + Arrays.toString(coordinate(i)) + " of " + dtype + shape;
        throw new AssertionError(where + ": expected " + how + " " + value);
    }

    @Override
    public String toString() {
        return dtype + shape.toString() + (isFloat() ? Arrays.toString(numbers) : Arrays.toString(integers));
    }
}
