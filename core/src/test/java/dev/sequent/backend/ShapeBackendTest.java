package dev.sequent.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelState;
import dev.sequent.model.ToyModels;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** Shapes and dtypes without values are those that the reference backend's values have. */
class ShapeBackendTest {
    private static Tensor f(Device d, long... shape) {
        return Tensor.full(d, DType.F32, 1, shape);
    }

    private static final List<Function<Device, Tensor>> EXPRESSIONS = List.of(
            d -> f(d, 2, 3).add(f(d, 3)).mul(2).exp(), d -> f(d, 2, 3).compare(CompareOp.GT, 0),
                    d -> f(d, 2, 3).compare(CompareOp.GE, f(d, 1, 3)),
            d -> f(d, 2, 3).compare(CompareOp.GT, 0).where(f(d, 3), f(d, 2, 1)), d -> f(d, 2, 3).cast(DType.BF16),
                    d -> f(d, 2, 3, 4).reduce(ReduceOp.SUM, false, 0, 2),
            d -> f(d, 2, 3, 4).reduce(ReduceOp.MAX, true, 1), d -> f(d, 2, 3).argmax(-1), d -> f(d, 2, 3).sum(),
                    d -> f(d, 2, 6).reshape(-1, 4),
            d -> f(d, 2, 3, 4).permute(2, 0, 1), d -> f(d, 2, 1).broadcastTo(Shape.of(5, 2, 3)), d -> f(d, 4, 5).slice(1, 1, 4),
                    d -> f(d, 4, 5).select(0, 2),
            d -> Tensor.concat(1, f(d, 2, 3), f(d, 2, 5)), d -> Tensor.stack(0, f(d, 2), f(d, 2)), d -> Tensor.arange(d, 7),
                    d -> f(d, 4, 5).topK(2),
            d -> f(d, 4, 5).indexSelect(0, Tensor.of(d, new int[] {1, 1, 3})),
                    d -> f(d, 4, 5).gather(1, Tensor.of(d, new int[] {0, 1, 2, 3}, 4, 1)),
            d -> f(d, 2, 3, 4).matmul(f(d, 2, 4, 5)), d -> f(d, 4, 3).matmul(f(d, 5, 4), true, true), d -> f(d, 2, 3).softmax(-1),
                    d -> f(d, 2, 3).transpose(0, 1).contiguous());

    @Test
    void shapesAreThoseOfValues() {
        try (Device shapes = Device.shapes(); Device values = Device.open("reference"); Scope _ = Scope.open()) {
            for (Function<Device, Tensor> e : EXPRESSIONS) {
                Tensor expected = e.apply(values);
                Tensor actual = e.apply(shapes);
                assertThat(actual.shape()).isEqualTo(expected.shape());
                assertThat(actual.dtype()).isEqualTo(expected.dtype());
            }
        }
    }

    @Test
    void aWholeModelRunsWithoutValues() {
        try (Device shapes = Device.shapes()) {
            try (LanguageModel model = ToyModels.create(ToyModels.config(), shapes); Scope _ = Scope.open()) {
                Tensor ids = model.ids(new int[12], 2, 6);
                Gradients g = Autograd.valueAndGrad(model.parameters(), () -> model.forward(ids, SequenceInfo.of(ids)).sum());
                model.parameters().forEach(p -> assertThat(g.of(p).shape()).isEqualTo(p.value().shape()));
                try (ModelState state = model.newState(new StateSpec(2, 8, DType.F32, shapes))) {
                    assertThat(model.prefill(ids, SequenceInfo.of(ids), state).shape()).isEqualTo(Shape.of(2, 13));
                    assertThat(model.step(model.ids(new int[2], 2, 1), state).shape()).isEqualTo(Shape.of(2, 13));
                }
            }
            assertThat(shapes.memory().liveHandles()).isZero();
            assertThat(shapes.memory().liveBytes()).isZero();
        }
    }

    @Test
    void sizeCostsNothingAndValuesAreRefused() {
        Device shapes = Device.shapes();
        try (Scope _ = Scope.open()) {
            Tensor huge = Tensor.zeros(shapes, DType.BF16, 1 << 20, 1 << 20);
            assertThat(shapes.memory().liveBytes()).isEqualTo(2L << 40);
            assertThatThrownBy(() -> huge.select(0, 1).toFloats()).isInstanceOf(BackendException.class).hasMessageContaining("values");
        }
        shapes.close();
        assertThatThrownBy(() -> Tensor.zeros(shapes, DType.F32, 1)).isInstanceOf(BackendException.class).hasMessageContaining("closed");
        assertThat(Backends.providers()).noneMatch(p -> p.name().equals("shapes"));
    }
}
