package dev.sequent.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** What decoding benchmarks measure is decoding after the context that they name. */
class DecodingTest {
    @ParameterizedTest
    @FieldSource("dev.sequent.benchmarks.StepModels#MODELS")
    void stepsGiveTheLogitsOfTheForwardPassAndTheContextStays(String name) {
        try (Device device = Device.open("cpu"); LanguageModel model = StepModels.create(name, device)) {
            Decoding.check(name, model, 20, 1e-3);
            assertThatThrownBy(() -> Decoding.check(name, model, 20, -1)).isInstanceOf(IllegalStateException.class);
            try (Decoding decoding = new Decoding(model, 100)) {
                long bytes = decoding.stateBytes();
                long live = device.memory().liveHandles();
                for (int i = 0; i < 3; i++) {
                    assertThat(decoding.token()).isBetween(0, model.config().vocab_size() - 1);
                    assertThat(decoding.caches()).allMatch(c -> c.length() == 100);
                }
                assertThat(decoding.stateBytes()).isEqualTo(bytes);
                assertThat(device.memory().liveHandles()).isEqualTo(live);
            }
        }
    }

    @Test
    void aLongContextIsInTheCachesWholly() {
        try (Device device = Device.open("cpu"); LanguageModel model = StepModels.create("hybrid", device);
                Decoding decoding = new Decoding(model, 5000); Scope _ = Scope.open()) {
            assertThat(decoding.caches()).hasSize(2).allMatch(c -> c.length() == 5000);
            assertThat(decoding.caches().getFirst().keys().toFloats()).doesNotContain(Float.NaN).isNotEqualTo(new float[5000 * 256]);
        }
    }
}
