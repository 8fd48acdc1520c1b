package dev.sequent.transformer.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.autograd.Variable;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.GradientCheck;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** The operation on tensors: its decomposition against difference quotients, and the kernel against the decomposition. */
class AttentionTest {
    private static final AttentionMask DOCUMENTS = AttentionMask.CAUSAL.withWindow(4)
            .withDocuments(new int[] {0, 0, 0, 1, 1, -1, -1, 0, 0, 0, 0, 0}, new int[] {0, 0, 0, 1, 1, -1, -1, 0, 0, 0, 0, 0});

    private static List<AttentionMask> masks() {
        return List.of(AttentionMask.CAUSAL, AttentionMask.FULL, AttentionMask.CAUSAL.withWindow(3), DOCUMENTS,
                AttentionMask.CAUSAL.withOffsets(new int[] {1, -2}));
    }

    @Test
    void derivativesOfTheDecompositionEqualDifferenceQuotients() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            Tensor q = new Rng(1).uniform(device, DType.F64, -1.0, 1.0, 2, 6, 4, 3);
            Tensor k = new Rng(2).uniform(device, DType.F64, -1.0, 1.0, 2, 6, 2, 3);
            Tensor v = new Rng(3).uniform(device, DType.F64, -1.0, 1.0, 2, 6, 2, 3);
            for (AttentionMask mask : masks()) {
                GradientCheck.check("attention", in -> Attention.apply(in.get(0), in.get(1), in.get(2), mask, 0.7), 1e-7, q, k, v);
            }
        }
    }

    /** q, k and v are slices of one wide tensor, as they would be after a fused projection. */
    @Test
    void theKernelEqualsTheDecomposition() {
        try (Device device = Device.open("cpu", Map.of("poison", "true")); Scope _ = Scope.open()) {
            Tensor all = new Rng(4).uniform(device, DType.F32, -2.0, 2.0, 2, 6, 8, 19);
            for (AttentionMask mask : masks()) {
                float[][] fused = valueAndGradients(all, (q, k, v) -> Attention.apply(q, k, v, mask, 0.3));
                float[][] plain = valueAndGradients(all, (q, k, v) -> Attention.decomposed(q, k, v, mask, 0.3, 0, Optional.empty()));
                for (int i = 0; i < fused.length; i++) {
                    assertThat(fused[i]).as("result " + i + " under " + mask).usingComparatorWithPrecision(2e-5f).containsExactly(plain[i]);
                }
            }
        }
    }

    private interface Function {
        Tensor apply(Tensor q, Tensor k, Tensor v);
    }

    private static float[][] valueAndGradients(Tensor all, Function f) {
        Variable x = Variable.of(all);
        float[][] out = new float[1][];
        try (Scope _ = Scope.open()) {
            Gradients g = Autograd.valueAndGrad(List.of(x), () -> {
                Tensor y = f.apply(x.value().slice(2, 0, 4), x.value().slice(2, 4, 6), x.value().slice(2, 6, 8));
                out[0] = y.toFloats();
                return y.mul(y).sum().add(y.sum());
            });
            return new float[][] {out[0], g.of(x).toFloats()};
        }
    }

    @Test
    void narrowTypesAreComputedInSinglePrecision() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Tensor x = new Rng(5).uniform(device, DType.F32, -1.0, 1.0, 1, 9, 2, 16).cast(DType.BF16);
            Tensor y = Attention.apply(x, x, x, AttentionMask.CAUSAL, 0.25);
            Tensor wide = x.cast(DType.F32);
            assertThat(y.dtype()).isEqualTo(DType.BF16);
            assertThat(y.toFloats()).isEqualTo(Attention.apply(wide, wide, wide, AttentionMask.CAUSAL, 0.25).cast(DType.BF16).toFloats());
        }
    }

    @Test
    void theCpuBackendHasKernels() {
        try (Device device = Device.open("cpu")) {
            assertThat(KernelTable.of(device).explain()).containsKeys("AttentionKernel", "RotaryKernel");
        }
    }

    @Test
    void shapesThatDoNotFitAreErrors() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Tensor q = Tensor.zeros(device, DType.F32, 2, 5, 4, 8);
            Tensor three = Tensor.zeros(device, DType.F32, 2, 5, 3, 8);
            Tensor rows = Tensor.zeros(device, DType.F32, 3, 5, 4, 8);
            assertThatThrownBy(() -> Attention.apply(q, three, three, AttentionMask.CAUSAL, 1)).isInstanceOf(ShapeException.class)
                    .hasMessageContaining("multiple");
            assertThatThrownBy(() -> Attention.apply(q, rows, rows, AttentionMask.CAUSAL, 1)).isInstanceOf(ShapeException.class);
            AttentionMask shorter = AttentionMask.CAUSAL.withDocuments(new int[10], new int[9]);
            assertThatThrownBy(() -> Attention.apply(q, q, q, shorter, 1)).isInstanceOf(ShapeException.class).hasMessageContaining("10");
            assertThatThrownBy(() -> new AttentionMask(true, 0, null, null, null)).isInstanceOf(ShapeException.class);
        }
    }

    @Test
    void moreTokensThanTheDecompositionTakesAreATypedError() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Tensor x = Tensor.zeros(device, DType.F64, 1, 46_341, 1, 1);
            assertThatThrownBy(() -> Attention.apply(x, x, x, AttentionMask.CAUSAL, 1)).isInstanceOf(ShapeException.class)
                    .hasMessageContaining("2^31 - 1 pairs");
        }
    }
}
