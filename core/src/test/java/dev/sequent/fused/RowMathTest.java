package dev.sequent.fused;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The vector and scalar row steps against each other's definition, for every length up to 4 unrolled steps of 16 lanes and more. */
class RowMathTest {
    private static final List<RowMath> KERNELS = List.of(new RowMathVector(), new RowMathScalar());

    @Test
    void sumsMatchDoubleLoops() {
        for (RowMath math : KERNELS) {
            for (int n = 0; n <= 140; n++) {
                MemorySegment a = NativeRows.normal(n + 3, 0.5, 2, n);
                MemorySegment b = NativeRows.normal(n + 5, -0.5, 1, n + 1);
                double sum = 0;
                double squares = 0;
                double dot = 0;
                double max = Double.NEGATIVE_INFINITY;
                for (int i = 0; i < n; i++) {
                    double v = a.getAtIndex(JAVA_FLOAT, 3 + i);
                    sum += v;
                    squares += (v - 0.25) * (v - 0.25);
                    dot += v * b.getAtIndex(JAVA_FLOAT, 5 + i);
                    max = Math.max(max, v);
                }
                assertThat((double) math.sum(a, 3, n)).isEqualTo(sum, within(1e-4));
                assertThat((double) math.sumSquares(a, 3, 0.25f, n)).isEqualTo(squares, within(1e-3));
                assertThat((double) math.dot(a, 3, b, 5, n)).isEqualTo(dot, within(1e-3));
                assertThat((double) math.max(a, 3, n)).isEqualTo(max);
            }
        }
    }

    @Test
    void mapsMatchDoubleLoopsAndStayInBounds() {
        for (RowMath math : KERNELS) {
            for (int n = 0; n <= 70; n++) {
                MemorySegment a = NativeRows.normal(n, 0.5, 2, n);
                MemorySegment b = NativeRows.normal(n, -0.5, 1, n + 1);
                double[] av = NativeRows.doubles(a);
                double[] bv = NativeRows.doubles(b);
                double[][] expected = new double[4][n];
                float shift = math.max(a, 0, n);
                double sum = 0;
                for (int i = 0; i < n; i++) {
                    expected[0][i] = av[i] + bv[i];
                    expected[1][i] = av[i] * 3;
                    expected[2][i] = Math.exp(av[i] - shift);
                    expected[3][i] = av[i] * (bv[i] - 0.75);
                    sum += expected[2][i];
                }
                MemorySegment y = NativeRows.poisoned(n);
                math.add(a, 0, b, 0, y, 0, n);
                NativeRows.assertClose("add", y, expected[0], 1e-6);
                math.scale(a, 0, 3, y, 0, n);
                NativeRows.assertClose("scale", y, expected[1], 1e-6);
                assertThat(math.exp(a, 0, shift, y, 0, n)).isEqualTo(sum, within(1e-5));
                NativeRows.assertClose("exp", y, expected[2], 1e-6);
                assertThat(math.sumExp(a, 0, shift, n)).isEqualTo(sum, within(1e-5));
                math.mulShifted(a, 0, b, 0, 0.75f, y, 0, n);
                NativeRows.assertClose("mulShifted", y, expected[3], 1e-6);
            }
        }
    }

    @Test
    void exponentialKeepsItsErrorBoundAndItsSpecialValues() {
        RowMath math = new RowMathVector();
        int n = 400_000;
        MemorySegment x = NativeRows.poisoned(n);
        // even in their values, then even in their bits
        int most = Float.floatToRawIntBits(-VectorExp.MIN);
        for (int i = 0; i < n / 2; i++) {
            x.setAtIndex(JAVA_FLOAT, i, VectorExp.MIN * i / (n / 2 - 1));
            x.setAtIndex(JAVA_FLOAT, n / 2 + i, -Float.intBitsToFloat((int) ((long) most * i / (n / 2 - 1))));
        }
        MemorySegment y = NativeRows.poisoned(n);
        math.exp(x, 0, 0, y, 0, n);
        double worst = 0;
        for (int i = 0; i < n; i++) {
            double e = Math.exp(x.getAtIndex(JAVA_FLOAT, i));
            worst = Math.max(worst, Math.abs(y.getAtIndex(JAVA_FLOAT, i) - e) / e);
        }
        assertThat(worst).isLessThanOrEqualTo(9.4e-8);
        float[] special = {0f, -0f, Math.nextDown(VectorExp.MIN), -1000, Float.NEGATIVE_INFINITY, Float.NaN};
        for (int i = 0; i < special.length; i++) {
            x.setAtIndex(JAVA_FLOAT, i, special[i]);
        }
        math.exp(x, 0, 0, y, 0, 20);
        assertThat(new float[] {y.getAtIndex(JAVA_FLOAT, 0), y.getAtIndex(JAVA_FLOAT, 1)}).containsExactly(1, 1);
        for (int i = 2; i < 5; i++) {
            assertThat(y.getAtIndex(JAVA_FLOAT, i)).isEqualTo(0f);
        }
        assertThat(y.getAtIndex(JAVA_FLOAT, 5)).isNaN();
    }

    /** Bits beside those of the usual NaN must not turn it into a number on the way. */
    @Test
    void everyNanStaysOneInExponentials() {
        for (RowMath math : KERNELS) {
            for (int bits : new int[] {0x7FC00000, 0x7FC00001, 0x7F800001, 0xFFC00155, -1}) {
                MemorySegment a = NativeRows.normal(33, 0, 1, 1);
                a.setAtIndex(JAVA_FLOAT, 5, Float.intBitsToFloat(bits));
                MemorySegment y = NativeRows.poisoned(33);
                double sum = math.exp(a, 0, 4, y, 0, 33);
                assertThat(y.getAtIndex(JAVA_FLOAT, 5)).as(Integer.toHexString(bits)).isNaN();
                assertThat(sum).as(Integer.toHexString(bits)).isNaN();
                assertThat(math.sumExp(a, 0, 4, 33)).as(Integer.toHexString(bits)).isNaN();
            }
        }
    }
}
