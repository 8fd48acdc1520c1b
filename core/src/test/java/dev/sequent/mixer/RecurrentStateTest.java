package dev.sequent.mixer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a state keeps. */
class RecurrentStateTest {
    @Test
    void theEndOfASequenceIsKeptWithoutTheSequence() {
        List<RecurrentState.Slot> layout = List.of(new RecurrentState.Slot("conv", Shape.of(1, 3, 4), DType.F32));
        try (Device device = Device.open("cpu");
                RecurrentState state = new RecurrentState(layout, new StateSpec(1, 1, DType.F32, device))) {
            long fresh = device.memory().liveBytes();
            double[] end;
            try (Tensor sequence = new Rng(1).uniform(device, DType.F32, -1.0, 1.0, 1, 4000, 4);
                    Tensor last = sequence.slice(1, 3997, 4000)) {
                end = last.toDoubles();
                state.replace(List.of(last), 4000);
            }
            assertThat(state.tensors().getFirst().toDoubles()).isEqualTo(end);
            assertThat(state.position()).isEqualTo(4000);
            assertThat(device.memory().liveBytes()).isEqualTo(fresh);
        }
    }
}
