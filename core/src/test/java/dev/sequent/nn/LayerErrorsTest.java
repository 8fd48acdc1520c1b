package dev.sequent.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import dev.sequent.type.DeviceMismatchException;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What layers refuse. */
class LayerErrorsTest {
    @Test
    void dropoutTakesProbabilitiesOnly() {
        try (Device device = Device.open("reference"); Scope _ = Scope.open()) {
            Tensor x = Tensor.ones(device, DType.F32, 100);
            for (double p : new double[] {-0.1, 1, 2, Double.NaN}) {
                assertThatThrownBy(() -> Dropout.apply(x, p, Optional.of(new Rng(1)))).as(p + "").isInstanceOf(ConfigException.class);
            }
            assertThat(Dropout.apply(x, 0.5, Optional.of(new Rng(1))).toFloats()).containsOnly(0, 2);
        }
    }

    @Test
    void parametersStayOnTheirDevice() {
        try (Device device = Device.open("reference"); Device other = Device.open("reference");
                Embedding table = new Embedding(new Init(device, 1), 1, 3, 2); Scope _ = Scope.open()) {
            Tensor foreign = Tensor.ones(other, DType.F32, 3, 2);
            assertThatThrownBy(() -> table.weight().set(foreign)).isInstanceOf(DeviceMismatchException.class);
            assertThat(table.weight().value().device()).isEqualTo(device);
        }
    }
}
