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
}
