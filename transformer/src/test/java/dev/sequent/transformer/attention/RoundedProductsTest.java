package dev.sequent.transformer.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Attention on a device whose matrix products have BF16 operands, against the same device's F32. */
class RoundedProductsTest {
    private static final double BOUND = 1.0 / 32;

    /** A device that rounds the operands of products, or the reason why there is none. */
    private static Device open(int threads) {
        try {
            return Device.open("cpu", Map.of("products", "bf16", "threads", threads + "", "poison", "true"));
        } catch (ConfigException e) {
            if (Boolean.getBoolean("sequent.requireAll")) {
                fail(e);
            }
            System.out.println("attention by BF16 products is not tested here: " + e.getMessage());
            abort(e.getMessage());
            throw e;
        }
    }

    private static float[][] valueAndGradients(Device device, DType dtype, long[] queries, long[] keys, AttentionMask mask) {
        try (Scope _ = Scope.open()) {
            Rng rng = new Rng(3);
            List<Variable> x = new ArrayList<>();
            for (long[] shape : List.of(queries, keys, keys)) {
                x.add(Variable.of(rng.uniform(device, DType.F32, -1.0, 1.0, shape).cast(DType.BF16).cast(dtype)));
            }
            Tensor cotangent = rng.uniform(device, DType.F32, -1.0, 1.0, queries).cast(DType.BF16).cast(dtype);
            float[][] results = new float[4][];
            Gradients g = Autograd.valueAndGrad(x, () -> {
                Tensor y = Attention.apply(x.get(0).value(), x.get(1).value(), x.get(2).value(), mask, 0.4);
                results[0] = y.cast(DType.F32).toFloats();
                return y.mul(cotangent).cast(DType.F32).sum();
            });
            for (int i = 0; i < 3; i++) {
                results[i + 1] = g.of(x.get(i)).cast(DType.F32).toFloats();
            }
            return results;
        }
    }

    private static void compare(String what, float[] actual, float[] expected) {
        double largest = 0;
        for (float e : expected) {
            largest = Math.max(largest, Math.abs(e));
        }
        for (int i = 0; i < expected.length; i++) {
            assertThat((double) actual[i]).as(what + ", element " + i).isBetween(expected[i] - BOUND * largest, expected[i]
                    + BOUND * largest);
        }
    }

    @Test
    void bothTypesEqualSinglePrecision() {
        try (Device exact = Device.open("cpu"); Device rounding = open(2)) {
            for (long time : new long[] {32, 100, 257, 600}) {
                long[] queries = {2, time, 4, 24};
                long[] keys = {2, time, 2, 24};
                for (AttentionMask mask : List.of(AttentionMask.CAUSAL, AttentionMask.FULL, AttentionMask.CAUSAL.withWindow(70))) {
                    float[][] expected = valueAndGradients(exact, DType.F32, queries, keys, mask);
                    float[][] single = valueAndGradients(rounding, DType.F32, queries, keys, mask);
                    float[][] narrow = valueAndGradients(exact, DType.BF16, queries, keys, mask);
                    for (int i = 0; i < expected.length; i++) {
                        compare("F32 result " + i + " at " + time + " under " + mask, single[i], expected[i]);
                        compare("BF16 result " + i + " at " + time + " under " + mask, narrow[i], expected[i]);
                    }
                    assertThat(single[0]).as("rounding").isNotEqualTo(expected[0]);
                }
            }
        }
    }

    @Test
    void resultsDoNotDependOnTheNumberOfThreads() {
        float[][] first = null;
        for (int threads : new int[] {1, 2, 3, 8, 64}) {
            try (Device device = open(threads)) {
                float[][] results = valueAndGradients(device, DType.F32, new long[] {1, 1100, 2, 40}, new long[] {1, 1100, 1, 40},
                        AttentionMask.CAUSAL);
                first = first == null ? results : first;
                assertThat(Arrays.deepEquals(results, first)).as(threads + " threads").isTrue();
            }
        }
    }

    /** The provider chooses its instructions by size: a longer sequence has the same beginning, up to the bit. */
    @Test
    void aLongerSequenceHasTheSameBeginning() {
        try (Device device = open(2); Scope _ = Scope.open()) {
            Tensor x = new Rng(5).uniform(device, DType.F32, -1.0, 1.0, 1, 700, 2, 32);
            float[] whole = Attention.apply(x, x, x, AttentionMask.CAUSAL, 0.5).toFloats();
            for (long length : new long[] {40, 64, 255, 256, 257, 511, 650}) {
                Tensor part = x.slice(1, 0, length);
                float[] beginning = Attention.apply(part, part, part, AttentionMask.CAUSAL, 0.5).toFloats();
                assertThat(beginning).as("first " + length).isEqualTo(Arrays.copyOf(whole, beginning.length));
            }
        }
    }
}
