package dev.sequent.fused.conv;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import org.junit.jupiter.api.Test;

/** Sequences without tokens. */
class CausalConvEdgesTest {
    @Test
    void noTokensPassTheStateOn() {
        for (String backend : new String[] {"cpu", "reference"}) {
            try (Device device = Device.open(backend); Scope _ = Scope.open()) {
                Tensor x = Tensor.zeros(device, DType.F32, 2, 0, 5);
                Tensor weight = new Rng(1).uniform(device, DType.F32, -1, 1, 5, 1, 4);
                Tensor state = new Rng(2).uniform(device, DType.F32, -1, 1, 2, 3, 5);
                for (byte[] flags : new byte[][] {null, {}}) {
                    CausalConv.Result r = CausalConv.apply(x, weight, null, true, state, flags);
                    assertThat(r.y().shape()).isEqualTo(Shape.of(2, 0, 5));
                    assertThat(r.finalState().toFloats()).isEqualTo(state.toFloats());
                }
            }
        }
    }
}
