package dev.sequent.fused.norm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.fused.NativeRows;
import dev.sequent.fused.RowMath;
import dev.sequent.spi.Parallel;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Both normalisations against textbook loops in double, with all gradients. */
class NormRowsTest {
    private static final float EPS = 1e-5f;
    private static final Parallel POOL = NativeRows.threads(2);

    /** Which options a run uses. */
    private record Options(boolean layer, boolean bias, boolean residual) {}

    private static List<Options> options() {
        List<Options> all = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            all.add(new Options((i & 1) != 0, (i & 2) != 0, (i & 4) != 0));
        }
        return all;
    }

    private static List<NormRows> kernels() {
        return List.of(NormRows.of(true), new NormRows(RowMath.of(true), new NormMathScalar()));
    }

    /** Inputs and outputs of one run. */
    private static final class Run {
        final int rows;
        final int n;
        final MemorySegment x;
        final MemorySegment residual;
        final MemorySegment weight;
        final MemorySegment bias;
        final MemorySegment dy;
        final MemorySegment dsum;
        final MemorySegment sum;
        final MemorySegment y;
        final MemorySegment mean;
        final MemorySegment rstd;
        final MemorySegment dx;
        final MemorySegment dweight;
        final MemorySegment dbias;

        Run(int rows, int n, Options o) {
            this.rows = rows;
            this.n = n;
            long size = (long) rows * n;
            x = NativeRows.normal(size, 0.7, 1.5, 1);
            residual = o.residual ? NativeRows.normal(size, -0.2, 0.5, 2) : null;
            weight = NativeRows.normal(n, 1, 0.3, 3);
            bias = o.bias ? NativeRows.normal(n, 0, 0.3, 4) : null;
            dy = NativeRows.normal(size, 0.1, 1, 5);
            dsum = o.residual ? NativeRows.normal(size, 0, 1, 6) : null;
            sum = o.residual ? NativeRows.poisoned(size) : null;
            y = NativeRows.poisoned(size);
            mean = o.layer ? NativeRows.poisoned(rows) : null;
            rstd = NativeRows.poisoned(rows);
            dx = NativeRows.poisoned(size);
            dweight = NativeRows.poisoned(n);
            dbias = o.bias ? NativeRows.poisoned(n) : null;
        }

        Run run(NormRows kernel, Parallel pool) {
            kernel.forward(pool, new NormRows.Forward(x, residual, sum, weight, bias, y, mean, rstd, rows, n, EPS));
            MemorySegment scratch = NativeRows.poisoned(NormRows.scratchFloats(rows, n, bias != null));
            MemorySegment s = sum == null ? x : sum;
            kernel.backward(pool, new NormRows.Backward(dy, dsum, s, weight, mean, rstd, dx, dweight, dbias, scratch, rows, n));
            return this;
        }

        void check() {
            double[] s = NativeRows.doubles(x);
            double[] w = NativeRows.doubles(weight);
            double[] g = NativeRows.doubles(dy);
            double[] yv = new double[s.length];
            double[] dxv = new double[s.length];
            double[] dw = new double[n];
            double[] db = new double[n];
            if (residual != null) {
                double[] r = NativeRows.doubles(residual);
                for (int i = 0; i < s.length; i++) {
                    s[i] += r[i];
                }
                NativeRows.assertClose("sum", sum, s, 1e-6);
            }
            for (int r = 0; r < rows; r++) {
                textbookRow(s, w, g, r * n, yv, dxv, dw, db);
            }
            NativeRows.assertClose("y", y, yv, 4e-5);
            NativeRows.assertClose("dx", dx, dxv, 1e-3 / Math.sqrt(n) + 2e-5);
            NativeRows.assertClose("dw", dweight, dw, 1e-4);
            if (dbias != null) {
                NativeRows.assertClose("db", dbias, db, 1e-4);
            }
        }

        private void textbookRow(double[] s, double[] w, double[] g, int at, double[] yv, double[] dxv, double[] dw, double[] db) {
            double m = 0;
            for (int i = 0; mean != null && i < n; i++) {
                m += s[at + i] / n;
            }
            double variance = 0;
            for (int i = 0; i < n; i++) {
                variance += (s[at + i] - m) * (s[at + i] - m) / n;
            }
            double factor = 1 / Math.sqrt(variance + EPS);
            double offset = 0;
            double slope = 0;
            for (int i = 0; i < n; i++) {
                offset += mean == null ? 0 : g[at + i] * w[i] / n;
                slope += g[at + i] * w[i] * (s[at + i] - m) * factor / n;
            }
            for (int i = 0; i < n; i++) {
                double z = (s[at + i] - m) * factor;
                yv[at + i] = z * w[i] + (bias == null ? 0 : bias.getAtIndex(JAVA_FLOAT, i));
                dxv[at + i] = factor * (g[at + i] * w[i] - offset - z * slope) + (dsum == null ? 0 : dsum.getAtIndex(JAVA_FLOAT, at + i));
                dw[i] += g[at + i] * z;
                db[i] += g[at + i];
            }
        }
    }

    private static boolean degenerate(Options o, int n) {
        // the layer norm of one element is 0 / sqrt(eps): every rounding error is amplified by 1 / sqrt(eps)
        return o.layer && n == 1;
    }

    @ParameterizedTest
    @MethodSource("dev.sequent.fused.NativeRows#shapes")
    void outputsAndGradientsMatchTextbookLoops(int[] shape) {
        for (Options o : options()) {
            if (!degenerate(o, shape[1]) && shape[0] * shape[1] < 10_000) {
                kernels().forEach(k -> new Run(shape[0], shape[1], o).run(k, POOL).check());
            }
        }
    }

    @Test
    void resultsDoNotDependOnTheNumberOfThreads() {
        for (Options o : options()) {
            Run one = new Run(201, 131, o).run(NormRows.of(true), NativeRows.threads(1));
            Run three = new Run(201, 131, o).run(NormRows.of(true), NativeRows.threads(3));
            assertThat(NativeRows.floats(three.y)).isEqualTo(NativeRows.floats(one.y));
            assertThat(NativeRows.floats(three.dx)).isEqualTo(NativeRows.floats(one.dx));
            assertThat(NativeRows.floats(three.dweight)).isEqualTo(NativeRows.floats(one.dweight));
            if (o.bias) {
                assertThat(NativeRows.floats(three.dbias)).isEqualTo(NativeRows.floats(one.dbias));
            }
        }
    }

    @Test
    void gradientMayOverwriteTheGradientOfTheOutput() {
        for (Options o : options()) {
            Run run = new Run(9, 37, o).run(NormRows.of(true), POOL);
            MemorySegment dy = NativeRows.copy(run.dy);
            MemorySegment scratch = NativeRows.poisoned(NormRows.scratchFloats(9, 37, o.bias));
            MemorySegment s = o.residual ? run.sum : run.x;
            MemorySegment dw = NativeRows.poisoned(37);
            MemorySegment db = o.bias ? NativeRows.poisoned(37) : null;
            NormRows.of(true).backward(POOL, new NormRows.Backward(dy, run.dsum, s, run.weight, run.mean, run.rstd, dy, dw, db, scratch, 9,
                    37));
            assertThat(NativeRows.floats(dy)).isEqualTo(NativeRows.floats(run.dx));
            assertThat(NativeRows.floats(dw)).isEqualTo(NativeRows.floats(run.dweight));
        }
    }

    @Test
    void noRowsGiveZeroGradients() {
        Run run = new Run(0, 5, new Options(true, true, false)).run(NormRows.of(true), POOL);
        assertThat(NativeRows.floats(run.dweight)).containsOnly(0);
        assertThat(NativeRows.floats(run.dbias)).containsOnly(0);
    }
}
