package dev.sequent.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.kernel.KernelTable;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.attention.TokenAttentionKernel;
import dev.sequent.transformer.cache.KvCache;
import dev.sequent.type.CapacityException;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A token's attention in one call against the separate operations, which a chunk of one token goes through. */
class TokenAttentionTest {
    private static final int WIDTH = 24;
    private static final int BATCH = 3;
    private static final int CAPACITY = 40;

    private static AttentionConfig config(int heads, int groups, int width, double theta, double partial, boolean more, int window) {
        return new AttentionConfig(heads, groups, width, theta, partial, more, more, 1e-6, window, 0, 0.5);
    }

    private static Tensor random(Device device, int seed, int time) {
        return new Rng(seed).uniform(device, DType.F32, -1.0, 1.0, BATCH, time, WIDTH);
    }

    @ParameterizedTest
    @CsvSource({"4, 1, 8, 10000, 1, false, 0", "4, 2, 8, 10000, 0.5, true, 5", "2, 2, 34, 100, 1, false, 1", "3, 1, 17, 0, 1, true, 0",
        "6, 2, 100, 1e6, 0.3, false, 7"})
    void oneCallGivesTheBitsOfSeparateOperations(int heads, int groups, int width, double theta, double partial, boolean more, int window) {
        for (String vector : new String[] {"auto", "off"}) {
            try (Device device = Device.open("cpu", Map.of("poison", "true", "vector", vector)); Scope _ = Scope.open();
                    CausalSelfAttention layer = config(heads, groups, width, theta, partial, more, window).create(WIDTH, 1,
                            new Init(device, 1));
                    KvCache together = layer.newState(new StateSpec(BATCH, CAPACITY, DType.F32, device));
                    KvCache apart = layer.newState(new StateSpec(BATCH, CAPACITY, DType.F32, device))) {
                assertThat(KernelTable.of(device).find(TokenAttentionKernel.class,
                        k -> k.refusal(random(device, 0, 1), DType.F32, width))).isPresent();
                // what a rewound cache still holds must not be read
                Tensor stale = Tensor.full(device, DType.F32, Double.NaN, BATCH, CAPACITY, WIDTH);
                layer.prefill(stale, together);
                together.rewind(CAPACITY);
                Tensor prompt = random(device, 2, 3);
                layer.prefill(prompt, together);
                layer.prefill(prompt, apart);
                for (int t = 3; t < CAPACITY; t++) {
                    Tensor x = random(device, t, 1);
                    float[] expected = layer.prefill(x, SequenceInfo.of(x), apart).toFloats();
                    assertThat(layer.step(x, together).toFloats()).as("vector " + vector + ", token " + t).containsExactly(expected);
                }
                assertThat(together.keys().toFloats()).containsExactly(apart.keys().toFloats());
                assertThat(together.values().toFloats()).containsExactly(apart.values().toFloats());
                assertThat(together.position()).isEqualTo(apart.position());
                assertThatThrownBy(() -> layer.step(random(device, 1, 1), together)).isInstanceOf(CapacityException.class);
                assertThat(together.length()).isEqualTo(CAPACITY);
            }
        }
    }

    /** Rows behind padding, and a token whose derivative is wanted, take the separate operations. */
    @ParameterizedTest
    @CsvSource({"4, 2"})
    void unevenRowsAndDerivativesTakeTheSeparateOperations(int heads, int groups) {
        try (Device device = Device.open("cpu", Map.of("poison", "true")); Scope _ = Scope.open();
                CausalSelfAttention layer = config(heads, groups, 6, 10_000, 1, false, 0).create(WIDTH, 1, new Init(device, 1));
                KvCache state = layer.newState(new StateSpec(BATCH, CAPACITY, DType.F32, device));
                KvCache other = layer.newState(new StateSpec(BATCH, CAPACITY, DType.F32, device))) {
            Tensor prompt = random(device, 2, 3);
            SequenceInfo info = SequenceInfo.of(prompt).withLeftPadding(new int[] {3, 1, 2});
            layer.prefill(prompt, info, state);
            layer.prefill(prompt, info, other);
            assertThat(state.isEven()).isFalse();
            assertThatThrownBy(() -> state.append((keys, _, _) -> keys)).isInstanceOf(ShapeException.class)
                    .hasMessageContaining("[0, 2, 1]");
            Tensor x = random(device, 3, 1);
            assertThat(layer.step(x, state).toFloats()).containsExactly(layer.prefill(x, SequenceInfo.of(x), other).toFloats());
            Gradients whole = Autograd.valueAndGrad(layer.parameters(), () -> layer.forward(x, SequenceInfo.of(x)).square().sum());
            try (KvCache fresh = layer.newState(new StateSpec(BATCH, 2, DType.F32, device))) {
                Gradients step = Autograd.valueAndGrad(layer.parameters(), () -> layer.step(x, fresh).square().sum());
                // what is in the cache has no derivative, the output projection has
                Parameter output = layer.namedParameters().get("o_proj.weight");
                assertThat(step.of(output).toFloats()).containsExactly(whole.of(output).toFloats());
                assertThat(step.of(output).abs().max().item()).isPositive();
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"BF16, F32, 8", "F32, BF16, 8", "F32, F32, 1025"})
    void otherOperandsAreRefused(DType x, DType cache, int width) {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Optional<TokenAttentionKernel> kernel = KernelTable.of(device).find(TokenAttentionKernel.class,
                    k -> k.refusal(Tensor.zeros(device, x, 1, 1, 8), cache, width));
            assertThat(kernel).isEmpty();
        }
    }
}
