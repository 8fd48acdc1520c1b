package dev.sequent.transformer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.mixer.Mixers;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.cache.KvCache;
import dev.sequent.type.CapacityException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What the laws of mixers do not cover. */
class CausalSelfAttentionTest {
    private static final int WIDTH = 12;

    private interface Body {
        void run(Device device);
    }

    private static void onCpu(Body body) {
        try (Device device = Device.open("cpu", Map.of("poison", "true")); Scope _ = Scope.open()) {
            body.run(device);
        }
    }

    @Test
    void parametersCarryTheNamesOfCheckpoints() {
        onCpu(device -> {
            AttentionConfig config = new AttentionConfig(3, 1, 0, 10_000, 1, true, true, 1e-6, 0, 0, 0.02);
            try (CausalSelfAttention layer = config.create(WIDTH, 1, new Init(device, 1))) {
                assertThat(layer.namedParameters().keySet()).containsExactly("q_proj.weight", "q_proj.bias", "k_proj.weight",
                        "k_proj.bias", "v_proj.weight", "v_proj.bias", "o_proj.weight", "o_proj.bias", "q_norm.weight", "k_norm.weight");
                assertThat(layer.namedParameters().get("k_proj.weight").value().shape().toArray()).containsExactly(4, WIDTH);
            }
        });
    }

    @Test
    void configurationsSurviveTheirMap() {
        AttentionConfig config = new AttentionConfig(6, 2, 16, 5e5, 0.5, true, true, 1e-5, 128, 0.1, 0.01);
        assertThat(Mixers.parse("attention", config.toMap())).isEqualTo(config);
        assertThat(Mixers.parse("attention", Map.of("num_attention_heads", 8))).isEqualTo(AttentionConfig.of(8));
    }

    @Test
    void badConfigurationsAreErrors() {
        assertThatThrownBy(() -> Mixers.parse("attention", Map.of("heads", 8))).isInstanceOf(ConfigException.class)
                .hasMessageContaining("heads");
        assertThatThrownBy(() -> AttentionConfig.of(4).withKeyValueHeads(3)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> AttentionConfig.of(0)).isInstanceOf(ConfigException.class);
        onCpu(device -> assertThatThrownBy(() -> AttentionConfig.of(5).create(WIDTH, 1, new Init(device, 1)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("12"));
        onCpu(device -> assertThatThrownBy(() -> AttentionConfig.of(4).create(WIDTH, 1, new Init(device, 1)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("even"));
    }

    @Test
    void aFullCacheRefusesFurtherTokensAndStaysAsItWas() {
        onCpu(device -> {
            try (CausalSelfAttention layer = AttentionConfig.of(2).create(WIDTH, 1, new Init(device, 1));
                    KvCache state = layer.newState(new StateSpec(2, 5, DType.F32, device))) {
                Tensor x = new Rng(1).uniform(device, DType.F32, -1.0, 1.0, 2, 5, WIDTH);
                layer.prefill(x.slice(1, 0, 4), state);
                assertThatThrownBy(() -> layer.prefill(x.slice(1, 0, 2), state)).isInstanceOf(CapacityException.class)
                        .hasMessageContaining("5");
                assertThat(state.length()).isEqualTo(4);
                float[] last = layer.step(x.slice(1, 4, 5), state).toFloats();
                assertThat(last).usingComparatorWithPrecision(1e-5f).containsExactly(layer.forward(x, SequenceInfo.of(x)).slice(1, 4, 5)
                        .toFloats());
                assertThatThrownBy(() -> layer.step(x.slice(1, 0, 1), state)).isInstanceOf(CapacityException.class);
            }
        });
    }

    @Test
    void wrongShapesAreErrors() {
        onCpu(device -> {
            try (CausalSelfAttention layer = AttentionConfig.of(2).create(WIDTH, 1, new Init(device, 1));
                    KvCache state = layer.newState(new StateSpec(2, 5, DType.F32, device))) {
                Tensor wide = Tensor.zeros(device, DType.F32, 2, 3, WIDTH + 1);
                assertThatThrownBy(() -> layer.forward(wide, SequenceInfo.of(wide))).isInstanceOf(ShapeException.class);
                Tensor rows = Tensor.zeros(device, DType.F32, 3, 2, WIDTH);
                assertThatThrownBy(() -> layer.prefill(rows, state)).isInstanceOf(ShapeException.class);
                Tensor x = Tensor.zeros(device, DType.F32, 2, 4, WIDTH);
                SequenceInfo packed = SequenceInfo.of(x).withDocuments(new int[] {0, 0, 1, 1, 0, 0, 0, 0});
                assertThatThrownBy(() -> layer.prefill(x, packed, state)).isInstanceOf(ShapeException.class)
                        .hasMessageContaining("document");
            }
        });
    }

    /** Rows of different lengths, padded on either side, chunk after chunk. */
    @Test
    void unequalRowsContinueAsIfAlone() {
        onCpu(device -> {
            AttentionConfig config = new AttentionConfig(2, 1, 0, 10_000, 1, true, false, 1e-6, 6, 0, 0.3);
            try (CausalSelfAttention layer = config.create(WIDTH, 1, new Init(device, 1))) {
                Tensor x = new Rng(2).uniform(device, DType.F32, -1.0, 1.0, 3, 12, WIDTH);
                int[][][] lengths = {{{4, 2, 0}, {3, 4, 4}, {1, 1, 1}}, {{2, 4, 3}, {4, 0, 1}, {1, 1, 1}, {2, 1, 2}}};
                for (int[][] chunks : lengths) {
                    for (boolean left : new boolean[] {true, false}) {
                        compareChunks(layer, device, x, chunks, left);
                    }
                }
            }
        });
    }

    private static void compareChunks(CausalSelfAttention layer, Device device, Tensor x, int[][] chunks, boolean left) {
        int[] done = new int[3];
        try (KvCache state = layer.newState(new StateSpec(3, 20, DType.F32, device))) {
            for (int[] lengths : chunks) {
                int time = java.util.Arrays.stream(lengths).max().orElseThrow();
                Tensor[] rows = new Tensor[3];
                for (int b = 0; b < 3; b++) {
                    Tensor tokens = x.slice(0, b, b + 1).slice(1, done[b], done[b] + lengths[b]);
                    int pad = time - lengths[b];
                    rows[b] = lengths[b] == 0 ? Tensor.full(device, DType.F32, 9, 1, time, WIDTH)
                            : tokens.pad(1, left ? pad : 0, left ? 0 : pad, 9);
                }
                Tensor chunk = Tensor.concat(0, rows);
                SequenceInfo info = left ? SequenceInfo.of(chunk).withLeftPadding(lengths)
                        : SequenceInfo.of(chunk).withRightPadding(lengths);
                Tensor y = layer.prefill(chunk, info, state);
                for (int b = 0; b < 3; b++) {
                    done[b] += lengths[b];
                    if (lengths[b] > 0) {
                        Tensor all = x.slice(0, b, b + 1).slice(1, 0, done[b]);
                        Tensor expected = layer.forward(all, SequenceInfo.of(all)).slice(1, done[b] - lengths[b], done[b]);
                        int from = left ? time - lengths[b] : 0;
                        float[] actual = y.slice(0, b, b + 1).slice(1, from, from + lengths[b]).toFloats();
                        assertThat(actual).usingComparatorWithPrecision(1e-5f).containsExactly(expected.toFloats());
                    }
                }
            }
            assertThat(state.tokens()).isEqualTo(done);
        }
    }

    @Test
    void droppedWeightsArePartOfTrainingOnly() {
        onCpu(device -> {
            AttentionConfig config = new AttentionConfig(2, 2, 0, 10_000, 1, false, false, 1e-6, 0, 0.5, 0.3);
            try (CausalSelfAttention layer = config.create(WIDTH, 1, new Init(device, 1))) {
                Tensor x = new Rng(2).uniform(device, DType.F32, -1.0, 1.0, 2, 9, WIDTH);
                SequenceInfo info = SequenceInfo.of(x);
                float[] plain = layer.forward(x, info).toFloats();
                assertThat(layer.forward(x, info).toFloats()).isEqualTo(plain);
                assertThat(layer.forward(x, info.withDropout(new Rng(5))).toFloats()).isNotEqualTo(plain);
                assertThat(layer.forward(x, info.withDropout(new Rng(5))).toFloats())
                        .isEqualTo(layer.forward(x, info.withDropout(new Rng(5))).toFloats());
            }
        });
    }

    @Test
    void aTrainingStepLeavesNoTensorsBehind() {
        onCpu(device -> {
            try (CausalSelfAttention layer = AttentionConfig.of(2).create(WIDTH, 1, new Init(device, 1))) {
                long[] live = new long[3];
                for (int i = 0; i < live.length; i++) {
                    try (Scope _ = Scope.open()) {
                        Tensor x = new Rng(i).uniform(device, DType.F32, -1.0, 1.0, 2, 70, WIDTH);
                        Autograd.valueAndGrad(List.copyOf(layer.parameters()), () -> layer.forward(x, SequenceInfo.of(x)).square().sum());
                    }
                    live[i] = device.memory().liveHandles();
                }
                assertThat(live[2]).isEqualTo(live[1]).isEqualTo(live[0]);
            }
        });
    }
}
