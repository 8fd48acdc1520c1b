package dev.sequent.testkit;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Conversions between all pairs of dtypes; those to and from 16 bits for every bit pattern there is. */
public interface CastContract extends BackendFixture {
    /** Number of 16-bit patterns. */
    int PATTERNS = 1 << 16;

    /** Every pair of dtypes, in every layout, for numbers that both can hold or must round. */
    @TestFactory
    default Stream<DynamicTest> castConvertsEveryPair() {
        return dtypes().stream().sorted().flatMap(to -> perDType("to " + to + " from", from -> true, (w, from) ->
                BackendFixture.forShapesAndLayouts(from, (x, layout) -> {
                    HostTensor expected = converted(x, to);
                    w.expect(expected, w.backend().cast(w.upload(x, layout), to));
                })));
    }

    private static HostTensor converted(HostTensor x, DType to) {
        if (to.isFloat()) {
            return HostTensor.floats(x.shape(), to, i -> HostTensor.round(x.number(i), to));
        }
        if (to == DType.BOOL) {
            return HostTensor.integers(x.shape(), to, i -> x.number(i) != 0 ? 1 : 0);
        }
        return HostTensor.integers(x.shape(), to, i -> x.isFloat() ? (long) x.number(i) : x.integer(i));
    }

    /** All 65536 bit patterns keep their value on the way up. */
    @TestFactory
    default Stream<DynamicTest> sixteenBitsWidenExactly() {
        return perDType("from", CastContract::isHalf, (w, from) -> {
            HostTensor all = HostTensor.floats(Shape.of(PATTERNS), from, i -> value(from, i));
            for (DType to : DType.values()) {
                if ((to == DType.F32 || to == DType.F64) && dtypes().contains(to)) {
                    w.expect(HostTensor.floats(all.shape(), to, all::number), w.backend().cast(w.upload(all), to));
                }
            }
        });
    }

    /**
     * All 65536 bit patterns come back from F32, and so do the numbers around them: the midpoint between neighbours goes to the
     * even one, and the next number on either side of the midpoint to its own side.
     */
    @TestFactory
    default Stream<DynamicTest> narrowingRoundsToNearestEven() {
        return perDType("to", dtype -> isHalf(dtype) && dtypes().contains(DType.F32), (w, to) -> {
            HostTensor exact = HostTensor.floats(Shape.of(PATTERNS), DType.F32, i -> value(to, i));
            w.expect(HostTensor.floats(exact.shape(), to, exact::number), w.backend().cast(w.upload(exact), to));
            // positive finite patterns and their negatives; the last one's upper neighbour is infinity
            int finite = to == DType.F16 ? 0x7C00 : 0x7F80;
            float[] middle = new float[finite];
            for (int i = 0; i < finite; i++) {
                double next = i + 1 < finite ? value(to, i + 1) : value(to, i) + (value(to, i) - value(to, i - 1));
                middle[i] = (float) ((value(to, i) + next) / 2);
            }
            for (int sign : new int[] {1, -1}) {
                HostTensor ties = HostTensor.floats(Shape.of(finite), DType.F32, i -> sign * middle[i]);
                HostTensor above = HostTensor.floats(Shape.of(finite), DType.F32, i -> sign * Math.nextUp(middle[i]));
                HostTensor below = HostTensor.floats(Shape.of(finite), DType.F32, i -> sign * Math.nextDown(middle[i]));
                w.expect(HostTensor.floats(ties.shape(), to, i -> sign * value(to, i + (i & 1))), w.backend().cast(w.upload(ties), to));
                w.expect(HostTensor.floats(ties.shape(), to, i -> sign * value(to, i + 1)), w.backend().cast(w.upload(above), to));
                w.expect(HostTensor.floats(ties.shape(), to, i -> sign * value(to, i)), w.backend().cast(w.upload(below), to));
            }
        });
    }

    /** From F64 too: to F32 exactly; to 16 bits a backend may go by way of F32 and round twice, which can miss a near tie. */
    @TestFactory
    default Stream<DynamicTest> narrowingFromF64() {
        return perDType("to", dtype -> dtype.isFloat() && dtypes().contains(DType.F64), (w, to) -> {
            HostTensor x = HostTensor.random(Shape.of(9_999), DType.F64, 4, 40_000);
            HostTensor tiny = HostTensor.floats(x.shape(), DType.F64, i -> x.number(i) * 1e-8);
            for (HostTensor given : new HostTensor[] {x, tiny}) {
                HostTensor expected = HostTensor.floats(given.shape(), to, given::number);
                double twice = Tolerance.ARITHMETIC * Tolerance.roundoff(to);
                w.expect(expected, i -> isHalf(to) ? twice * Math.abs(given.number(i)) + Tolerance.floor(to) : 0,
                        w.backend().cast(w.upload(given), to));
            }
            HostTensor beyond = HostTensor.floats(Shape.of(2), DType.F64, i -> i == 0 ? 1e300 : -1e300);
            double infinity = to == DType.F64 ? 1e300 : Double.POSITIVE_INFINITY;
            w.expect(HostTensor.vector(to, infinity, -infinity), w.backend().cast(w.upload(beyond), to));
        });
    }

    /** NaN stays NaN, whatever its payload; a rounding that carries out of the payload would make it an infinity or a zero. */
    @TestFactory
    default Stream<DynamicTest> nanStaysNan() {
        return perDType("to", dtype -> dtype.isFloat() && dtypes().contains(DType.F32), (w, to) -> {
            int[] bits = {0x7FC00000, 0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFC00000, 0xFF800001, 0x7F80FFFF, 0x7FBFFFFF};
            ByteBuffer source = ByteBuffer.allocate(4 * 3 * bits.length).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < 3 * bits.length; i++) {
                source.putInt(bits[i % bits.length]);
            }
            Shape shape = Shape.of(3 * bits.length);
            var x = w.keep(w.backend().upload(source.flip(), shape, DType.F32, 0));
            w.expect(HostTensor.floats(shape, to, i -> Double.NaN), w.backend().cast(x, to));
        });
    }

    /** Floats lose their fraction toward zero; NaN and every number but zero is true. */
    @TestFactory
    default Stream<DynamicTest> floatsTruncateTowardZero() {
        return perDType("from", DType::isFloat, (w, from) -> {
            double[] values = {0.0, -0.0, 0.5, -0.5, 0.99, -0.99, 1, -1, 1.5, -1.5, 2.5, -2.5, 127.75, -127.75, 1024, -1024, 3, 7, -7};
            HostTensor x = HostTensor.vector(from, values);
            for (DType to : dtypes()) {
                if (!to.isFloat()) {
                    w.expect(converted(x, to), w.backend().cast(w.upload(x), to));
                }
            }
            if (dtypes().contains(DType.BOOL)) {
                HostTensor special = HostTensor.vector(from, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 0, -0.0);
                w.expect(HostTensor.integers(Shape.of(5), DType.BOOL, i -> i < 3 ? 1 : 0), w.backend().cast(w.upload(special), DType.BOOL));
            }
        });
    }

    /** I64 beyond 2^53 keeps every bit on the way through I64, is rounded once on the way to floats, and is true unless zero. */
    @TestFactory
    default Stream<DynamicTest> longIntegersRoundOnce() {
        return perDType("from", dtype -> dtype == DType.I64, (w, from) -> {
            long[] values = {(1L << 53) + 1, -(1L << 53) - 1, Long.MAX_VALUE, Long.MIN_VALUE, (1L << 62) + (1L << 38) + 1,
                    (1L << 60) + (1L << 36) - 1,
                1L << 40, -(1L << 40), 16_777_217, 33_554_435, 0, 4_294_967_296L};
            HostTensor x = HostTensor.integers(Shape.of(values.length), DType.I64, i -> values[i]);
            w.expect(x, w.backend().cast(w.upload(x), DType.I64));
            if (dtypes().contains(DType.F64)) {
                w.expect(HostTensor.floats(x.shape(), DType.F64, i -> values[i]), w.backend().cast(w.upload(x), DType.F64));
            }
            if (dtypes().contains(DType.F32)) {
                w.expect(HostTensor.floats(x.shape(), DType.F32, i -> (float) values[i]), w.backend().cast(w.upload(x), DType.F32));
            }
            if (dtypes().contains(DType.BOOL)) {
                w.expect(HostTensor.integers(x.shape(), DType.BOOL, i -> values[i] != 0 ? 1 : 0),
                        w.backend().cast(w.upload(x), DType.BOOL));
            }
        });
    }

    /** Integers of which some have no place in the 16-bit types: the nearest neighbour, or infinity beyond the largest. */
    @TestFactory
    default Stream<DynamicTest> integersRoundToSixteenBits() {
        return perDType("to", CastContract::isHalf, (w, to) -> {
            long[] values = {2047, 2048, 2049, 2051, 255, 256, 257, 258, 259, -257, -2049, 65_504, 65_519, 65_520, -65_520, 100_000};
            for (DType from : new DType[] {DType.I64, DType.I32}) {
                if (dtypes().contains(from)) {
                    HostTensor x = HostTensor.integers(Shape.of(values.length), from, i -> values[i]);
                    HostTensor expected = HostTensor.vector(to, Arrays.stream(values).asDoubleStream().toArray());
                    w.expect(expected, w.backend().cast(w.upload(x), to));
                }
            }
        });
    }

    private static boolean isHalf(DType dtype) {
        return dtype == DType.F16 || dtype == DType.BF16;
    }

    /** Value of a bit pattern, from the definition: sign, exponent, fraction. */
    private static double value(DType dtype, int pattern) {
        int fractionBits = dtype == DType.F16 ? 10 : 7;
        int exponentMask = dtype == DType.F16 ? 0x1F : 0xFF;
        int exponent = pattern >> fractionBits & exponentMask;
        int fraction = pattern & (1 << fractionBits) - 1;
        double sign = (pattern & 0x8000) != 0 ? -1 : 1;
        if (exponent == exponentMask) {
            return fraction == 0 ? sign * Double.POSITIVE_INFINITY : Double.NaN;
        }
        int bias = exponentMask / 2;
        return exponent == 0
                ? sign * Math.scalb((double) fraction, 1 - bias - fractionBits)
                : sign * Math.scalb((double) (fraction + (1 << fractionBits)), exponent - bias - fractionBits);
    }
}
