package dev.sequent.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.nn.Init;
import dev.sequent.nn.Linear;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Sums of gradients outlive the scopes of the batches and are released with the accumulator. */
class GradientAccumulatorTest {
    @Test
    void gradientsOfSeveralBatchesAddUp() {
        try (Device device = Device.open("reference")) {
            try (Scope _ = Scope.open(); Linear layer = new Linear(new Init(device, 1), 2, 2, false); GradientAccumulator sum =
                    new GradientAccumulator()) {
                Parameter weight = layer.weight();
                for (int i = 1; i <= 3; i++) {
                    try (Scope _ = Scope.open()) {
                        sum.add(Map.of(weight, Tensor.full(device, weight.value().dtype(), i, 2, 2)));
                    }
                }
                assertThat(sum.gradients().get(weight).toDoubles()).containsOnly(6);
            }
            assertThat(device.memory().liveHandles()).isZero();
        }
    }
}
