package dev.sequent.ssm.mamba2;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.mixer.StateSpec;
import dev.sequent.mixer.RecurrentState;
import dev.sequent.io.Json;
import dev.sequent.mixer.Mixers;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class Mamba2Test {
    private static final Mamba2Config OTHER =
            new Mamba2Config(8, 6, 3, 2, 3, 7, 1, 18, 1e-2, 1, 1e-4, new Mamba2Config.Limit(0.01, 2), true, false, 1e-6, true,
            false, false);

    @Test
    void parametersHaveCheckpointNamesAndShapes() {
        Mamba2Config config = Mamba2Config.defaults().withStates(16).withHeads(8, 2);
        try (Device device = Device.open("cpu"); Mamba2 mixer = config.create(40, 1, new Init(device, 1))) {
            StringBuilder all = new StringBuilder();
            mixer.namedParameters().forEach((name, p) ->
                    all.append(name).append(p.value().shape()).append(p.has(Parameter.Flag.NO_DECAY) ? " no decay" : "")
                    .append(p.has(Parameter.Flag.KEEP_F32) ? ", F32; " : "; "));
            assertThat(all.toString()).isEqualTo("dt_bias(10) no decay, F32; A_log(10) no decay, F32; D(10) no decay, F32; "
                    + "in_proj.weight(234, 40); conv1d.weight(144, 1, 4); conv1d.bias(144) no decay; norm.weight(80) no decay; "
                    + "out_proj.weight(40, 80); ");
        }
    }

    @Test
    void initialValuesAreThoseOfTheReferenceImplementation() {
        Mamba2Config config = Mamba2Config.defaults().withStates(16).withHeads(1, 1);
        try (Device device = Device.open("reference"); Scope _ = Scope.open();
                Mamba2 mixer = config.create(64, 4, new Init(device, DType.F64, new Rng(1)))) {
            Map<String, Parameter> p = mixer.namedParameters();
            double[] a = p.get("A_log").value().exp().toDoubles();
            assertThat(Arrays.stream(a)).allMatch(x -> x >= 1 && x <= 16);
            assertThat(Arrays.stream(a).average().orElseThrow()).isBetween(7.0, 10.0);
            assertThat(p.get("D").value().toDoubles()).containsOnly(1);
            assertThat(p.get("norm.weight").value().toDoubles()).containsOnly(1);
            double[] steps = p.get("dt_bias").value().softplus().toDoubles();
            assertThat(Arrays.stream(steps)).allMatch(s -> s >= 1e-3 - 1e-12 && s <= 1e-1 + 1e-12);
            assertThat(largest(p.get("out_proj.weight"))).isBetween(0.45 / Math.sqrt(128), 0.5 / Math.sqrt(128));
            assertThat(largest(p.get("in_proj.weight"))).isBetween(0.95 / 8, 1.0 / 8);
            assertThat(largest(p.get("conv1d.weight"))).isBetween(0.45, 0.5);
        }
    }

    private static double largest(Parameter p) {
        return Arrays.stream(p.value().toDoubles()).map(Math::abs).max().orElseThrow();
    }

    @Test
    void configurationRoundTripsThroughItsMapAndJson() {
        for (Mamba2Config config : List.of(OTHER, Mamba2Config.defaults())) {
            assertThat(Mixers.parse("mamba2", config.toMap())).isEqualTo(config);
            Map<?, ?> read = (Map<?, ?>) Json.ofJava(config.toMap()).toJava();
            assertThat(Mamba2Config.parse(Map.copyOf(cast(read)))).isEqualTo(config);
        }
        assertThat(Mixers.parse("mamba2", Map.of())).isEqualTo(Mamba2Config.defaults());
        assertThat(Mamba2Config.defaults().heads(256)).isEqualTo(8);
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> cast(Map<?, ?> map) {
        return (Map<String, Object>) map;
    }

    @Test
    void badConfigurationsAreTypedErrors() {
        for (Map<String, Object> bad : List.<Map<String, Object>>of(
                Map.of("d_state", 16), Map.of("state_size", 0), Map.of("conv_kernel", 1), Map.of("head_dim", 0),
                Map.of("n_groups", 0), Map.of("chunk_size", 0), Map.of("time_step_min", -1), Map.of("time_step_max", Double.NaN),
                Map.of("time_step_limit", List.of(1, 0.5)), Map.of("time_step_limit", List.of(-1, 5)), Map.of("time_step_limit", 3),
                Map.of("time_step_limit", List.of(Double.NaN, 5)), Map.of("layer_norm_epsilon", Double.NaN))) {
            assertThatThrownBy(() -> Mixers.parse("mamba2", bad)).as(bad.toString()).isInstanceOf(ConfigException.class);
        }
        assertThatThrownBy(() -> Mamba2Config.defaults().heads(40)).isInstanceOf(ConfigException.class)
                .hasMessageContaining("num_heads * head_dim = 80");
        assertThatThrownBy(() -> Mamba2Config.parse(Map.of("expand", 1 << 30)).inner(64)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> OTHER.withHeads(3, 4).heads(18)).isInstanceOf(ConfigException.class).hasMessageContaining("n_groups");
        assertThatThrownBy(() -> Mamba2Config.parse(Map.of("num_heads", 5)).heads(64)).isInstanceOf(ConfigException.class);
    }

    @Test
    void stepSizesAreLimitedInEveryForm() {
        Mamba2Config free = Mamba2Config.defaults().withStates(4).withHeads(4, 1);
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            Tensor x = new Rng(2).uniform(device, DType.F64, -1.0, 1.0, 1, 1, 8);
            Map<String, Object> map = free.toMap();
            map.put("time_step_limit", List.of(0.05, 0.05 + 1e-12));
            Init init = new Init(device, DType.F64, new Rng(1));
            try (Mamba2 mixer = Mamba2Config.parse(map).create(8, 1, init)) {
                // with all steps equal, twice the bias of the step size changes nothing
                double[] before = mixer.advance(x, zeros(device)).y().toDoubles();
                Parameter bias = mixer.namedParameters().get("dt_bias");
                bias.set(bias.value().mul(2));
                assertThat(mixer.advance(x, zeros(device)).y().toDoubles()).containsExactly(before, within(1e-9));
                assertThat(mixer.forward(x, SequenceInfo.of(x)).toDoubles()).containsExactly(before, within(1e-9));
            }
        }
    }

    private static List<Tensor> zeros(Device device) {
        return List.of(Tensor.zeros(device, DType.F64, 1, 3, 24), Tensor.zeros(device, DType.F64, 1, 4, 4, 4));
    }

    @Test
    void normsPerGroupAndOfAllGroupsDiffer() {
        Mamba2Config grouped = Mamba2Config.defaults().withStates(4).withHeads(4, 2);
        Map<String, Object> map = grouped.toMap();
        map.put("norm_per_group", false);
        try (Device device = Device.open("reference"); Scope _ = Scope.open();
                Mamba2 a = grouped.create(8, 1, new Init(device, DType.F64, new Rng(1)));
                Mamba2 b = Mamba2Config.parse(map).create(8, 1, new Init(device, DType.F64, new Rng(1)))) {
            Tensor x = new Rng(2).uniform(device, DType.F64, -1.0, 1.0, 1, 5, 8);
            assertThat(a.forward(x, SequenceInfo.of(x)).sub(b.forward(x, SequenceInfo.of(x))).abs().max().item()).isGreaterThan(1e-3);
        }
    }

    @Test
    void bfloat16ModelsKeepTheStateWide() {
        Mamba2Config config = Mamba2Config.defaults().withStates(4).withHeads(4, 2);
        try (Device device = Device.open("cpu"); Scope _ = Scope.open();
                Mamba2 narrow = config.create(16, 1, new Init(device, DType.BF16, new Rng(1)));
                Mamba2 wide = config.create(16, 1, new Init(device, DType.F32, new Rng(1)))) {
            Tensor x = new Rng(2).uniform(device, DType.BF16, -1.0, 1.0, 2, 9, 16);
            var carried = narrow.scan(x, SequenceInfo.of(x), null);
            assertThat(carried.y().dtype()).isEqualTo(DType.BF16);
            assertThat(carried.state().get(1).dtype()).isEqualTo(DType.F32);
            assertThat(narrow.namedParameters().get("A_log").value().dtype()).isEqualTo(DType.F32);
            double[] expected = wide.forward(x.cast(DType.F32), SequenceInfo.of(x)).toDoubles();
            double[] actual = carried.y().toDoubles();
            for (int i = 0; i < expected.length; i++) {
                assertThat(actual[i]).isCloseTo(expected[i], within(0.03));
            }
        }
    }

    @Test
    void stepsInBf16EqualTheForwardPassUpToItsRounding() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open();
                Mamba2 mixer = Mamba2Config.parse(Map.of("num_heads", 4, "head_dim", 16, "state_size", 24, "n_groups", 2))
                        .create(32, 1, new Init(device, DType.BF16, new Rng(1)));
                RecurrentState state = mixer.newState(new StateSpec(2, 9, DType.BF16, device))) {
            Tensor x = new Rng(2).uniform(device, DType.F32, -1.0, 1.0, 2, 9, 32).cast(DType.BF16);
            float[] all = mixer.forward(x, SequenceInfo.of(x)).transpose(0, 1).toFloats();
            for (int t = 0; t < 9; t++) {
                float[] y = mixer.step(x.slice(1, t, t + 1), state).toFloats();
                for (int i = 0; i < y.length; i++) {
                    assertThat(y[i]).isCloseTo(all[t * y.length + i], within(0.02f));
                }
            }
            assertThat(state.position()).isEqualTo(9);
        }
    }
}
