package dev.sequent.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.nn.Init;
import dev.sequent.nn.Layer;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.AutogradException;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Optimizers on a small layer: formulas, decay groups, frozen parameters, resuming. */
class OptimizerTest {
    private Device device;
    private Scope scope;

    /** Two decaying vectors, one that does not decay, one that is frozen. */
    private static final class Four extends Layer {
        final Parameter a;
        final Parameter log;
        final Parameter fixed;

        Four(Init init) {
            a = param("a", init.uniform(-1, 1, 3, 2));
            log = param("A_log", init.uniform(-1, 1, 4, 3), Parameter.Flag.NO_DECAY);
            fixed = param("fixed", init.uniform(-1, 1, 5), Parameter.Flag.FROZEN);
        }

        Tensor loss() {
            Tensor total = a.value().square().sum().add(log.value().sum().mul(0));
            return total.add(fixed.value().square().sum());
        }
    }

    @BeforeEach
    void open() {
        device = Device.open("reference");
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    private static Map<Parameter, Tensor> gradients(Four layer) {
        Gradients g = Autograd.valueAndGrad(layer.parameters(), layer::loss);
        Map<Parameter, Tensor> map = new LinkedHashMap<>();
        layer.parameters().forEach(p -> map.put(p, g.of(p)));
        return map;
    }

    @Test
    void adamwDecaysOnlyWhatMayDecayAndLeavesFrozenParametersAlone() {
        try (Four layer = new Four(new Init(device, 1)); AdamW optimizer =
                new AdamW(layer.namedParameters(), new AdamW.Settings(0.9, 0.95, 1e-8, 0.5))) {
            double[] a = layer.a.value().toDoubles();
            double[] log = layer.log.value().toDoubles();
            double[] fixed = layer.fixed.value().toDoubles();
            optimizer.step(gradients(layer), 0.1, 1);
            double[] after = layer.a.value().toDoubles();
            for (int i = 0; i < a.length; i++) {
                // the first step goes by the learning rate along the sign of the gradient
                assertThat(after[i]).isEqualTo(a[i] * (1 - 0.1 * 0.5) - 0.1 * Math.signum(a[i]), within(1e-5));
            }
            assertThat(layer.log.value().toDoubles()).isEqualTo(log);
            assertThat(layer.fixed.value().toDoubles()).isEqualTo(fixed);
            assertThat(optimizer.steps()).isEqualTo(1);
            assertThat(optimizer.state()).containsOnlyKeys("exp_avg.a", "exp_avg.A_log", "exp_avg_sq.a", "exp_avg_sq.A_log");
        }
    }

    @Test
    void sgdFollowsTheGradient() {
        try (Four layer = new Four(new Init(device, 1)); Sgd optimizer =
                new Sgd(layer.namedParameters(), new Sgd.Settings(0.5, 0, false))) {
            double[] a = layer.a.value().toDoubles();
            optimizer.step(gradients(layer), 0.1, 0.5);
            optimizer.step(gradients(layer), 0.1, 0.5);
            double[] after = layer.a.value().toDoubles();
            for (int i = 0; i < a.length; i++) {
                double first = a[i] * 0.9;
                assertThat(after[i]).isEqualTo(first - 0.1 * (0.5 * a[i] + first), within(1e-6));
            }
        }
    }

    @Test
    void resumedStepsRepeatUninterruptedOnes() {
        double[] straight;
        try (Four layer = new Four(new Init(device, 1)); AdamW optimizer = new AdamW(layer.namedParameters(), AdamW.Settings.defaults())) {
            for (int i = 0; i < 4; i++) {
                optimizer.step(gradients(layer), 0.1, 1);
            }
            straight = layer.a.value().toDoubles();
        }
        try (Four layer = new Four(new Init(device, 1));
                AdamW first = new AdamW(layer.namedParameters(), AdamW.Settings.defaults());
                AdamW second = new AdamW(layer.namedParameters(), AdamW.Settings.defaults())) {
            first.step(gradients(layer), 0.1, 1);
            first.step(gradients(layer), 0.1, 1);
            second.restore(first.state(), first.steps());
            second.step(gradients(layer), 0.1, 1);
            second.step(gradients(layer), 0.1, 1);
            assertThat(layer.a.value().toDoubles()).isEqualTo(straight);
        }
    }

    @Test
    void foreignStatesAndMissingGradientsAreRefused() {
        try (Four layer = new Four(new Init(device, 1)); AdamW optimizer = new AdamW(layer.namedParameters(), AdamW.Settings.defaults())) {
            assertThatThrownBy(() -> optimizer.restore(Map.of(), 1)).isInstanceOf(CheckpointException.class);
            Map<String, Tensor> wrong = new LinkedHashMap<>(optimizer.state());
            wrong.put("exp_avg.a", Tensor.of(device, new float[] {1, 2, 3}));
            assertThatThrownBy(() -> optimizer.restore(wrong, 1)).isInstanceOf(CheckpointException.class).hasMessageContaining("exp_avg.a");
            assertThatThrownBy(() -> optimizer.step(Map.of(), 0.1, 1)).isInstanceOf(AutogradException.class)
                    .hasMessageContaining("none for a");
        }
        assertThatThrownBy(() -> new AdamW.Settings(1, 0.9, 1e-8, 0)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> new Sgd.Settings(-0.1, 0, false)).isInstanceOf(ConfigException.class);
    }

    @Test
    void clippingScalesToTheLargestNorm() {
        List<Tensor> gradients = List.of(Tensor.of(device, new float[] {3, 0}), Tensor.of(device, new float[] {0, 4}));
        double norm = GradientClip.globalNorm(gradients);
        assertThat(norm).isEqualTo(5, within(1e-12));
        assertThat(GradientClip.scale(norm, 1) * norm).isEqualTo(1, within(1e-6));
        assertThat(GradientClip.scale(norm, 10)).isEqualTo(1);
        assertThat(GradientClip.scale(norm, 0)).isEqualTo(1);
    }

    /** One parameter in a dtype of choice, whose gradient is the same at every step. */
    private static final class One extends Layer {
        final Parameter w;

        One(Device device, DType dtype) {
            w = param("w", Tensor.of(device, new float[] {1, -2, 0.5f, 3}).cast(dtype).own());
        }

        double[] train(Optimizer optimizer, int steps, double learningRate) {
            Tensor gradient = Tensor.of(w.value().device(), new float[] {0.01f, -0.02f, 0, 3e-5f}).cast(w.value().dtype());
            for (int i = 0; i < steps; i++) {
                optimizer.step(Map.of(w, gradient), learningRate, 1);
            }
            return w.value().toDoubles();
        }
    }

    private static Optimizer optimizer(boolean adam, One layer) {
        return adam ? new AdamW(layer.namedParameters(), new AdamW.Settings(0.9, 0.999, 1e-8, 0.01))
                : new Sgd(layer.namedParameters(), new Sgd.Settings(0.9, 0.01, true));
    }

    /** 400 updates of 1e-4 each: in BF16 the neighbours of 1 are 0.004 and 0.008 away, so that every single one would be lost. */
    @ParameterizedTest
    @CsvSource({"F16,true", "BF16,true", "F16,false", "BF16,false"})
    void parametersOfSixteenBitsFollowThoseOfF32(DType dtype, boolean adam) {
        double rate = adam ? 1e-4 : 1e-3;
        try (One narrow = new One(device, dtype); One wide = new One(device, DType.F32);
                Optimizer a = optimizer(adam, narrow); Optimizer b = optimizer(adam, wide)) {
            double[] before = wide.w.value().toDoubles();
            double[] expected = wide.train(b, 400, rate);
            double[] given = narrow.train(a, 400, rate);
            double rounding = dtype == DType.BF16 ? 1.0 / 256 : 1.0 / 2048;
            for (int i = 0; i < expected.length; i++) {
                assertThat(given[i]).as("element " + i).isCloseTo(expected[i], within(2 * rounding * Math.abs(expected[i])));
            }
            assertThat(Math.abs(given[1] - before[1])).as("it moved").isGreaterThan(0.02);
            assertThat(a.state().values()).allMatch(t -> t.dtype() == DType.F32);
            assertThat(a.state()).containsKey("master.w");
            assertThat(b.state()).doesNotContainKey("master.w");
        }
    }

    @Test
    void stepsOfSixteenBitsResumeToTheBitAndFollowParametersThatOthersChange() {
        try (One straight = new One(device, DType.BF16); One resumed = new One(device, DType.BF16);
                Optimizer a = optimizer(true, straight); Optimizer first = optimizer(true, resumed);
                Optimizer second = optimizer(true, resumed)) {
            double[] expected = straight.train(a, 100, 1e-4);
            resumed.train(first, 50, 1e-4);
            second.restore(first.state(), first.steps());
            assertThat(resumed.train(second, 50, 1e-4)).isEqualTo(expected);
            Tensor other = Tensor.of(device, new float[] {100, -2, 50, 3}).cast(DType.BF16);
            resumed.w.value().write(other, 0);
            double[] given = resumed.train(second, 1, 1e-4);
            assertThat(given[0]).isCloseTo(100, within(0.5));
            assertThat(given[2]).isCloseTo(50, within(0.25));
        }
    }
}
