package dev.sequent.fused.linear;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.KernelLaw;
import dev.sequent.kernel.KernelTable;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Several products of one input against one product each, with all derivatives. */
class ProjectionsTest {
    @Test
    void fusedEqualsProductByProduct() {
        for (int width : new int[] {1, 3, 17, 63, 100}) {
            KernelLaw.onEachCpu(ProductSumKernel.class, device -> {
                List<Tensor> in = List.of(KernelLaw.uniform(device, 1, 2, 5, width), KernelLaw.uniform(device, 2, 3, width),
                    KernelLaw.uniform(device, 3, 17, width), KernelLaw.uniform(device, 4, 1, width));
                KernelLaw.check("width " + width, 2e-5, in, x -> List.of(Projections.apply(x.get(0), x.get(1), x.get(2), x.get(3))),
                    x -> x.subList(1, 4).stream().map(w -> x.get(0).reshape(10, width).matmul(w, false, true).reshape(2, 5, w.dim(0)))
                    .toList());
            });
        }
    }

    @Test
    void aFewRowsGiveTheNumbersOfTheMatrixProduct() {
        KernelLaw.onEachCpu(RowProductKernel.class, device -> {
            RowProductKernel kernel = KernelTable.of(device).find(RowProductKernel.class, _ -> Optional.empty()).orElseThrow();
            for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
                for (int width : new int[] {1, 3, 17, 63, 100}) {
                    Tensor w = KernelLaw.uniform(device, 5, 37, width).cast(dtype);
                    for (int rows : new int[] {1, 2, 8, 9}) {
                        Tensor wide = KernelLaw.uniform(device, 6, rows, 1, width + 5).cast(dtype);
                        Tensor slice = wide.slice(2, 2, 2 + width);
                        for (Tensor x : List.of(slice, slice.contiguous())) {
                            Tensor y = Projections.underived(x, w).expect("y", rows, 1, 37);
                            assertThat(y.dtype()).isEqualTo(dtype);
                            assertThat(y.toFloats()).as(dtype + " " + rows + " x " + width)
                                    .isEqualTo(x.reshape(rows, width).matmul(w, false, true).toFloats());
                        }
                    }
                }
            }
            Tensor vector = KernelLaw.uniform(device, 7, 17);
            assertThat(kernel.project(vector, KernelLaw.uniform(device, 8, 4, 17))).as("one row, a vector").isPresent();
            assertThat(kernel.project(vector, KernelLaw.uniform(device, 8, 17, 4).transpose(0, 1))).as("strided rows").isEmpty();
            Tensor nine = KernelLaw.uniform(device, 9, 9, 17);
            assertThat(kernel.project(nine, KernelLaw.uniform(device, 8, 4, 17))).as("nine rows").isEmpty();
        });
    }

    @Test
    void operandsThatDoNotFitAreTypedErrors() {
        KernelLaw.onEachCpu(RowProductKernel.class, device -> {
            Tensor x = KernelLaw.uniform(device, 1, 1, 1, 17);
            Tensor narrow = KernelLaw.uniform(device, 2, 4, 16);
            assertThatThrownBy(() -> Projections.underived(x, narrow)).isInstanceOf(ShapeException.class);
            assertThatThrownBy(() -> Projections.underived(x, KernelLaw.uniform(device, 2, 4, 17).cast(DType.BF16)))
                    .isInstanceOf(DTypeException.class);
        });
    }

    @Test
    void cotangentsAndOtherGradientsStayAsTheyWere() {
        KernelLaw.onEachCpu(ProductSumKernel.class, device -> {
            Tensor x = KernelLaw.uniform(device, 1, 64, 100);
            Variable v = Variable.of(x);
            List<Tensor> cotangents = List.of(KernelLaw.uniform(device, 2, 64, 80), KernelLaw.uniform(device, 3, 64, 80));
            List<double[]> before = cotangents.stream().map(Tensor::toDoubles).toList();
            Tensor w = KernelLaw.uniform(device, 4, 80, 100);
            Autograd.vjp(List.of(v), () -> List.of(Projections.apply(x, w, w)), cotangents);
            for (int i = 0; i < 2; i++) {
                assertThat(cotangents.get(i).toDoubles()).isEqualTo(before.get(i));
            }
        });
    }

    /** Kernels take sizes from one operand and read the others by them. */
    @Test
    void weightsThatDoNotFitAreRefused() {
        KernelLaw.onEachCpu(ProductSumKernel.class, device -> {
            Tensor x = KernelLaw.uniform(device, 1, 4, 6);
            Tensor fits = KernelLaw.uniform(device, 2, 3, 6);
            for (Tensor w : List.of(KernelLaw.uniform(device, 3, 3, 5), KernelLaw.uniform(device, 3, 6),
                    KernelLaw.uniform(device, 3, 1, 3, 6))) {
                assertThatThrownBy(() -> Projections.apply(x, fits, w)).isInstanceOf(ShapeException.class)
                    .hasMessageContaining("[projections weight]");
            }
            assertThatThrownBy(() -> Projections.apply(x, fits.cast(DType.F64))).isInstanceOf(DTypeException.class);
        });
    }
}
