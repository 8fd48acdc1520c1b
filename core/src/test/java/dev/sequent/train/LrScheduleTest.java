package dev.sequent.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.type.ConfigException;
import org.junit.jupiter.api.Test;

/** The phases of the learning-rate schedules, at their borders. */
class LrScheduleTest {
    @Test
    void constantIsConstant() {
        assertThat(LrSchedule.constant(3e-4).at(0)).isEqualTo(3e-4);
        assertThat(LrSchedule.constant(3e-4).at(1_000_000)).isEqualTo(3e-4);
    }

    @Test
    void cosineRisesToThePeakAndFallsToTheFloor() {
        LrSchedule s = LrSchedule.warmupCosine(1, 0.1, 10, 110);
        assertThat(s.at(0)).isEqualTo(0.1, within(1e-12));
        assertThat(s.at(9)).isEqualTo(1, within(1e-12));
        assertThat(s.at(10)).isEqualTo(1, within(1e-12));
        assertThat(s.at(60)).isEqualTo(0.55, within(1e-12));
        assertThat(s.at(110)).isEqualTo(0.1, within(1e-12));
        assertThat(s.at(1000)).isEqualTo(0.1, within(1e-12));
        for (int i = 10; i < 110; i++) {
            assertThat(s.at(i + 1)).isLessThan(s.at(i));
        }
    }

    @Test
    void stableScheduleStaysAtThePeakUntilTheLastSteps() {
        LrSchedule s = LrSchedule.warmupStableDecay(1, 0.2, 4, 10, 100);
        assertThat(s.at(1)).isEqualTo(0.5, within(1e-12));
        assertThat(s.at(4)).isEqualTo(1);
        assertThat(s.at(90)).isEqualTo(1);
        assertThat(s.at(95)).isEqualTo(0.6, within(1e-12));
        assertThat(s.at(100)).isEqualTo(0.2, within(1e-12));
        assertThat(s.at(200)).isEqualTo(0.2, within(1e-12));
    }

    @Test
    void withoutWarmupTheFirstStepIsAtThePeak() {
        assertThat(LrSchedule.warmupCosine(1, 0, 0, 10).at(0)).isEqualTo(1);
        assertThat(LrSchedule.warmupStableDecay(1, 0, 0, 5, 10).at(0)).isEqualTo(1);
    }

    @Test
    void phasesLongerThanTheRunAreRefused() {
        assertThatThrownBy(() -> LrSchedule.warmupCosine(1, 0, 11, 10)).isInstanceOf(ConfigException.class);
        assertThatThrownBy(() -> LrSchedule.warmupStableDecay(1, 0, 5, 6, 10)).isInstanceOf(ConfigException.class);
    }
}
