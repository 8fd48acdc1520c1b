package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.autograd.Autograd;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.mixer.Mixers;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.model.ModelState;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.testkit.CountedProducts;
import dev.sequent.type.DType;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The cost model's matrix products are those that are really computed. */
class CostTest {
    private static final int VOCABULARY = 11;
    private static final int WIDTH = 24;
    private static final int BATCH = 2;
    private static final int HEADS = 3;

    private static LanguageModelConfig config(String mixer) {
        Map<String, Object> options = mixer.equals("attention") ? Map.of("num_attention_heads", HEADS, "num_key_value_heads", 1) : Map.of();
        LayerSpec layer = new LayerSpec(Mixers.parse(mixer, options), mixer.equals("attention") ? MlpConfig.gated(40) : null);
        return LanguageModelConfig.of(VOCABULARY, WIDTH, List.of(layer, layer));
    }

    /** Products of the attention matrix: the formula counts the pairs that are seen, the tensor operations the whole square. */
    private static double square(String mixer, long time, long seen) {
        return mixer.equals("attention") ? 2 * 4.0 * WIDTH * BATCH * (time * (double) seen
                - (time * (seen - time) + time * (time + 1) / 2.0)) : 0;
    }

    @ParameterizedTest
    @CsvSource({"mamba, 7", "mamba, 1", "attention, 7", "attention, 1"})
    void productsOfAForwardAndABackwardPass(String mixer, int time) {
        try (CountedProducts counted = new CountedProducts(Device.open("reference")); Scope _ = Scope.open();
                LanguageModel model = new LanguageModel(config(mixer), new Init(counted.device(), DType.F64, new Rng(1)))) {
            var ids = model.ids(new int[BATCH * time], BATCH, time);
            SequenceInfo info = SequenceInfo.of(BATCH, time);
            counted.reset();
            Autograd.noGrad(() -> model.forward(ids, info));
            double forward = model.work(Workload.forward(BATCH, time, DType.F64)).matmulFlops();
            assertThat(counted.flops() - square(mixer, time, time)).isCloseTo(forward, within(1e-6));
            counted.reset();
            Autograd.valueAndGrad(model.parameters(), () -> model.forward(ids, info).sum());
            double backward = model.work(Workload.backward(BATCH, time, DType.F64)).matmulFlops();
            // the formula recomputes the scores backward, as a kernel does; the tape keeps them
            double kept = mixer.equals("attention") ? 2 * 2.0 * WIDTH * BATCH * time * (time + 1) / 2 : 0;
            assertThat(counted.flops() - 3 * square(mixer, time, time)).isCloseTo(forward + backward - kept, within(1e-6));
        }
    }

    @ParameterizedTest
    @CsvSource({"mamba, 5", "attention, 5", "attention, 1"})
    void productsOfAStep(String mixer, int context) {
        try (CountedProducts counted = new CountedProducts(Device.open("reference")); Scope _ = Scope.open();
                LanguageModel model = new LanguageModel(config(mixer), new Init(counted.device(), DType.F64, new Rng(1)));
                ModelState state = model.newState(new StateSpec(BATCH, 16, DType.F64, counted.device()))) {
            Autograd.noGrad(() -> model.prefill(model.ids(new int[BATCH * context], BATCH, context), SequenceInfo.of(BATCH, context),
                    state));
            counted.reset();
            Autograd.noGrad(() -> model.step(model.ids(new int[BATCH], BATCH, 1), state));
            assertThat((double) counted.flops()).isCloseTo(model.work(Workload.decode(BATCH, context, DType.F64)).matmulFlops(),
                    within(1e-6));
        }
    }

    @Test
    void costGrowsAsItShould() {
        try (Device device = Device.open("cpu")) {
            try (LanguageModel mamba = new LanguageModel(config("mamba"), new Init(device, 1));
                    LanguageModel attention = new LanguageModel(config("attention"), new Init(device, 1))) {
                assertThat(ratio(mamba, 1 << 16)).isCloseTo(2, within(1e-3));
                assertThat(ratio(attention, 1 << 16)).isCloseTo(4, within(0.05));
                Work near = mamba.work(Workload.decode(1, 1000, DType.F32));
                assertThat(mamba.work(Workload.decode(1, 1_000_000, DType.F32))).isEqualTo(near);
                assertThat(attention.work(Workload.decode(1, 1_000_000, DType.F32)).bytes()).isGreaterThan(1e8);
            }
        }
    }

    private static double ratio(LanguageModel model, long time) {
        return model.work(Workload.forward(1, 2 * time, DType.F32)).flops() / model.work(Workload.forward(1, time, DType.F32)).flops();
    }
}
