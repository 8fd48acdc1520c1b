package dev.sequent.fused.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.fused.KernelLaw;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The CPU kernels of the cross-entropy against their decomposition, with the derivative. */
class CrossEntropyTest {
    /** Targets in [-1, vocabulary): some positions have none. */
    private static Tensor targets(Tensor uniform, int vocabulary) {
        // [-2, 2) to [-1, vocabulary)
        return uniform.add(2).mul((vocabulary + 1) / 4.0).sub(1).cast(DType.I64).minimum(
            Tensor.full(uniform.device(), DType.I64, vocabulary - 1));
    }

    @Test
    void kernelEqualsDecomposition() {
        for (int vocabulary : new int[] {1, 3, 17, 63, 100, 1500}) {
            KernelLaw.onEachCpu(CrossEntropyKernel.class, device -> {
                Tensor logits = KernelLaw.uniform(device, 1, 3, 4, vocabulary).mul(4);
                Tensor t = targets(KernelLaw.uniform(device, 2, 3, 4), vocabulary);
                for (Tensor target : List.of(t, t.cast(DType.I32))) {
                    KernelLaw.check("losses " + vocabulary, 5e-6, List.of(logits),
                            in -> List.of(CrossEntropy.perPosition(in.get(0), target)),
                        in -> List.of(CrossEntropy.decompose(in.get(0), target)));
                    double count = 0;
                    for (long index : target.toLongs()) {
                        count += index >= 0 ? 1 : 0;
                    }
                    double n = Math.max(count, 1);
                    KernelLaw.check("mean " + vocabulary, 5e-6, List.of(logits), in -> List.of(CrossEntropy.loss(in.get(0), target)),
                        in -> List.of(CrossEntropy.decompose(in.get(0), target).sum().div(n)));
                }
            });
        }
    }

    @Test
    void lossWithoutDerivativeIsTheSame() {
        KernelLaw.onEachCpu(CrossEntropyKernel.class, device -> {
            Tensor logits = KernelLaw.uniform(device, 1, 30, 100).mul(4);
            Tensor target = targets(KernelLaw.uniform(device, 2, 30), 100);
            Tensor losses = CrossEntropy.decompose(logits, target);
            double count = 0;
            for (long index : target.toLongs()) {
                count += index >= 0 ? 1 : 0;
            }
            KernelLaw.assertClose("loss", CrossEntropy.loss(logits, target), losses.sum().div(count), 2e-6);
        });
    }

    @Test
    void targetsBeyondTheVocabularyAreRefused() {
        KernelLaw.onEachCpu(CrossEntropyKernel.class, device -> {
            Tensor logits = KernelLaw.uniform(device, 1, 2, 5);
            Tensor target = Tensor.of(device, new int[] {4, 5});
            assertThatThrownBy(() -> CrossEntropy.loss(logits, target)).isInstanceOf(ShapeException.class)
                .hasMessage("[cross_entropy] expected indices in [0, 5), given 5 at position 1");
            assertThatThrownBy(() -> CrossEntropy.perPosition(logits, target)).isInstanceOf(ShapeException.class);
            assertThat(CrossEntropy.loss(logits, Tensor.of(device, new int[] {-1, -1})).item()).isZero();
        });
    }

    /** The sum of 9,000 losses of about 11 is beyond F16, and BF16 cannot count to 9,000. */
    @Test
    void meansOfManyNarrowLossesAreThoseOfWideOnes() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            float[] row = new float[4];
            row[0] = 11;
            Tensor logits = Tensor.of(device, row, 1, 4).broadcastTo(Shape.of(9_000, 4));
            Tensor target = Tensor.ones(device, DType.I32, 9_000);
            double expected = CrossEntropy.loss(logits, target).item();
            assertThat(CrossEntropy.loss(logits.cast(DType.F16), target).item()).isCloseTo(expected, within(0.01));
            assertThat(CrossEntropy.loss(logits.cast(DType.BF16), target).item()).isCloseTo(expected, within(0.05));
        }
    }

    /** In both forms a position without target may hold anything, for example the logits of padding. */
    @Test
    void positionsWithoutTargetCountNothingWhateverTheirLogitsAre() {
        KernelLaw.onEachCpu(CrossEntropyKernel.class, device -> {
            Tensor target = Tensor.of(device, new int[] {1, -100, 0, -1, 2});
            float[] wild = new float[15];
            for (int i = 0; i < wild.length; i++) {
                int row = i / 3;
                wild[i] = row == 1 ? Float.NaN : row == 3 ? (i % 3 - 1) / 0f : i * 0.3f - row;
            }
            Tensor logits = Tensor.of(device, wild, 5, 3);
            Tensor known = Tensor.of(device, new boolean[] {true, false, true, false, true}, 5, 1);
            KernelLaw.check("losses", 1e-6, List.of(logits), in -> List.of(CrossEntropy.perPosition(in.getFirst(), target)),
                in -> List.of(CrossEntropy.decompose(in.getFirst(), target)));
            KernelLaw.check("without wild logits", 0, List.of(logits), in -> List.of(CrossEntropy.decompose(in.getFirst(), target)),
                in -> List.of(CrossEntropy.decompose(known.where(in.getFirst(), Tensor.zeros(device, DType.F32)), target)));
        });
    }
}
