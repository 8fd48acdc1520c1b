package dev.sequent.ssm.fft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The FFT kernel equals the Toeplitz product, derivatives included, at odd sizes and on poisoned memory. */
class LongConvolutionTest {
    @ParameterizedTest
    @CsvSource({"1,1,1", "2,3,17", "3,17,16", "1,63,3", "4,100,33", "5,128,1"})
    void kernelEqualsDecomposition(int batch, int time, int channels) {
        try (Device device = Device.open("cpu", Map.of("poison", "true", "threads", "2")); Scope _ = Scope.open()) {
            Rng rng = new Rng(batch + time);
            Tensor u = rng.uniform(device, DType.F32, -1.0, 1.0, batch, time, channels);
            Tensor k = rng.uniform(device, DType.F32, -1.0, 1.0, channels, time);
            Tensor w = rng.uniform(device, DType.F32, -1.0, 1.0, batch, time, channels);
            double[][] expected = run(u, k, w, false);
            double[][] actual = run(u, k, w, true);
            for (int i = 0; i < 3; i++) {
                assertThat(actual[i]).containsExactly(expected[i], Offset.offset(2e-5 * Math.max(1, Math.sqrt(time))));
            }
        }
    }

    @Test
    void aSequenceTooLongForTheDecompositionIsATypedError() {
        try (Device device = Device.open("cpu"); Scope _ = Scope.open()) {
            Tensor u = Tensor.zeros(device, DType.F64, 1, 46_341, 1);
            Tensor k = Tensor.zeros(device, DType.F64, 1, 46_341);
            assertThatThrownBy(() -> LongConvolution.apply(u, k)).isInstanceOf(ShapeException.class).hasMessageContaining("46,340");
        }
    }

    private static double[][] run(Tensor u, Tensor k, Tensor w, boolean kernel) {
        Variable uv = Variable.of(u);
        Variable kv = Variable.of(k);
        Tensor[] y = new Tensor[1];
        Gradients g = Autograd.valueAndGrad(List.of(uv, kv), () -> {
            y[0] = (kernel ? LongConvolution.apply(u, k) : LongConvolution.decompose(u, k)).alias().own();
            return y[0].mul(w).sum();
        });
        double[][] all = {y[0].toDoubles(), g.of(uv).toDoubles(), g.of(kv).toDoubles()};
        y[0].close();
        return all;
    }
}
