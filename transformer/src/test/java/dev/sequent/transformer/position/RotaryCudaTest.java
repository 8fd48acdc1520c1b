package dev.sequent.transformer.position;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.testkit.cuda.DeviceKernelLaw;
import dev.sequent.testkit.cuda.Nvcc;
import dev.sequent.type.DType;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rotary embedding in device code, run on the CPU: against the decomposition, with its derivative. */
class RotaryCudaTest {
    @ParameterizedTest
    @CsvSource({"F32,6,6", "F32,6,9", "F32,2,17", "BF16,16,16", "F16,4,7"})
    void kernelEqualsDecomposition(DType dtype, int channels, int width) {
        RotaryEmbedding rotary = new RotaryEmbedding(RotaryFrequencies.standard(channels, 10_000));
        int[] positions = {300, 301, 302, 290, 304, 0, 1, 2, 3, 5};
        new DeviceKernelLaw(RotaryKernel.class, dtype, dtype == DType.F32 ? 2e-6 : dtype == DType.F16 ? 2e-3 : 2e-2)
            .check("rotary " + channels + " of " + width,
            device -> List.of(DeviceKernelLaw.uniform(device, dtype, 1, 2, 5, 4, width)), in ->
                List.of(rotary.apply(in.get(0).slice(2, 1, 4), positions)));
    }

    @Test
    void compilesForRealArchitectures() {
        RotaryEmbedding rotary = new RotaryEmbedding(RotaryFrequencies.standard(4, 10_000));
        assertThat(Nvcc.compileFused(device -> {
            for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
                rotary.apply(DeviceKernelLaw.uniform(device, dtype, 1, 1, 1, 1, 4), new int[1]);
            }
        })).containsExactly("rotary");
    }
}
