package dev.sequent.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.fused.conv.CausalConv;
import dev.sequent.fused.conv.CausalConvKernel;
import dev.sequent.fused.embedding.EmbeddingKernel;
import dev.sequent.fused.embedding.Lookup;
import dev.sequent.fused.glu.Swiglu;
import dev.sequent.fused.glu.SwigluKernel;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.fused.loss.CrossEntropyKernel;
import dev.sequent.fused.norm.NormKernel;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.fused.optim.AdamWStep;
import dev.sequent.fused.optim.OptimizerKernel;
import dev.sequent.fused.optim.OptimizerSteps;
import dev.sequent.fused.optim.SgdStep;
import dev.sequent.fused.softmax.Softmax;
import dev.sequent.fused.softmax.SoftmaxKernel;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.cuda.DeviceKernelLaw;
import dev.sequent.testkit.cuda.Nvcc;
import dev.sequent.testkit.cuda.PlantedBugs;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The fused operations of core in device code, run on the CPU: against the decompositions, with all derivatives. */
class FusedKernelsTest {
    private static final int[] WIDTHS = {1, 3, 17, 63, 100, 300};

    private static double tolerance(DType dtype) {
        return dtype == DType.F32 ? 1e-5 : dtype == DType.F16 ? 4e-3 : 3e-2;
    }

    private static Tensor uniform(Device device, DType dtype, long seed, long... shape) {
        return DeviceKernelLaw.uniform(device, dtype, seed, shape);
    }

    private static byte[] flags(int size, long seed) {
        Random random = new Random(seed);
        byte[] flags = new byte[size];
        for (int i = 0; i < size; i++) {
            flags[i] = (byte) (random.nextInt(4) == 0 ? 1 + random.nextInt(3) : 0);
        }
        return flags;
    }

    @ParameterizedTest
    @CsvSource({"F32,1,1,1,2,true,false,true", "F32,2,3,17,4,true,true,true", "F32,1,70,130,4,true,false,false",
        "F32,2,140,3,3,false,true,true", "F32,1,131,63,4,true,true,true",
        "BF16,2,67,3,4,true,true,true"})
    void convolution(DType dtype, int batch, int time, int channels, int taps, boolean silu, boolean flagged, boolean all) {
        byte[] flags = flagged ? flags(batch * time, time) : null;
        new DeviceKernelLaw(CausalConvKernel.class, dtype, tolerance(dtype)).check("convolution " + List.of(batch, time, channels, taps),
            device -> {
            // a slice of a wider tensor, as a projection's half is
            List<Tensor> in = new ArrayList<>(List.of(uniform(device, dtype, 1, batch, time, channels + 3),
                uniform(device, dtype, 2, channels, 1, taps)));
            if (all) {
                in.addAll(List.of(uniform(device, dtype, 3, channels), uniform(device, dtype, 4, batch, taps - 1, channels)));
            }
            return in;
        }, in -> {
            CausalConv.Result r = CausalConv.apply(in.get(0).slice(2, 2, channels + 2), in.get(1), all ? in.get(2) : null, silu, all
                ? in.get(3) : null, flags);
            return List.of(r.y(), r.finalState());
        });
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void normalisation(DType dtype) {
        DeviceKernelLaw law = new DeviceKernelLaw(NormKernel.class, dtype, tolerance(dtype));
        for (int width : dtype == DType.F32 ? WIDTHS : new int[] {63}) {
            law.check("rms " + width, d -> List.of(uniform(d, dtype, 1, 2, 7, width), uniform(d, dtype, 2, width)), in ->
                List.of(Normalize.rms(in.get(0), in.get(1), 1e-3)));
            law.check("add and layer " + width, d -> List.of(uniform(d, dtype, 1, 40, width), uniform(d, dtype, 2, 40, width),
                uniform(d, dtype, 3, width), uniform(d, dtype, 4, width)),
                in -> {
                    Normalize.Added a = Normalize.addLayer(in.get(0), in.get(1), in.get(2), in.get(3), 1e-3);
                    return List.of(a.sum(), a.normalised());
                });
        }
        law.check("layer of a transposed matrix", d -> List.of(uniform(d, dtype, 1, 9, 70), uniform(d, dtype, 2, 9)),
            in -> List.of(Normalize.layer(in.get(0).transpose(0, 1), in.get(1), null, 1e-3)));
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void gatedUnit(DType dtype) {
        DeviceKernelLaw law = new DeviceKernelLaw(SwigluKernel.class, dtype, tolerance(dtype));
        law.check("pair", d -> List.of(uniform(d, dtype, 1, 3, 100), uniform(d, dtype, 2, 3, 100)), in ->
            List.of(Swiglu.apply(in.get(0), in.get(1))));
        law.check("halves", d -> List.of(uniform(d, dtype, 1, 3, 5, 34)), in ->
            List.of(Swiglu.gateFirst(in.get(0)), Swiglu.gateLast(in.get(0))));
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void softmax(DType dtype) {
        DeviceKernelLaw law = new DeviceKernelLaw(SoftmaxKernel.class, dtype, tolerance(dtype));
        for (int width : dtype == DType.F32 ? WIDTHS : new int[] {63}) {
            law.check("softmax " + width, d -> List.of(uniform(d, dtype, 1, 2, 5, width)), in -> List.of(Softmax.apply(in.get(0).mul(8))));
        }
    }

    /** Targets in [-1, vocabulary): some positions have none. */
    private static Tensor targets(Device device, DType index, int vocabulary, int... shape) {
        Random random = new Random(5);
        int size = 1;
        long[] sizes = new long[shape.length];
        for (int i = 0; i < shape.length; i++) {
            sizes[i] = shape[i];
            size *= shape[i];
        }
        int[] values = new int[size];
        for (int i = 0; i < size; i++) {
            values[i] = random.nextInt(vocabulary + 1) - 1;
        }
        return Tensor.of(device, values, sizes).cast(index);
    }

    @ParameterizedTest
    @CsvSource({"F32,I32", "F32,I64", "BF16,I64"})
    void crossEntropy(DType dtype, DType index) {
        DeviceKernelLaw law = new DeviceKernelLaw(CrossEntropyKernel.class, dtype, tolerance(dtype));
        for (int vocabulary : dtype == DType.F32 ? new int[] {1, 17, 300, 1500} : new int[] {100}) {
            law.check("losses " + vocabulary, d -> List.of(uniform(d, dtype, 1, 3, 4, vocabulary), targets(d, index, vocabulary, 3, 4)),
                in -> List.of(CrossEntropy.perPosition(in.get(0).mul(4), in.get(1))));
            law.check("mean " + vocabulary, d -> List.of(uniform(d, dtype, 1, 12, vocabulary), targets(d, index, vocabulary, 12)),
                in -> List.of(CrossEntropy.loss(in.get(0).mul(4), in.get(1)).mul(3)));
        }
    }

    @Test
    void targetsBeyondTheVocabularyAreRefused() {
        DeviceKernelLaw.onDevice(CrossEntropyKernel.class, device -> {
            Tensor logits = uniform(device, DType.F32, 1, 3, 5);
            Tensor target = Tensor.of(device, new int[] {4, -1, 5});
            assertThatThrownBy(() -> CrossEntropy.loss(logits, target)).isInstanceOf(ShapeException.class)
                .hasMessage("[cross_entropy] expected indices in [0, 5), given 5 at position 2");
            assertThatThrownBy(() -> CrossEntropy.perPosition(logits, target)).isInstanceOf(ShapeException.class);
            assertThat(CrossEntropy.loss(logits, Tensor.of(device, new int[] {-1, -1, -3})).item()).isZero();
        });
    }

    @ParameterizedTest
    @CsvSource({"F32,I32,7,3", "F32,I64,300,600", "F32,I32,1,1", "BF16,I64,50,17"})
    void lookup(DType dtype, DType index, int positions, int width) {
        new DeviceKernelLaw(EmbeddingKernel.class, dtype, tolerance(dtype)).check("look-up", d -> {
            Tensor ids = targets(d, index, 12, positions);
            return List.of(uniform(d, dtype, 1, 13, width), ids.add(1));
        }, in -> List.of(Lookup.apply(in.get(0), in.get(1))));
    }

    @Test
    void idsOutOfRangeAreRefused() {
        DeviceKernelLaw.onDevice(EmbeddingKernel.class, device -> {
            Tensor table = uniform(device, DType.F32, 1, 5, 3);
            for (int id : new int[] {5, -1}) {
                assertThatThrownBy(() -> Lookup.apply(table, Tensor.of(device, new int[] {1, id}))).isInstanceOf(ShapeException.class)
                    .hasMessage("[embedding] expected indices in [0, 5), given " + id + " at position 1");
            }
        });
    }

    /** Sizes of parameters: none, few, around a chunk, and more tensors than one launch takes. */
    private static List<Tensor> parameters(Device device, DType dtype, long seed) {
        List<Tensor> list = new ArrayList<>();
        for (int size : new int[] {1, 3, 4096, 4097, 0, 9000}) {
            list.add(uniform(device, dtype, seed + list.size(), size).add(0));
        }
        for (int i = 0; i < 60; i++) {
            list.add(uniform(device, dtype, seed + list.size(), 2, i).add(0));
        }
        return list;
    }

    private static List<double[]> optimized(Device device, DType dtype, DType store, boolean adam) {
        try (Scope _ = Scope.open()) {
            List<Tensor> p = cast(parameters(device, dtype, 1), store);
            List<Tensor> g = cast(parameters(device, dtype, 100), store);
            List<Tensor> m = cast(parameters(device, dtype, 200), store);
            List<Tensor> v = cast(parameters(device, dtype, 300).stream().map(Tensor::square).toList(), store);
            List<AdamWStep> steps = new ArrayList<>();
            List<SgdStep> descents = new ArrayList<>();
            for (int i = 0; i < p.size(); i++) {
                steps.add(AdamWStep.of(0.9, 0.95, 1e-3, 0.1 + 0.001 * i, i % 2 * 0.1, 3, 0.7));
                descents.add(new SgdStep(0.1 + 0.001 * i, 0.9, i % 2 * 0.1, i % 3 == 0, 0.7));
            }
            if (adam) {
                OptimizerSteps.adamw(steps, p, g, m, v);
            } else {
                OptimizerSteps.sgd(descents, p, g, m);
            }
            List<double[]> results = new ArrayList<>();
            for (List<Tensor> list : List.of(p, m, v)) {
                list.forEach(t -> results.add(t.toDoubles()));
            }
            results.add(new double[] {OptimizerSteps.norm(g)});
            return results;
        }
    }

    private static List<Tensor> cast(List<Tensor> list, DType dtype) {
        return list.stream().map(t -> t.cast(dtype).add(0)).toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"F32", "BF16"})
    void optimizerSteps(String name) {
        DType dtype = DType.valueOf(name);
        for (boolean adam : new boolean[] {true, false}) {
            List<double[]> expected;
            try (Device reference = Device.open("reference")) {
                expected = optimized(reference, dtype, DType.F64, adam);
            }
            DeviceKernelLaw.onDevice(OptimizerKernel.class, device -> {
                List<double[]> actual = optimized(device, dtype, dtype, adam);
                for (int i = 0; i < expected.size(); i++) {
                    DeviceKernelLaw.assertClose("tensor " + i + ", adam " + adam, actual.get(i), expected.get(i), tolerance(dtype));
                }
            });
        }
    }

    @Test
    void everyMissingBarrierIsNoticed() {
        PlantedBugs.check("norm", device -> DeviceKernelLaw.results(List.of(uniform(device, DType.F32, 1, 40, 33),
            uniform(device, DType.F32, 2, 33)),
            in -> List.of(Normalize.rms(in.get(0), in.get(1), 1e-3)), DType.F32));
        PlantedBugs.check("embedding", device -> DeviceKernelLaw.results(List.of(uniform(device, DType.F32, 1, 13, 100),
            targets(device, DType.I32, 12, 300).add(1)),
            in -> List.of(Lookup.apply(in.get(0), in.get(1))), DType.F32));
    }

    @Test
    void compilesForRealArchitectures() {
        assertThat(Nvcc.compileFused(device -> {
            for (DType dtype : List.of(DType.F32, DType.BF16)) {
                Tensor x = uniform(device, dtype, 1, 1, 1, 4);
                Tensor w = uniform(device, dtype, 2, 4);
                Tensor ids = Tensor.of(device, new int[1], 1, 1);
                CausalConv.apply(x, uniform(device, dtype, 3, 4, 1, 4), null, true, null, null);
                Normalize.rms(x, w, 1e-5);
                Swiglu.apply(x, x);
                Softmax.apply(x);
                CrossEntropy.loss(x, ids);
                CrossEntropy.loss(x, ids.cast(DType.I64));
                Lookup.apply(x.reshape(1, 4), ids);
                Lookup.apply(x.reshape(1, 4), ids.cast(DType.I64));
                OptimizerSteps.norm(List.of(x));
            }
        })).containsExactly("causal_conv", "cross_entropy", "embedding", "norm", "optimizer", "softmax", "swiglu");
    }
}
