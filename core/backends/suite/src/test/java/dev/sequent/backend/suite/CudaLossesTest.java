package dev.sequent.backend.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.type.DType;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Ten training steps of a hybrid on the CUDA backend, whose kernels run on the CPU here, give the reference's losses; see
 * {@link EmulatedCuda}.
 */
class CudaLossesTest {
    /** Largest difference of a loss in F32, in percent: rounding, which AdamW may amplify by a few times. */
    private static final double PERCENT = 1e-3;

    @Test
    void tenStepsGiveTheReferenceLosses() throws Exception {
        List<Double> expected = LossesAcrossBackendsTest.losses("reference", DType.F32, "MSA");
        try (AutoCloseable _ = EmulatedCuda.require().install()) {
            List<Double> actual = LossesAcrossBackendsTest.losses("cuda", DType.F32, "MSA");
            for (int step = 0; step < expected.size(); step++) {
                assertThat(actual.get(step)).as("loss of step " + step).isCloseTo(expected.get(step), withinPercentage(PERCENT));
            }
        }
        assertThat(expected.getLast()).as("the model learns").isLessThan(expected.getFirst());
    }
}
