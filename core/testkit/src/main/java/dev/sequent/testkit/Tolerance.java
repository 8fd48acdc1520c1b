package dev.sequent.testkit;

import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;

/**
 * How far a backend's floats may be from the exact result. All bounds of the contract are stated here, in units of the rounding
 * error u of the result's dtype: 2^-53 for F64, 2^-24 for F32, 2^-11 for F16, 2^-8 for BF16.
 *
 * <ul>
 * <li>Moving, choosing (maximum, minimum, where) and integer arithmetic are exact.
 * <li>One arithmetic operation is off by at most {@value #ARITHMETIC} u of its result; the excess over 1 is room for a computation
 *     in F32 in front of the rounding to 16 bits. With a scalar operand there may be as much again of each operand, because a
 *     backend may round the scalar to its compute type.
 * <li>A transcendental function is off by at most {@value #FUNCTION} u of its result. Where the formula subtracts (sine and cosine
 *     near their zeros, GELU on the negative side) also by that much of its argument.
 * <li>A sum of n terms, in whatever order, is off by n v of the sum of the terms' magnitudes, v being the accumulator's rounding
 *     error: 2^-53 for F64 and 2^-24 for the others; then it is rounded once.
 * <li>Results below the smallest normal number may be flushed to zero; F16, whose small numbers are normal in F32, may not.
 * </ul>
 */
public final class Tolerance {
    /** Units for one arithmetic operation. */
    public static final double ARITHMETIC = 1.01;
    /** Units for a transcendental function. */
    public static final double FUNCTION = 8;

    private Tolerance() {}

    /** Largest relative error of rounding to {@code dtype}. */
    public static double roundoff(DType dtype) {
        return switch (dtype) {
            case F64 -> 0x1p-53;
            case F32 -> 0x1p-24;
            case F16 -> 0x1p-11;
            case BF16 -> 0x1p-8;
            case I64, I32, BOOL -> 0;
        };
    }

    /** Largest relative error of one step of an accumulation in {@code dtype}. */
    public static double accumulation(DType dtype) {
        return dtype == DType.F64 ? 0x1p-53 : 0x1p-24;
    }

    /** Absolute error that is always allowed: what underflow costs. */
    public static double floor(DType dtype) {
        return switch (dtype) {
            case F64 -> Double.MIN_NORMAL;
            case F32, BF16 -> Float.MIN_NORMAL;
            case F16 -> 0x1p-25;
            case I64, I32, BOOL -> 0;
        };
    }

    /** Largest finite value of a float dtype. */
    public static double largest(DType dtype) {
        return switch (dtype) {
            case F64 -> Double.MAX_VALUE;
            case F32 -> Float.MAX_VALUE;
            case F16 -> 65504;
            case BF16 -> 0x1.FEp127;
            case I64, I32, BOOL -> throw new IllegalArgumentException("not a float dtype: " + dtype);
        };
    }

    /** Error allowed for {@code op(x) = y}. */
    public static double unary(UnaryOp op, DType dtype, double x, double y) {
        double u = roundoff(dtype);
        return switch (op) {
            case NEG, ABS, SIGN, RELU, FLOOR, NOT -> 0;
            case SQUARE, SQRT, RECIPROCAL -> ARITHMETIC * u * Math.abs(y) + floor(dtype);
            // the argument's own magnitude matters where the formula subtracts nearly equal numbers
            case SIN, COS, GELU, GELU_TANH -> FUNCTION * u * (Math.abs(y) + accumulation(dtype) / u * Math.abs(x)) + floor(dtype);
            default -> FUNCTION * u * Math.abs(y) + floor(dtype);
        };
    }

    /** Error allowed for a sum of {@code n} terms whose magnitudes add up to {@code magnitude}. */
    public static double sum(DType dtype, long n, double magnitude) {
        return (ARITHMETIC * roundoff(dtype) + n * accumulation(dtype)) * magnitude + floor(dtype);
    }

    /**
     * Whether {@code actual} is {@code expected} within {@code bound}; infinities and NaN must agree, unless overflow is within the bound.
     */
    public static boolean isWithin(double expected, double actual, double bound, DType dtype) {
        double rounded = HostTensor.round(expected, dtype);
        if (rounded == actual || Double.isNaN(rounded) && Double.isNaN(actual)) {
            return true;
        }
        if (Double.isInfinite(actual)) {
            return expected * Math.signum(actual) + bound >= largest(dtype);
        }
        if (Double.isInfinite(rounded)) {
            return Math.abs(expected) - bound <= largest(dtype) && Math.abs(actual) >= largest(dtype) - bound;
        }
        return Math.abs(actual - expected) <= bound;
    }
}
