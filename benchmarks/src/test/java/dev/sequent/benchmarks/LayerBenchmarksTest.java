package dev.sequent.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every mixer passes the checks that stand before its measurements, and is measured. */
class LayerBenchmarksTest {
    static List<String> mixers() {
        return StepModels.MIXERS;
    }

    @ParameterizedTest
    @MethodSource("mixers")
    void oneTokenIsMeasuredAfterAContext(String mixer) {
        DecodeBenchmark benchmark = new DecodeBenchmark();
        benchmark.backend = "cpu";
        benchmark.mixer = mixer;
        benchmark.context = 5;
        benchmark.open();
        try {
            assertThat(benchmark.token()).isEqualTo(1);
            assertThat(benchmark.token()).isEqualTo(1);
        } finally {
            benchmark.close();
        }
    }

    @ParameterizedTest
    @MethodSource("mixers")
    void aLayerIsMeasuredForwardAndBackward(String mixer) {
        MixerBenchmark benchmark = new MixerBenchmark();
        benchmark.backend = "cpu";
        benchmark.mixer = mixer;
        benchmark.time = 30;
        benchmark.open();
        try {
            assertThat(benchmark.forward()).isEqualTo(1);
            assertThat(benchmark.gradient()).isGreaterThan(1);
        } finally {
            benchmark.close();
        }
    }
}
