package dev.sequent.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.type.ConfigException;
import org.junit.jupiter.api.Test;

/** Learning rates at the places that matter: first step, end of warm-up, last step, beyond. */
class LrScheduleTest {
    @Test
    void constantIsConstant() {
        LrSchedule s = LrSchedule.constant(0.3);
        assertThat(s.at(0)).isEqualTo(0.3);
        assertThat(s.at(1_000_000)).isEqualTo(0.3);
    }

    @Test
    void cosineWarmsUpDescendsAndStays() {
        LrSchedule s = LrSchedule.warmupCosine(1, 0.1, 10, 110);
        assertThat(s.at(0)).isEqualTo(0.1, within(1e-12));
        assertThat(s.at(4)).isEqualTo(0.5, within(1e-12));
        assertThat(s.at(9)).isEqualTo(1, within(1e-12));
        assertThat(s.at(10)).isEqualTo(1, within(1e-12));
        assertThat(s.at(60)).as("half-way").isEqualTo(0.55, within(1e-12));
        assertThat(s.at(110)).isEqualTo(0.1, within(1e-12));
        assertThat(s.at(1000)).isEqualTo(0.1, within(1e-12));
        for (int t = 10; t < 110; t++) {
            assertThat(s.at(t + 1)).isLessThan(s.at(t));
        }
    }

    @Test
    void cosineWithoutWarmUpBeginsAtThePeak() {
        assertThat(LrSchedule.warmupCosine(2, 0, 0, 5).at(0)).isEqualTo(2);
        assertThat(LrSchedule.warmupStableDecay(2, 0, 0, 5, 10).at(0)).isEqualTo(2);
        assertThat(LrSchedule.warmupCosine(2, 0.5, 5, 5).at(5)).as("nothing but warm-up").isEqualTo(0.5, within(1e-12));
    }

    @Test
    void stableStretchLastsUntilTheDescent() {
        LrSchedule s = LrSchedule.warmupStableDecay(1, 0.2, 10, 20, 100);
        assertThat(s.at(0)).isEqualTo(0.1, within(1e-12));
        assertThat(s.at(9)).isEqualTo(1);
        assertThat(s.at(80)).isEqualTo(1);
        assertThat(s.at(90)).isEqualTo(0.6, within(1e-12));
        assertThat(s.at(99)).isEqualTo(0.24, within(1e-12));
        assertThat(s.at(100)).isEqualTo(0.2, within(1e-12));
        assertThat(s.at(5000)).isEqualTo(0.2, within(1e-12));
        assertThat(LrSchedule.warmupStableDecay(1, 0.2, 0, 0, 10).at(9)).isEqualTo(1);
    }

    @Test
    void impossiblePhasesAndRatesAreRefused() {
        assertThatThrownBy(() -> LrSchedule.warmupCosine(1, 0, 11, 10)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> LrSchedule.warmupCosine(1, 0, -1, 10)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> LrSchedule.warmupStableDecay(1, 0, 6, 5, 10)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> LrSchedule.warmupStableDecay(1, 0, -5, 5, 10)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> LrSchedule.warmupStableDecay(1, 0, Long.MAX_VALUE, Long.MAX_VALUE, Long.MAX_VALUE))
                .isInstanceOf(ConfigException.class);
        for (double bad : new double[] {-1, Double.NaN, Double.POSITIVE_INFINITY}) {
            assertThatThrownBy(() -> LrSchedule.constant(bad)).isInstanceOf(ConfigException.class);
            assertThatThrownBy(() -> LrSchedule.warmupCosine(1, bad, 1, 10)).isInstanceOf(ConfigException.class);
        }
    }
}
