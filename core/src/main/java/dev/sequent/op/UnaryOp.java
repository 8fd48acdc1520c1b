package dev.sequent.op;

import dev.sequent.type.DTypeException;
import java.util.function.DoubleUnaryOperator;

/**
 * Elementwise functions of one argument, with their meaning as a scalar function. All but NOT take floats; NEG, ABS, SIGN and SQUARE also
 * integers.
 */
public enum UnaryOp {
    NEG(x -> -x),
    ABS(Math::abs),
    SIGN(Math::signum),
    SQUARE(x -> x * x),
    SQRT(Math::sqrt),
    RSQRT(x -> 1 / Math.sqrt(x)),
    RECIPROCAL(x -> 1 / x),
    EXP(Math::exp),
    EXPM1(Math::expm1),
    LOG(Math::log),
    LOG1P(Math::log1p),
    SIN(Math::sin),
    COS(Math::cos),
    TANH(Math::tanh),
    ERF(ScalarMath::erf),
    SIGMOID(ScalarMath::sigmoid),
    /** log(1 + e^x), computed without overflow. */
    SOFTPLUS(ScalarMath::softplus),
    RELU(x -> x > 0 ? x : Double.isNaN(x) ? x : 0),
    SILU(x -> x * ScalarMath.sigmoid(x)),
    /** The exact Gaussian error linear unit, x Phi(x). */
    GELU(x -> 0.5 * x * (1 + ScalarMath.erf(x * ScalarMath.SQRT_HALF))),
    /** GPT-2's approximation of GELU by tanh. */
    GELU_TANH(x -> 0.5 * x * (1 + Math.tanh(ScalarMath.SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)))),
    FLOOR(Math::floor),
    /** Logical negation of a BOOL tensor. */
    NOT(x -> x == 0 ? 1 : 0);

    private final DoubleUnaryOperator function;

    UnaryOp(DoubleUnaryOperator function) {
        this.function = function;
    }

    /** The function's value at {@code x}. */
    public double apply(double x) {
        return function.applyAsDouble(x);
    }

    /** The function's value on an I64 (or, for NOT, BOOL) element; an error for functions that only take floats. */
    public long applyInteger(long x) {
        return switch (this) {
            case NEG -> -x;
            case ABS -> Math.abs(x);
            case SIGN -> Long.signum(x);
            case SQUARE -> x * x;
            case NOT -> x == 0 ? 1 : 0;
            default -> throw new DTypeException(name(), "a float dtype", "an integer");
        };
    }
}
