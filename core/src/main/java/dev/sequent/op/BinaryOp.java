package dev.sequent.op;

import java.util.function.DoubleBinaryOperator;

/** Elementwise functions of two arguments of one dtype, with their meaning as a scalar function. AND, OR take BOOL. */
public enum BinaryOp {
    ADD((a, b) -> a + b),
    SUB((a, b) -> a - b),
    MUL((a, b) -> a * b),
    DIV((a, b) -> a / b),
    POW(Math::pow),
    MAX(Math::max),
    MIN(Math::min),
    /** Floored remainder with the sign of the divisor, as in numpy. */
    MOD((a, b) -> a - b * Math.floor(a / b)),
    AND((a, b) -> a != 0 && b != 0 ? 1 : 0),
    OR((a, b) -> a != 0 || b != 0 ? 1 : 0);

    private final DoubleBinaryOperator function;

    BinaryOp(DoubleBinaryOperator function) {
        this.function = function;
    }

    /** The function's value at {@code (a, b)}. Integer DIV truncates toward zero; backends that store integers do so too. */
    public double apply(double a, double b) {
        return function.applyAsDouble(a, b);
    }

    /**
     * The function's value on I64 elements, exact modulo 2^64. DIV truncates toward zero; DIV and MOD by zero are 0, as in numpy.
     * POW with a negative exponent is the truncated reciprocal: 1 / (a^-b), or 0 for a = 0. Elements of I32 are this result
     * modulo 2^32.
     */
    public long applyInteger(long a, long b) {
        return switch (this) {
            case ADD -> a + b;
            case SUB -> a - b;
            case MUL -> a * b;
            case DIV -> b == 0 ? 0 : a / b;
            case POW -> power(a, b);
            case MAX -> Math.max(a, b);
            case MIN -> Math.min(a, b);
            case MOD -> b == 0 ? 0 : Math.floorMod(a, b);
            case AND -> a != 0 && b != 0 ? 1 : 0;
            case OR -> a != 0 || b != 0 ? 1 : 0;
        };
    }

    private static long power(long base, long exponent) {
        if (exponent < 0) {
            boolean odd = (exponent & 1) == 1;
            return base == 1 ? 1 : base == -1 ? (odd ? -1 : 1) : 0;
        }
        long result = 1;
        long square = base;
        for (long e = exponent; e > 0; e >>= 1) {
            result = (e & 1) == 1 ? result * square : result;
            square *= square;
        }
        return result;
    }
}
