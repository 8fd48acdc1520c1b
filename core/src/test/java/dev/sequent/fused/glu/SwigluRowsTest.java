package dev.sequent.fused.glu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.fused.NativeRows;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** SwiGLU against textbook loops in double. */
class SwigluRowsTest {
    private static final List<SwigluRows> KERNELS = List.of(SwigluRows.of(true), new SwigluRows(new SwigluMathScalar()));
    private static final Parallel POOL = NativeRows.threads(2);

    private static SwigluRows.Matrix matrix(MemorySegment segment, long start, long stride) {
        return new SwigluRows.Matrix(segment, start, stride);
    }

    @ParameterizedTest
    @MethodSource("dev.sequent.fused.NativeRows#shapes")
    void outputsAndGradientsMatchTextbookLoops(int[] shape) {
        int rows = shape[0];
        int n = shape[1];
        for (SwigluRows kernel : KERNELS) {
            // the halves of one (rows, 2n) matrix: gate first
            MemorySegment x = NativeRows.normal(2L * rows * n, 0, 4, 1);
            MemorySegment dy = NativeRows.normal((long) rows * n, 0, 1, 2);
            MemorySegment y = NativeRows.poisoned((long) rows * n);
            MemorySegment dx = NativeRows.poisoned(2L * rows * n);
            kernel.forward(POOL, matrix(x, 0, 2L * n), matrix(x, n, 2L * n), matrix(y, 0, n), (long) rows * n, n);
            kernel.backward(POOL, matrix(dy, 0, n), matrix(x, 0, 2L * n), matrix(x, n, 2L * n), matrix(dx, 0, 2L * n),
                    matrix(dx, n, 2L * n),
                (long) rows * n, n);
            double[] yv = new double[rows * n];
            double[] dxv = new double[2 * rows * n];
            for (int r = 0; r < rows; r++) {
                for (int i = 0; i < n; i++) {
                    double g = x.getAtIndex(JAVA_FLOAT, 2L * r * n + i);
                    double u = x.getAtIndex(JAVA_FLOAT, 2L * r * n + n + i);
                    double d = dy.getAtIndex(JAVA_FLOAT, (long) r * n + i);
                    double s = 1 / (1 + Math.exp(-g));
                    yv[r * n + i] = g * s * u;
                    dxv[2 * r * n + i] = d * u * s * (1 + g * (1 - s));
                    dxv[2 * r * n + n + i] = d * g * s;
                }
            }
            NativeRows.assertClose("y", y, yv, 1e-6);
            NativeRows.assertClose("dx", dx, dxv, 1e-6);
        }
    }

    @Test
    void extremeGatesNeitherOverflowNorLoseTheSign() {
        float[] gates = {-1e30f, -200, -88, -20, 0, 20, 88, 200, 1e30f};
        MemorySegment g = NativeRows.poisoned(gates.length);
        MemorySegment u = NativeRows.poisoned(gates.length);
        MemorySegment.copy(gates, 0, g, JAVA_FLOAT, 0, gates.length);
        for (int i = 0; i < gates.length; i++) {
            u.setAtIndex(JAVA_FLOAT, i, 1);
        }
        for (SwigluRows kernel : KERNELS) {
            MemorySegment y = NativeRows.poisoned(gates.length);
            MemorySegment dg = NativeRows.poisoned(gates.length);
            MemorySegment du = NativeRows.poisoned(gates.length);
            int n = gates.length;
            kernel.forward(POOL, matrix(g, 0, 4), matrix(u, 0, 4), matrix(y, 0, 4), n, 4); // rows of 4, 4 and 1
            kernel.backward(POOL, matrix(u, 0, n), matrix(g, 0, n), matrix(u, 0, n), matrix(dg, 0, n), matrix(du, 0, n), n, n);
            NativeRows.assertClose("y", y, new double[] {0, 0, 0, -4.12230724e-8, 0, 20, 88, 200, 1e30}, 1e-7);
            NativeRows.assertClose("dg", dg, new double[] {0, 0, 0, -3.91619e-8, 0.5, 1 + 3.91619e-8, 1, 1, 1}, 1.5e-7);
            assertThat(NativeRows.floats(du)).isEqualTo(NativeRows.floats(y));
        }
    }
}
