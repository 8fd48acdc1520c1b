package dev.sequent.fused;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import org.junit.jupiter.api.Test;

/** Which tensors kernels on host memory take. */
class HostTensorsTest {
    /** Rows are counted in ints: what has more of them is left to the decompositions. */
    @Test
    void tensorsOfTooManyOrTooLongRowsAreRefused() {
        try (Device device = Device.shapes(); Scope _ = Scope.open()) {
            assertThat(HostTensors.refusal(Tensor.zeros(device, DType.F32, 1L << 33, 2))).isPresent();
            assertThat(HostTensors.refusal(Tensor.zeros(device, DType.F32, 2, 1L << 31))).isPresent();
            assertThat(HostTensors.refusal(Tensor.zeros(device, DType.F64, 2, 2))).isPresent();
            assertThat(HostTensors.refusal(Tensor.zeros(device, DType.F32))).isEmpty();
            assertThat(HostTensors.refusal(Tensor.zeros(device, DType.F32, 5, 0))).isEmpty();
            assertThat(HostTensors.refusal(Tensor.zeros(device, DType.F32, 1 << 20, 1 << 12))).isEmpty();
        }
    }
}
