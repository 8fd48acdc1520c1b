package dev.sequent.fused.embedding;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.fused.KernelLaw;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The CPU kernel of the table look-up against its decomposition, with the derivative. */
class LookupTest {
    @Test
    void kernelEqualsDecomposition() {
        for (int width : new int[] {1, 3, 17, 63, 100}) {
            KernelLaw.onEachCpu(EmbeddingKernel.class, device -> {
                Tensor ids = KernelLaw.uniform(device, 5, 4, 9).square().mul(3).cast(DType.I32);
                for (Tensor i : List.of(ids, ids.cast(DType.I64), ids.transpose(0, 1))) {
                    KernelLaw.check("embedding " + width, 1e-5, List.of(KernelLaw.uniform(device, 1, 13, width)),
                        in -> List.of(Lookup.apply(in.get(0), i)), in -> List.of(Lookup.decompose(in.get(0), i)));
                }
            });
        }
    }

    @Test
    void idsOutsideTheTableAreRefused() {
        KernelLaw.onEachCpu(EmbeddingKernel.class, device -> {
            Tensor table = KernelLaw.uniform(device, 1, 13, 4);
            assertThatThrownBy(() -> Lookup.apply(table, Tensor.of(device, new int[] {1, 13}))).isInstanceOf(ShapeException.class)
                .hasMessage("[embedding] expected indices in [0, 13), given 13 at position 1");
            assertThatThrownBy(() -> Lookup.apply(table, Tensor.of(device, new long[] {-1}))).isInstanceOf(ShapeException.class);
        });
    }
}
