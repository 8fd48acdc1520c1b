package dev.sequent.fused.loss;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.fused.Indices;
import dev.sequent.fused.NativeRows;
import dev.sequent.spi.Parallel;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Cross-entropy against textbook loops in double. */
class CrossEntropyRowsTest {
    private static final Parallel POOL = NativeRows.threads(2);

    private static Indices targets(int rows, int width) {
        Random random = new Random(7);
        int[] t = new int[rows];
        for (int r = 0; r < rows; r++) {
            t[r] = r % 5 == 3 ? -100 : random.nextInt(width);
        }
        return new Indices(NativeRows.ints(t), false);
    }

    @ParameterizedTest
    @MethodSource("dev.sequent.fused.NativeRows#shapes")
    void lossesAndGradientsMatchTextbookLoops(int[] shape) {
        int rows = shape[0];
        int n = shape[1];
        MemorySegment x = NativeRows.normal((long) rows * n, 20, 4, 1);
        MemorySegment dloss = NativeRows.normal(rows, 1, 0.5, 2);
        Indices targets = targets(rows, n);
        double[] xv = NativeRows.doubles(x);
        double[] lossv = new double[rows];
        double[] lsev = new double[rows];
        double[] grad = new double[rows * n];
        double[] scaled = new double[rows * n];
        for (int r = 0; r < rows; r++) {
            double sum = 0;
            for (int i = 0; i < n; i++) {
                sum += Math.exp(xv[r * n + i]);
            }
            lsev[r] = Math.log(sum);
            int t = (int) targets.at(r);
            if (t >= 0) {
                lossv[r] = lsev[r] - xv[r * n + t];
                for (int i = 0; i < n; i++) {
                    double d = Math.exp(xv[r * n + i]) / sum - (i == t ? 1 : 0);
                    grad[r * n + i] = d * dloss.getAtIndex(JAVA_FLOAT, r);
                    scaled[r * n + i] = d * 0.125;
                }
            }
        }
        CrossEntropyRows kernel = CrossEntropyRows.of(true);
        MemorySegment loss = NativeRows.poisoned(rows);
        MemorySegment lse = NativeRows.poisoned(rows);
        MemorySegment dx = NativeRows.poisoned((long) rows * n);
        kernel.forward(POOL, x, targets, loss, lse, rows, n);
        kernel.backward(POOL, dloss, x, targets, lse, dx, rows, n);
        NativeRows.assertClose("loss", loss, lossv, 1e-6);
        NativeRows.assertClose("lse", lse, lsev, 1e-6);
        NativeRows.assertClose("dlogits", dx, grad, 4e-6);

        MemorySegment fusedLoss = NativeRows.poisoned(rows);
        MemorySegment fusedGradient = NativeRows.poisoned((long) rows * n);
        kernel.forwardWithGradient(POOL, x, targets, fusedLoss, fusedGradient, 0.125f, rows, n);
        NativeRows.assertClose("loss", fusedLoss, lossv, 1e-6);
        NativeRows.assertClose("dlogits", fusedGradient, scaled, 1e-6);

        MemorySegment inPlace = NativeRows.copy(x);
        kernel.forwardWithGradient(POOL, inPlace, targets, loss, inPlace, 0.125f, rows, n);
        assertThat(NativeRows.floats(inPlace)).isEqualTo(NativeRows.floats(fusedGradient));
    }

    @Test
    void targetsOutsideTheVocabularyAreRefused() {
        Indices targets = new Indices(NativeRows.ints(0, 3, 5, -1), false);
        targets.check("cross_entropy", 4, 6, true);
        assertThatThrownBy(() -> targets.check("cross_entropy", 4, 5, true)).isInstanceOf(ShapeException.class)
            .hasMessage("[cross_entropy] expected indices in [0, 5), given 5 at position 2");
        assertThatThrownBy(() -> targets.check("embedding", 4, 6, false)).isInstanceOf(ShapeException.class);
    }
}
