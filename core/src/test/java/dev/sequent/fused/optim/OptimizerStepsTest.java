package dev.sequent.fused.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.fused.KernelLaw;
import dev.sequent.op.CompareOp;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The CPU kernels of the optimizers against their decomposition. */
class OptimizerStepsTest {
    private static final long[][] SHAPES = {{1}, {3, 17}, {}, {100}, {63, 65}};

    private static List<Tensor> tensors(Device device, long seed) {
        List<Tensor> list = new ArrayList<>();
        for (long[] shape : SHAPES) {
            list.add(KernelLaw.uniform(device, seed + list.size(), shape));
        }
        return list;
    }

    private static List<Tensor> copies(List<Tensor> tensors) {
        return tensors.stream().map(t -> t.mul(1)).toList();
    }

    @Test
    void adamwKernelEqualsDecomposition() {
        KernelLaw.onEachCpu(OptimizerKernel.class, device -> {
            List<Tensor> g = tensors(device, 1);
            List<Tensor> p = tensors(device, 100);
            List<Tensor> m = tensors(device, 200);
            List<Tensor> v = tensors(device, 300).stream().map(Tensor::square).toList();
            List<Tensor> p2 = copies(p);
            List<Tensor> m2 = copies(m);
            List<Tensor> v2 = copies(v);
            List<AdamWStep> steps = new ArrayList<>();
            for (int i = 0; i < p.size(); i++) {
                steps.add(AdamWStep.of(0.9, 0.95, 1e-8, 0.01, i * 0.1, 3, 0.7));
                OptimizerSteps.adamw(steps.get(i), p2.get(i), g.get(i), m2.get(i), v2.get(i));
            }
            OptimizerSteps.adamw(steps, p, g, m, v);
            for (int i = 0; i < p.size(); i++) {
                KernelLaw.assertClose("p" + i, p.get(i), p2.get(i), 1e-6);
                KernelLaw.assertClose("m" + i, m.get(i), m2.get(i), 1e-6);
                KernelLaw.assertClose("v" + i, v.get(i), v2.get(i), 1e-6);
            }
        });
    }

    @Test
    void sgdKernelEqualsDecomposition() {
        KernelLaw.onEachCpu(OptimizerKernel.class, device -> {
            List<Tensor> g = tensors(device, 1);
            List<Tensor> p = tensors(device, 100);
            List<Tensor> b = tensors(device, 200);
            List<Tensor> p2 = copies(p);
            List<Tensor> b2 = copies(b);
            List<SgdStep> steps = new ArrayList<>();
            for (int i = 0; i < p.size(); i++) {
                steps.add(new SgdStep(0.1f, 0.9f, i * 0.01f, i % 2 == 0, 0.5f));
                OptimizerSteps.sgd(steps.get(i), p2.get(i), g.get(i), b2.get(i));
            }
            OptimizerSteps.sgd(steps, p, g, b);
            for (int i = 0; i < p.size(); i++) {
                KernelLaw.assertClose("p" + i, p.get(i), p2.get(i), 1e-6);
                KernelLaw.assertClose("b" + i, b.get(i), b2.get(i), 1e-6);
            }
        });
    }

    @Test
    void normEqualsDecompositionForEveryLayoutAndDtype() {
        KernelLaw.onEachCpu(OptimizerKernel.class, device -> {
            List<Tensor> mixed = List.of(KernelLaw.uniform(device, 1, 5, 7), KernelLaw.uniform(device, 2, 5, 7).transpose(0, 1),
                KernelLaw.uniform(device, 3, 1, 7).broadcastTo(Shape.of(4, 7)), KernelLaw.uniform(device, 4, 9).cast(DType.F64));
            double sum = 0;
            for (Tensor t : mixed) {
                sum += OptimizerSteps.sumSquares(t);
            }
            assertThat(OptimizerSteps.norm(mixed)).isEqualTo(Math.sqrt(sum), within(1e-9));
        });
    }

    @Test
    void tensorsThatTheKernelRefusesAreUpdatedAllTheSame() {
        KernelLaw.onEachCpu(OptimizerKernel.class, device -> {
            Tensor p = KernelLaw.uniform(device, 1, 5).cast(DType.F64);
            Tensor q = p.mul(1);
            Tensor g = KernelLaw.uniform(device, 2, 5).cast(DType.F64);
            Tensor b = Tensor.zeros(device, DType.F64, 5);
            OptimizerSteps.sgd(List.of(new SgdStep(0.5f, 0, 0, false, 1)), List.of(p), List.of(g), List.of(b));
            KernelLaw.assertClose("p", p, q.sub(g.mul(0.5)), 1e-12);
        });
    }

    /** A gradient of 0 is no step, although AdamW's eps is 0 in F16; and moments of another type than the parameter are its own. */
    @Test
    void narrowTensorsAreComputedInF32() {
        KernelLaw.onEachCpu(OptimizerKernel.class, device -> {
            for (DType dtype : List.of(DType.F16, DType.BF16)) {
                for (DType moments : List.of(dtype, DType.F32)) {
                    Tensor p = KernelLaw.uniform(device, 1, 5).cast(dtype);
                    Tensor g = Tensor.of(device, new float[] {0, 1e-4f, -1e-4f, 1, 0}).cast(dtype);
                    Tensor expected = p.cast(DType.F32).sub(g.cast(DType.F32).compare(CompareOp.NE, 0).cast(DType.F32)
                            .mul(Tensor.of(device, new float[] {0, 0.125f, -0.125f, 0.125f, 0})));
                    Tensor m = Tensor.zeros(device, moments, 5);
                    Tensor v = Tensor.zeros(device, moments, 5);
                    AdamWStep step = AdamWStep.of(0.9, 0.95, 1e-8, 0.125, 0, 1, 1);
                    OptimizerSteps.adamw(List.of(step), List.of(p), List.of(g), List.of(m), List.of(v));
                    KernelLaw.assertClose(dtype + " with " + moments, p.cast(DType.F32), expected, dtype == DType.F16 ? 1e-3 : 8e-3);
                    assertThat(m.dtype()).isEqualTo(moments);
                }
            }
        });
    }
}
