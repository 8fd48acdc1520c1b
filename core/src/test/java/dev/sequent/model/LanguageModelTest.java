package dev.sequent.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.DataException;
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

    @Test
    void afterAFailureBetweenTwoLayersTheStateIsRefused() {
        try (Device device = Device.open("cpu"); LanguageModel model = ToyModels.create(ToyModels.rich(), device);
                Tensor ids = model.ids(new int[] {1, 2, 3, 4}, 2, 2); Tensor next = model.ids(new int[] {1, 2}, 2, 1);
                ModelState state = model.newState(new StateSpec(2, 8, DType.F32, device))) {
            SequenceInfo info = SequenceInfo.of(2, 2);
            double[] expected = logits(model, ids, info, state);
            state.reset();
            state.layers().get(2).reorder(new int[1]);
            assertThatThrownBy(() -> model.prefill(ids, info, state)).isInstanceOf(ShapeException.class);
            state.layers().get(2).reorder(new int[2]);
            assertThatThrownBy(() -> model.prefill(ids, info, state)).isInstanceOf(DataException.class)
                    .hasMessageContaining("[prefill]").hasMessageContaining("[2, 2, 0, 0, 0, 0]");
            assertThatThrownBy(() -> model.step(next, state)).isInstanceOf(DataException.class).hasMessageContaining("[step]");
            state.reset();
            assertThat(logits(model, ids, info, state)).isEqualTo(expected);
        }
    }

    private static double[] logits(LanguageModel model, Tensor ids, SequenceInfo info, ModelState state) {
        return Autograd.noGrad(() -> {
            try (Tensor y = model.prefill(ids, info, state)) {
                return y.toDoubles();
            }
        });
    }
}
