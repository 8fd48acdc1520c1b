package dev.sequent.transformer.position;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.GradientCheck;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RotaryEmbeddingTest {
    private static RotaryEmbedding rotary(int channels) {
        return new RotaryEmbedding(RotaryFrequencies.standard(channels, 10_000));
    }

    /** Each pair is turned like a complex number. */
    @Test
    void pairsTurnByPositionTimesFrequency() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Tensor x = Tensor.of(device, new float[] {1, 2, 3, 4, 5}, 1, 1, 1, 5);
            float[] y = rotary(4).apply(x, new int[] {7}).toFloats();
            double slow = 7 * Math.pow(10_000, -0.5);
            assertThat(y).usingComparatorWithPrecision(1e-5f).containsExactly((float) (Math.cos(7) - 3 * Math.sin(7)),
                    (float) (2 * Math.cos(slow) - 4 * Math.sin(slow)), (float) (3 * Math.cos(7) + Math.sin(7)),
                    (float) (4 * Math.cos(slow) + 2 * Math.sin(slow)), 5);
        }
    }

    /** Slices, widths around the lane count, positions far beyond the first table. */
    @Test
    void theKernelEqualsTheDecomposition() {
        try (Device device = Device.open("cpu", Map.of("poison", "true")); Scope _ = Scope.open()) {
            for (int[] widths : new int[][] {{2, 2}, {6, 7}, {16, 16}, {34, 40}, {64, 64}, {66, 128}}) {
                Tensor wide = new Rng(1).uniform(device, DType.F32, -1.0, 1.0, 2, 9, 5, widths[1]);
                int[] positions = IntStream.range(0, 18).map(i -> i * 211).toArray();
                RotaryEmbedding rotary = rotary(widths[0]);
                Variable x = Variable.of(wide);
                float[] fused = Autograd.valueAndGrad(List.of(x), () -> rotary.apply(x.value().slice(2, 1, 4), positions).pow(3).sum())
                        .of(x).toFloats();
                float[] plain = Autograd.valueAndGrad(List.of(x), () -> rotary.decomposed(x.value().slice(2, 1, 4), positions).pow(3).sum())
                        .of(x).toFloats();
                assertThat(fused).usingComparatorWithPrecision(2e-5f).containsExactly(plain);
                assertThat(rotary.apply(wide, positions).toFloats()).usingComparatorWithPrecision(1e-5f)
                        .containsExactly(rotary.decomposed(wide, positions).toFloats());
            }
        }
    }

    @Test
    void derivativesEqualDifferenceQuotients() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            Tensor x = new Rng(3).uniform(device, DType.F64, -1.0, 1.0, 1, 3, 2, 6);
            GradientCheck.check("rotary embedding", in -> rotary(4).apply(in.getFirst(), new int[] {0, 5, 40}), 1e-8, x);
        }
    }

    /** Scores depend on the distance of query and key alone. */
    @Test
    void productsDependOnDistance() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            Tensor q = new Rng(4).uniform(device, DType.F64, -1.0, 1.0, 1, 1, 1, 8);
            Tensor k = new Rng(5).uniform(device, DType.F64, -1.0, 1.0, 1, 1, 1, 8);
            RotaryEmbedding r = rotary(8);
            double near = r.apply(q, new int[] {9}).mul(r.apply(k, new int[] {4})).sum().item();
            double far = r.apply(q, new int[] {1009}).mul(r.apply(k, new int[] {1004})).sum().item();
            assertThat(far).isCloseTo(near, org.assertj.core.data.Offset.offset(1e-10));
        }
    }

    @Test
    void badSizesAreErrors() {
        assertThatThrownBy(() -> RotaryFrequencies.standard(5, 10_000)).isInstanceOf(ConfigException.class);
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Tensor x = Tensor.zeros(device, DType.F32, 1, 2, 1, 4);
            assertThatThrownBy(() -> rotary(6).apply(x, new int[2])).isInstanceOf(ShapeException.class);
            assertThatThrownBy(() -> rotary(4).apply(x, new int[3])).isInstanceOf(ShapeException.class);
        }
    }
}
