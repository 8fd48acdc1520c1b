package dev.sequent.ssm.mamba;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.mixer.StateSpec;
import dev.sequent.mixer.RecurrentState;
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
import java.util.Map;
import org.junit.jupiter.api.Test;

class MambaTest {
    @Test
    void parametersHaveCheckpointNamesAndShapes() {
        try (Device device = Device.open("cpu"); Mamba mixer = MambaConfig.defaults().create(40, 1, new Init(device, 1))) {
            StringBuilder all = new StringBuilder();
            mixer.namedParameters().forEach((name, p) -> all.append(name).append(p.value().shape())
                    .append(p.has(Parameter.Flag.NO_DECAY) ? " no decay; " : "; "));
            assertThat(all.toString())
                    .isEqualTo("A_log(80, 16) no decay; D(80) no decay; in_proj.weight(160, 40); conv1d.weight(80, 1, 4); "
                            + "conv1d.bias(80) no decay; x_proj.weight(35, 80); dt_proj.weight(80, 3); dt_proj.bias(80) no decay; "
                            + "out_proj.weight(40, 80); ");
        }
    }

    @Test
    void normsOfSelectedValuesMakeThemIndependentOfTheirScale() {
        MambaConfig config = MambaConfig.defaults().withStates(4).withSelectNorm(1e-12);
        try (Device device = Device.open("reference"); Scope _ = Scope.open(); Mamba mixer =
                config.create(40, 1, new Init(device, DType.F64, new Rng(1)))) {
            Map<String, Parameter> p = mixer.namedParameters();
            assertThat(p.keySet()).containsSubsequence("x_proj.weight", "dt_layernorm.weight", "b_layernorm.weight", "c_layernorm.weight",
                    "dt_proj.weight");
            assertThat(p.get("dt_layernorm.weight").value().shape()).hasToString("(3)");
            assertThat(p.get("c_layernorm.weight").value().shape()).hasToString("(4)");
            assertThat(p.get("b_layernorm.weight").has(Parameter.Flag.NO_DECAY)).isTrue();
            Tensor x = new Rng(2).uniform(device, DType.F64, -1.0, 1.0, 2, 9, 40);
            double[] before = mixer.forward(x, SequenceInfo.of(x)).toDoubles();
            p.get("x_proj.weight").set(p.get("x_proj.weight").value().mul(3));
            double[] after = mixer.forward(x, SequenceInfo.of(x)).toDoubles();
            for (int i = 0; i < before.length; i++) {
                assertThat(after[i]).isCloseTo(before[i], within(1e-9));
            }
            p.get("b_layernorm.weight").set(p.get("b_layernorm.weight").value().mul(0));
            p.get("D").set(p.get("D").value().mul(0));
            assertThat(mixer.forward(x, SequenceInfo.of(x)).toDoubles()).containsOnly(0);
        }
    }

    @Test
    void initialValuesAreThoseOfTheReferenceImplementation() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open();
                Mamba mixer = MambaConfig.defaults().create(64, 4, new Init(device, DType.F64, new Rng(1)))) {
            Map<String, Parameter> p = mixer.namedParameters();
            double[] a = p.get("A_log").value().toDoubles();
            for (int i = 0; i < a.length; i++) {
                assertThat(a[i]).isCloseTo(Math.log(i % 16 + 1), within(1e-12));
            }
            assertThat(p.get("D").value().toDoubles()).containsOnly(1);
            double[] steps = p.get("dt_proj.bias").value().softplus().toDoubles();
            assertThat(Arrays.stream(steps)).allMatch(s -> s >= 1e-3 - 1e-12 && s <= 1e-1 + 1e-12);
            assertThat(largest(p.get("dt_proj.weight"))).isBetween(0.45, 0.5);
            assertThat(largest(p.get("out_proj.weight"))).isBetween(0.45 / Math.sqrt(128), 0.5 / Math.sqrt(128));
            assertThat(largest(p.get("conv1d.weight"))).isBetween(0.45, 0.5);
        }
    }

    private static double largest(Parameter p) {
        return Arrays.stream(p.value().toDoubles()).map(Math::abs).max().orElseThrow();
    }

    @Test
    void configurationRoundTripsThroughItsMap() {
        MambaConfig config = new MambaConfig(8, 3, 1, 7, 2, 0.5, 1e-2, 1, 1e-4, "constant", true, false, false);
        assertThat(Mixers.parse("mamba", config.toMap())).isEqualTo(config);
        MambaConfig normalised = config.withSelectNorm(1e-6);
        assertThat(Mixers.parse("mamba", normalised.toMap())).isEqualTo(normalised).isNotEqualTo(config);
        assertThat(Mixers.parse("mamba", Map.of())).isEqualTo(MambaConfig.defaults());
        assertThat(Mixers.parse("mamba", Map.of("time_step_rank", "auto"))).isEqualTo(MambaConfig.defaults());
        assertThat(MambaConfig.defaults().rank(250)).isEqualTo(16);
    }

    @Test
    void badConfigurationsAreTypedErrors() {
        assertThatThrownBy(() -> Mixers.parse("mamba", Map.of("d_state", 16))).isInstanceOf(ConfigException.class)
                .hasMessageContaining("d_state");
        assertThatThrownBy(() -> Mixers.parse("mamba", Map.of("state_size", 0))).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Mixers.parse("mamba", Map.of("conv_kernel", 1))).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Mixers.parse("mamba", Map.of("time_step_min", -1))).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Mixers.parse("mamba", Map.of("time_step_max", Double.NaN))).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Mixers.parse("mamba", Map.of("select_norm_eps", -1e-6))).isInstanceOf(ConfigException.class)
                .hasMessageContaining("select_norm");
        assertThatThrownBy(() -> Mixers.parse("mamba", Map.of("time_step_rank", "large"))).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> Mixers.parse("mamba", Map.of("time_step_init_scheme", "zero"))).isInstanceOf(ConfigException.class);
    }

    @Test
    void bfloat16ModelsKeepTheStateWide() {
        MambaConfig config = MambaConfig.defaults().withStates(4);
        try (Device device = Device.open("cpu"); Scope _ = Scope.open();
                Mamba narrow = config.create(16, 1, new Init(device, DType.BF16, new Rng(1)));
                Mamba wide = config.create(16, 1, new Init(device, DType.F32, new Rng(1)))) {
            Tensor x = new Rng(2).uniform(device, DType.BF16, -1.0, 1.0, 2, 9, 16);
            var carried = narrow.scan(x, SequenceInfo.of(x), null);
            assertThat(carried.y().dtype()).isEqualTo(DType.BF16);
            assertThat(carried.state().get(1).dtype()).isEqualTo(DType.F32);
            assertThat(narrow.namedParameters().get("A_log").value().dtype()).isEqualTo(DType.F32);
            double[] expected = wide.forward(x.cast(DType.F32), SequenceInfo.of(x)).toDoubles();
            double[] actual = carried.y().toDoubles();
            for (int i = 0; i < expected.length; i++) {
                assertThat(actual[i]).isCloseTo(expected[i], within(0.02));
            }
        }
    }

    @Test
    void stepsInBf16EqualTheForwardPassUpToItsRounding() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open();
                Mamba mixer = MambaConfig.defaults().create(32, 1, new Init(device, DType.BF16, new Rng(1)));
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
