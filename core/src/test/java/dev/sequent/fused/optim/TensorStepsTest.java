package dev.sequent.fused.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.fused.NativeRows;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Optimizer steps over many tensors against the published formulas in double. */
class TensorStepsTest {
    private static final long[] SIZES = {1, 0, 3, 17, 100, 40_000, 65, 0, 32_768, 0};
    private static final List<TensorSteps> KERNELS = List.of(TensorSteps.of(true), new TensorSteps(new OptimMathScalar()));

    private static MemorySegment[] tensors(double mean, double std, long seed) {
        MemorySegment[] result = new MemorySegment[SIZES.length];
        for (int i = 0; i < SIZES.length; i++) {
            result[i] = NativeRows.normal(SIZES[i], mean, std, seed + i);
        }
        return result;
    }

    @Test
    void adamwFollowsItsFormula() {
        double lr = 1e-2;
        double beta1 = 0.9;
        double beta2 = 0.95;
        double eps = 1e-8;
        double scale = 0.5;
        for (TensorSteps kernel : KERNELS) {
            MemorySegment[] p = tensors(0, 1, 100);
            MemorySegment[] g = tensors(0, 0.1, 200);
            MemorySegment[] m = tensors(0, 0, 0);
            MemorySegment[] v = tensors(0, 0, 0);
            double[][] pv = doubles(p);
            double[][] mv = doubles(m);
            double[][] vv = doubles(v);
            for (int t = 1; t <= 3; t++) {
                AdamWStep[] c = new AdamWStep[SIZES.length];
                for (int i = 0; i < SIZES.length; i++) {
                    double decay = i % 2 == 0 ? 0.1 : 0;
                    c[i] = AdamWStep.of(beta1, beta2, eps, lr, decay, t, scale);
                    double[] gv = NativeRows.doubles(g[i]);
                    for (int j = 0; j < gv.length; j++) {
                        double gs = gv[j] * scale;
                        mv[i][j] = beta1 * mv[i][j] + (1 - beta1) * gs;
                        vv[i][j] = beta2 * vv[i][j] + (1 - beta2) * gs * gs;
                        double mHat = mv[i][j] / (1 - Math.pow(beta1, t));
                        double vHat = vv[i][j] / (1 - Math.pow(beta2, t));
                        pv[i][j] = pv[i][j] - lr * decay * pv[i][j] - lr * mHat / (Math.sqrt(vHat) + eps);
                    }
                }
                kernel.adamw(NativeRows.threads(t), new TensorChunks(SIZES), c, p, g, m, v);
            }
            for (int i = 0; i < SIZES.length; i++) {
                NativeRows.assertClose("p", p[i], pv[i], 1e-5);
                NativeRows.assertClose("m", m[i], mv[i], 1e-6);
                NativeRows.assertClose("v", v[i], vv[i], 1e-6);
            }
        }
    }

    @Test
    void sgdFollowsItsFormula() {
        for (boolean nesterov : new boolean[] {false, true}) {
            for (TensorSteps kernel : KERNELS) {
                MemorySegment[] p = tensors(0, 1, 100);
                MemorySegment[] g = tensors(0, 0.1, 200);
                MemorySegment[] b = tensors(0, 1, 300);
                double[][] pv = doubles(p);
                double[][] bv = doubles(b);
                SgdStep[] c = new SgdStep[SIZES.length];
                for (int i = 0; i < SIZES.length; i++) {
                    c[i] = new SgdStep(0.1f, 0.9f, 0.01f, nesterov, 2);
                    double[] gv = NativeRows.doubles(g[i]);
                    for (int j = 0; j < gv.length; j++) {
                        double gs = 2 * gv[j] + 0.01 * pv[i][j];
                        bv[i][j] = 0.9 * bv[i][j] + gs;
                        pv[i][j] -= 0.1 * (nesterov ? gs + 0.9 * bv[i][j] : bv[i][j]);
                    }
                }
                kernel.sgd(NativeRows.threads(2), new TensorChunks(SIZES), c, p, g, b);
                for (int i = 0; i < SIZES.length; i++) {
                    NativeRows.assertClose("p", p[i], pv[i], 1e-6);
                    NativeRows.assertClose("b", b[i], bv[i], 1e-6);
                }
            }
        }
    }

    @Test
    void sumOfSquaresIsExactAndIndependentOfThreadsAndRange() {
        for (TensorSteps kernel : KERNELS) {
            MemorySegment[] g = tensors(0, 1e25, 1);
            double sum = 0;
            for (double[] tensor : doubles(g)) {
                for (double x : tensor) {
                    sum += x * x;
                }
            }
            double one = kernel.sumSquares(NativeRows.threads(1), new TensorChunks(SIZES), g);
            assertThat(one).isEqualTo(sum, within(sum * 1e-13));
            assertThat(kernel.sumSquares(NativeRows.threads(3), new TensorChunks(SIZES), g)).isEqualTo(one);
        }
    }

    private static double[][] doubles(MemorySegment[] tensors) {
        double[][] result = new double[tensors.length][];
        for (int i = 0; i < tensors.length; i++) {
            result[i] = NativeRows.doubles(tensors[i]);
        }
        return result;
    }
}
