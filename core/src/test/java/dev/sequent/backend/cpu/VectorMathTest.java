package dev.sequent.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The stated errors of elementary functions on vectors, in units in the last place, over bit patterns in equal steps: every binade of both
 * signs is hit equally often. Results below the smallest normal number are flushed to 0 and not measured.
 */
class VectorMathTest {
    private static final int STEP = 4_001;

    private record Function(String name, double ulps, float from, float to, UnaryOperator<FloatVector> vector, DoubleUnaryOperator exact) {
        @Override
        public String toString() {
            return name;
        }
    }

    private static Stream<Function> functions() {
        return Stream.of(
                new Function("exp", 1, -87.33f, 88.72f, VectorMath::exp, Math::exp),
                new Function("expm1", 1.5, -87.33f, 88.72f, VectorMath::expm1, Math::expm1),
                new Function("log", 3, Float.MIN_NORMAL, Float.MAX_VALUE, VectorMath::log, Math::log),
                new Function("log1p", 3.5, -0.9999999f, Float.MAX_VALUE, VectorMath::log1p, Math::log1p),
                new Function("sigmoid", 2.5, -87.3f, 1e30f, VectorMath::sigmoid, x -> 1 / (1 + Math.exp(-x))),
                new Function("silu", 2.5, -80f, 1e30f, VectorMath::silu, x -> x / (1 + Math.exp(-x))),
                new Function("softplus", 3.5, -87.3f, 1e30f, VectorMath::softplus,
                x -> Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
                new Function("tanh", 3, -1e30f, 1e30f, VectorMath::tanh, Math::tanh));
    }

    @ParameterizedTest
    @MethodSource("functions")
    void errorsAreAsStated(Function f) {
        float[] x = new float[VectorMath.LANES];
        float[] y = new float[VectorMath.LANES];
        double worst = 0;
        int filled = 0;
        for (long bits = 0; bits < 1L << 32; bits += STEP) {
            float value = Float.intBitsToFloat((int) bits);
            if (value >= f.from && value <= f.to && Math.abs(value) >= Float.MIN_NORMAL) {
                x[filled++] = value;
            }
            if (filled == x.length) {
                f.vector.apply(FloatVector.fromArray(VectorMath.S, x, 0)).intoArray(y, 0);
                worst = Math.max(worst, worst(x, y, f.exact));
                filled = 0;
            }
        }
        assertThat(worst).as(f.name + " in units in the last place").isPositive().isLessThanOrEqualTo(f.ulps);
    }

    private static double worst(float[] x, float[] y, DoubleUnaryOperator exact) {
        double worst = 0;
        for (int i = 0; i < x.length; i++) {
            double e = exact.applyAsDouble(x[i]);
            if (Math.abs(e) >= Float.MIN_NORMAL) {
                double error = Math.abs(y[i] - e) / Math.ulp((float) e);
                worst = error >= worst ? error : Double.isNaN(error) ? Double.POSITIVE_INFINITY : worst;
            }
        }
        return worst;
    }
}
