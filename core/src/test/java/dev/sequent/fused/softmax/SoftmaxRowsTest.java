package dev.sequent.fused.softmax;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.fused.NativeRows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Softmax against textbook loops in double. */
class SoftmaxRowsTest {
    private static final Parallel POOL = NativeRows.threads(2);

    @ParameterizedTest
    @MethodSource("dev.sequent.fused.NativeRows#shapes")
    void outputsAndGradientsMatchTextbookLoops(int[] shape) {
        int rows = shape[0];
        int n = shape[1];
        MemorySegment x = NativeRows.normal((long) rows * n, 3, 5, 1);
        MemorySegment dy = NativeRows.normal((long) rows * n, 0, 1, 2);
        MemorySegment y = NativeRows.poisoned((long) rows * n);
        MemorySegment dx = NativeRows.poisoned((long) rows * n);
        SoftmaxRows.of(true).forward(POOL, x, y, rows, n);
        SoftmaxRows.of(true).backward(POOL, dy, y, dx, rows, n);
        double[] xv = NativeRows.doubles(x);
        double[] d = NativeRows.doubles(dy);
        double[] p = new double[rows * n];
        double[] dxv = new double[rows * n];
        for (int r = 0; r < rows; r++) {
            double sum = 0;
            for (int i = 0; i < n; i++) {
                sum += Math.exp(xv[r * n + i]);
            }
            double dot = 0;
            for (int i = 0; i < n; i++) {
                p[r * n + i] = Math.exp(xv[r * n + i]) / sum;
                dot += p[r * n + i] * d[r * n + i];
            }
            for (int i = 0; i < n; i++) {
                dxv[r * n + i] = p[r * n + i] * (d[r * n + i] - dot);
            }
        }
        NativeRows.assertClose("y", y, p, 1e-6);
        NativeRows.assertClose("dx", dx, dxv, 2e-6);
    }

    @Test
    void maskedElementsGetExactlyZeroAndNanSpreads() {
        MemorySegment x = NativeRows.normal(2 * 21, 0, 1, 1);
        x.setAtIndex(JAVA_FLOAT, 4, Float.NEGATIVE_INFINITY);
        x.setAtIndex(JAVA_FLOAT, 20, Float.NEGATIVE_INFINITY);
        x.setAtIndex(JAVA_FLOAT, 30, Float.NaN);
        SoftmaxRows.of(true).forward(POOL, x, x, 2, 21);
        assertThat(x.getAtIndex(JAVA_FLOAT, 4)).isZero();
        assertThat(x.getAtIndex(JAVA_FLOAT, 20)).isZero();
        assertThat(x.getAtIndex(JAVA_FLOAT, 0)).isPositive();
        for (int i = 21; i < 42; i++) {
            assertThat(x.getAtIndex(JAVA_FLOAT, i)).isNaN();
        }
    }
}
