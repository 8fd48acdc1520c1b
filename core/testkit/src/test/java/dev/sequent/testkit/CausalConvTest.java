package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.conv.CausalConv;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The causal convolution: its decomposition against difference quotients, and the CPU's kernel against the decomposition. */
class CausalConvTest {
    private static byte[] flags(int size, long seed) {
        Random random = new Random(seed);
        byte[] flags = new byte[size];
        for (int i = 0; i < size; i++) {
            flags[i] = (byte) (random.nextInt(5) == 0 ? 1 + random.nextInt(3) : 0);
        }
        // more padding at a stretch than a task has tokens, inside and at the end
        for (int i = 60; i < 200 && i < size / 2; i++) {
            flags[i] = CausalConv.SKIP;
            flags[size - 1 - i + 60] = CausalConv.SKIP;
        }
        return flags;
    }

    private static Tensor random(Device device, DType dtype, long seed, long... shape) {
        return new Rng(seed).uniform(device, dtype, -1.5, 1.5, shape);
    }

    @Test
    void derivativesEqualDifferences() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            for (byte[] flags : new byte[][] {null, flags(10, 1)}) {
                GradientCheck.check("convolution", in -> {
                    CausalConv.Result r = CausalConv.apply(in.get(0), in.get(1), in.get(2), true, in.get(3), flags);
                    return Tensor.concat(1, r.y(), r.finalState());
                }, 1e-7, random(device, DType.F64, 1, 2, 5, 3), random(device, DType.F64, 2, 3, 1, 4), random(device, DType.F64, 3, 3),
                        random(device, DType.F64, 4, 2, 3, 3));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,1,2,true,false", "2,3,17,4,true,true", "1,70,128,4,true,false", "2,70,128,3,false,true", "1,100,200,4,true,true",
            "3,33,63,2,true,false", "1,64,5,4,true,false", "2,65,130,4,true,true", "1,66,17,5,true,false", "1,500,3,7,true,true",
            "1,300,1,40,true,false", "1,333,1,70,false,true"})
    void kernelAgreesWithDecomposition(int batch, int time, int channels, int taps, boolean silu, boolean flagged) {
        byte[] flags = flagged ? flags(batch * time, time) : null;
        List<double[]> expected = run("reference", Map.of(), DType.F64, batch, time, channels, taps, silu, flags);
        List<double[]> actual = run("cpu", Map.of("poison", "true", "threads", "2"), DType.F32, batch, time, channels, taps, silu, flags);
        for (int i = 0; i < expected.size(); i++) {
            MixerLaws.closeValues("result " + i, actual.get(i), expected.get(i), 2e-6);
        }
    }

    private static List<double[]> run(String backend, Map<String, String> options, DType dtype, int batch, int time, int channels,
            int taps, boolean silu, byte[] flags) {
        List<double[]> results = new ArrayList<>();
        try (Device device = Device.open(backend, options)) {
            try (Scope _ = Scope.open()) {
                // a slice of a wider tensor, as a projection's half is
                Tensor x = random(device, DType.F32, 1, batch, time, channels + 3).cast(dtype).slice(2, 2, channels + 2);
                List<Variable> in = new ArrayList<>(List.of(Variable.of(x)));
                long[][] shapes = {{channels, 1, taps}, {channels}, {batch, taps - 1, channels}};
                for (long[] shape : shapes) {
                    in.add(Variable.of(random(device, DType.F32, in.size() + 1, shape).cast(dtype)));
                }
                List<Tensor> weights = List.of(random(device, DType.F32, 7, batch, time, channels).cast(dtype),
                        random(device, DType.F32, 8, batch, taps - 1, channels).cast(dtype));
                Autograd.Pullback p = Autograd.vjp(in, () -> {
                    CausalConv.Result r = CausalConv.apply(in.get(0).value(), in.get(1).value(), in.get(2).value(), silu,
                            in.get(3).value(), flags);
                    return List.of(r.y(), r.finalState());
                }, weights);
                p.outputs().forEach(t -> results.add(t.toDoubles()));
                in.forEach(v -> results.add(p.gradients().get(v).toDoubles()));
            }
            assertThat(device.memory().liveHandles()).isZero();
        }
        return results;
    }

    @Test
    void unsuitableOperandsAreRefused() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            Tensor x = random(device, DType.F64, 1, 2, 5, 3);
            assertThatThrownBy(() -> CausalConv.apply(x, random(device, DType.F64, 1, 4, 1, 4), null, true, null, null))
                    .isInstanceOf(ShapeException.class);
            assertThatThrownBy(() -> CausalConv.apply(x, random(device, DType.F64, 1, 3, 1, 1), null, true, null, null))
                    .isInstanceOf(ShapeException.class);
            assertThatThrownBy(() -> CausalConv.apply(x, random(device, DType.F64, 1, 3, 1, 4), null, true, null, new byte[9]))
                    .isInstanceOf(ShapeException.class);
            assertThatThrownBy(() -> CausalConv.apply(x, random(device, DType.F32, 1, 3, 1, 4), null, true, null, null))
                    .isInstanceOf(DTypeException.class);
        }
    }
}
