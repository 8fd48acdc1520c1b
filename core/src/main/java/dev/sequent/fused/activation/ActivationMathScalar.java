package dev.sequent.fused.activation;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sequent.op.ScalarMath;
import dev.sequent.op.UnaryOp;
import java.lang.foreign.MemorySegment;

/** {@link ActivationMath} in plain loops and double precision, for JVMs without the vector module and the ends of rows. */
final class ActivationMathScalar implements ActivationMath {
    private static final double INV_SQRT_2PI = 1 / Math.sqrt(2 * Math.PI);

    @Override
    public void derivative(UnaryOp f, MemorySegment dy, MemorySegment value, MemorySegment dx, long at, int n) {
        for (long i = at; i < at + n; i++) {
            double slope = slope(f, value.getAtIndex(JAVA_FLOAT, i), dx.getAtIndex(JAVA_FLOAT, i));
            dx.setAtIndex(JAVA_FLOAT, i, (float) (dy.getAtIndex(JAVA_FLOAT, i) * slope));
        }
    }

    private static double slope(UnaryOp f, double v, double erf) {
        return switch (f) {
            case TANH -> 1 - v * v;
            case SIGMOID -> v * (1 - v);
            case RELU -> v > 0 ? 1 : 0;
            case SOFTPLUS -> ScalarMath.sigmoid(v);
            case SILU -> {
                double s = ScalarMath.sigmoid(v);
                yield s * (1 + v * (1 - s));
            }
            case GELU -> 0.5 * (1 + erf) + v * Math.exp(-0.5 * v * v) * INV_SQRT_2PI;
            case GELU_TANH -> {
                // (1 + tanh u) / 2 = sigmoid(2 u)
                double s = ScalarMath.sigmoid(2 * ScalarMath.SQRT_2_OVER_PI * v * (1 + 0.044715 * v * v));
                yield s * (1 + v * (1 - s) * 2 * ScalarMath.SQRT_2_OVER_PI * (1 + 3 * 0.044715 * v * v));
            }
            default -> throw new AssertionError(f);
        };
    }
}
