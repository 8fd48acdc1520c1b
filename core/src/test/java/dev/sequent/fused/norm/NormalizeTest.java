package dev.sequent.fused.norm;

import dev.sequent.fused.KernelLaw;
import dev.sequent.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The CPU kernel of the normalisations against their decomposition, with all derivatives. */
class NormalizeTest {
    private static final double EPS = 1e-3;
    private static final double TOLERANCE = 3e-5;

    @Test
    void kernelsEqualDecompositions() {
        for (int width : new int[] {1, 3, 17, 63, 100, 300}) {
            KernelLaw.onEachCpu(NormKernel.class, device -> {
                Tensor x = KernelLaw.uniform(device, 1, 2, 7, width);
                Tensor r = KernelLaw.uniform(device, 2, 2, 7, width);
                Tensor w = KernelLaw.uniform(device, 3, width);
                Tensor b = KernelLaw.uniform(device, 4, width);
                KernelLaw.check("rms " + width, TOLERANCE, List.of(x, w), in -> List.of(Normalize.rms(in.get(0), in.get(1), EPS)),
                    in -> List.of(NormDecomposition.rms(in.get(0), in.get(1), EPS)));
                KernelLaw.check("layer " + width, TOLERANCE, List.of(x, w, b),
                    in -> List.of(Normalize.layer(in.get(0), in.get(1), in.get(2), EPS)),
                    in -> List.of(NormDecomposition.layer(in.get(0), in.get(1), in.get(2), EPS)));
                KernelLaw.check("layer without bias " + width, TOLERANCE, List.of(x, w),
                    in -> List.of(Normalize.layer(in.get(0), in.get(1), null, EPS)),
                    in -> List.of(NormDecomposition.layer(in.get(0), in.get(1), null, EPS)));
                KernelLaw.check("add and rms " + width, TOLERANCE, List.of(x, r, w),
                    in -> both(Normalize.addRms(in.get(0), in.get(1), in.get(2), EPS)),
                    in -> decomposed(in.get(0).add(in.get(1)), in.get(2), null));
                KernelLaw.check("add and layer " + width, TOLERANCE, List.of(x, r, w, b),
                    in -> both(Normalize.addLayer(in.get(0), in.get(1), in.get(2), in.get(3), EPS)),
                    in -> decomposed(in.get(0).add(in.get(1)), in.get(2), in.get(3)));
            });
        }
    }

    private static List<Tensor> both(Normalize.Added added) {
        return List.of(added.sum(), added.normalised());
    }

    private static List<Tensor> decomposed(Tensor sum, Tensor weight, Tensor bias) {
        return List.of(sum, bias == null ? NormDecomposition.rms(sum, weight, EPS) : NormDecomposition.layer(sum, weight, bias, EPS));
    }

    @Test
    void stridedOperandsAreReadInTheirOwnOrder() {
        KernelLaw.onEachCpu(NormKernel.class, device -> {
            Tensor x = KernelLaw.uniform(device, 1, 9, 5);
            Tensor w = KernelLaw.uniform(device, 2, 9);
            KernelLaw.check("transposed", TOLERANCE, List.of(x, w), in -> List.of(Normalize.rms(in.get(0).transpose(0, 1), in.get(1), EPS)),
                in -> List.of(NormDecomposition.rms(in.get(0).transpose(0, 1), in.get(1), EPS)));
        });
    }
}
