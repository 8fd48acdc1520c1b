package dev.sequent.cost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.tensor.Device;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The formulas that everything else is made of. */
class WorkloadTest {
    @ParameterizedTest
    @CsvSource({"1, 1, 0, 0", "2, 7, 0, 0", "3, 7, 5, 0", "1, 7, 0, 3", "2, 7, 2, 3", "2, 7, 5, 3", "1, 2, 1, 3", "1, 7, 2, 100",
            "1, 1, 9, 4", "1, 1, 2, 4"})
    void pairsAreWhatALoopCounts(int batch, int time, int context, int window) {
        long counted = 0;
        for (int t = 0; t < time; t++) {
            int seen = context + t + 1;
            counted += window == 0 ? seen : Math.min(seen, window);
        }
        assertThat(new Workload(Workload.Pass.FORWARD, batch, time, context, DType.F32).pairs(window)).isEqualTo((double) batch * counted);
    }

    @Test
    void aLinearLayerIsOneProductForwardAndTwoBackward() {
        Work forward = Work.linear(Workload.forward(2, 5, DType.F32), 10, 3, 7);
        assertThat(forward.matmulFlops()).isEqualTo(2.0 * 10 * 3 * 7);
        assertThat(forward.bytes()).isEqualTo(4.0 * (10 * 3 + 3 * 7 + 10 * 7));
        assertThat(Work.linear(Workload.backward(2, 5, DType.F32), 10, 3, 7).matmulFlops()).isEqualTo(2 * forward.matmulFlops());
        assertThat(Work.linear(Workload.forward(2, 5, DType.BF16), 10, 3, 7).bytes()).isEqualTo(forward.bytes() / 2);
    }

    @Test
    void statesMoveOnlyWhenTokensCameBefore() {
        assertThat(Work.state(Workload.forward(3, 5, DType.F32), 8)).isEqualTo(Work.NONE);
        assertThat(Work.state(Workload.decode(3, 5, DType.F32), 8).bytes()).isEqualTo(2 * 3 * 8.0);
    }

    @Test
    void theSlowerOfComputingAndMovingDecides() {
        Roofline r = new Roofline(100, 10);
        assertThat(r.seconds(new Work(150, 50, 10))).isEqualTo(2);
        assertThat(r.seconds(new Work(150, 50, 30))).isEqualTo(3);
    }

    @Test
    void aDeviceHasPositiveRates() {
        try (Device device = Device.open("cpu")) {
            Roofline r = Roofline.measure(device);
            assertThat(r.flopsPerSecond()).isGreaterThan(1e6);
            assertThat(r.bytesPerSecond()).isGreaterThan(1e6);
            assertThat(device.memory().liveHandles()).isZero();
        }
    }

    @Test
    void sizesAreChecked() {
        assertThatThrownBy(() -> Workload.forward(0, 1, DType.F32)).isInstanceOf(ConfigException.class).hasMessageContaining("batch 0");
        assertThatThrownBy(() -> Workload.decode(1, -1, DType.F32)).isInstanceOf(ConfigException.class).hasMessageContaining("context -1");
        assertThatThrownBy(() -> Workload.forward(1, 1, DType.I32)).isInstanceOf(ConfigException.class).hasMessageContaining("I32");
        assertThatThrownBy(() -> new Roofline(0, 1)).isInstanceOf(ConfigException.class);
        assertThat(new Work(1, 2, 3).times(2).plus(new Work(1, 1, 1)).flops()).isCloseTo(8, within(0.0));
    }
}
