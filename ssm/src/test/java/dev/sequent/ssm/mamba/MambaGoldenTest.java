package dev.sequent.ssm.mamba;

import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.testkit.Golden;
import dev.sequent.testkit.GoldenCheck;
import dev.sequent.type.DType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A two-layer Mamba language model gives what Hugging Face transformers gives for it in F64: logits, loss, every gradient, the losses of five
 * AdamW steps, and a greedy continuation. Agreement in F64 ends at 1e-6 because transformers computes A, the step sizes and the norms in F32 even then.
 */
class MambaGoldenTest {
    @ParameterizedTest
    @CsvSource({"reference,F64,5e-7,1e-6,1e-8", "cpu,F32,1e-6,2e-6,2e-7"})
    void modelAgreesWithTransformers(String backend, DType dtype, double outputs, double gradients, double losses) {
        LayerSpec layer = LayerSpec.of(MambaConfig.defaults().withStates(8));
        LanguageModelConfig config = LanguageModelConfig.of(97, 24, LayerPattern.repeat(2, layer));
        try (Golden golden = Golden.open("mamba"); Device device = Device.open(backend);
                LanguageModel model = new LanguageModel(config, new Init(device, dtype, new Rng(1)))) {
            GoldenCheck check = new GoldenCheck(golden, model, name -> GoldenCheck.Place.whole("backbone." + name));
            check.load();
            check.errors().expectWithin(outputs, gradients, losses);
        }
    }
}
