package dev.sequent.fused.norm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.fused.KernelLaw;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
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

    /** 16-bit rows without a derivative: rounded once, where the decomposition rounds twice. */
    @Test
    void halvesAreNormalisedInF32() {
        for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
            double unit = dtype == DType.BF16 ? 0x1p-8 : 0x1p-11;
            for (int width : new int[] {1, 3, 17, 63, 100, 300}) {
                KernelLaw.onEachCpu(NormKernel.class, device -> {
                    Tensor x = KernelLaw.uniform(device, 1, 2, 7, width).cast(dtype);
                    Tensor r = KernelLaw.uniform(device, 2, 2, 7, width).cast(dtype);
                    Tensor w = KernelLaw.uniform(device, 3, width).cast(dtype);
                    Tensor b = KernelLaw.uniform(device, 4, width).cast(dtype);
                    assertThat(KernelTable.of(device).find(NormKernel.class, k -> k.forwardRefusal(x))).isPresent();
                    assertThat(KernelTable.of(device).find(NormKernel.class, k -> k.refusal(x))).isEmpty();
                    Tensor sum = x.add(r);
                    Normalize.Added rms = Normalize.addRms(x, r, w, EPS);
                    assertThat(rms.sum().toFloats()).containsExactly(sum.toFloats());
                    near(rms.normalised(), NormDecomposition.rms(sum.cast(DType.F64), w.cast(DType.F64), EPS), 0, unit);
                    near(Normalize.rms(x, w, EPS), NormDecomposition.rms(x.cast(DType.F64), w.cast(DType.F64), EPS), 0, unit);
                    Tensor layer = NormDecomposition.layer(sum.cast(DType.F64), w.cast(DType.F64), b.cast(DType.F64), EPS);
                    near(Normalize.addLayer(x, r, w, b, EPS).normalised(), layer, 1e-5, unit);
                });
            }
        }
    }

    /** One rounding of what is exact but for the error of F32, {@code noise} where numbers cancel. */
    private static void near(Tensor rounded, Tensor exact, double noise, double unit) {
        float[] y = rounded.toFloats();
        float[] expected = exact.cast(DType.F32).toFloats();
        for (int i = 0; i < y.length; i++) {
            assertThat((double) y[i]).isCloseTo(expected[i], within(4e-8 + noise + (unit + 1e-5) * Math.abs(expected[i])));
        }
    }
}
