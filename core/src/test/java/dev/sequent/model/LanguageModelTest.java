package dev.sequent.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import org.junit.jupiter.api.Test;

/** What a model leaves behind, and what it refuses. */
class LanguageModelTest {
    @Test
    void withoutAScopeOnlyTheLogitsAreLeft() {
        try (Device device = Device.open("cpu"); LanguageModel model = ToyModels.create(ToyModels.rich(), device);
                Tensor ids = model.ids(new int[] {1, 2, 3, 4, 5, 6}, 2, 3)) {
            long before = device.memory().liveHandles();
            try (Tensor logits = model.forward(ids, SequenceInfo.of(ids))) {
                assertThat(logits.shape()).isEqualTo(Shape.of(2, 3, ToyModels.VOCABULARY));
                assertThat(device.memory().liveHandles()).isEqualTo(before + 1);
            }
        }
    }

    @Test
    void prefillTakesAnInfoOfItsOwnRows() {
        try (Device device = Device.open("cpu"); LanguageModel model = ToyModels.create(ToyModels.rich(), device);
                Tensor ids = model.ids(new int[] {1, 2, 3, 4}, 2, 2);
                ModelState state = model.newState(new StateSpec(2, 8, DType.F32, device))) {
            for (int rows : new int[] {1, 3}) {
                assertThatThrownBy(() -> model.prefill(ids, SequenceInfo.of(rows, 2), state)).isInstanceOf(ShapeException.class)
                        .hasMessageContaining("[ids]");
            }
        }
    }
}
