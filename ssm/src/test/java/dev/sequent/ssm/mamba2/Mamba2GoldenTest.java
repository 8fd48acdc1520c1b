package dev.sequent.ssm.mamba2;

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
 * A two-layer Mamba-2 language model gives what Hugging Face transformers gives for it in F64: logits, loss, every gradient, the losses of
 * five AdamW steps, and a greedy continuation. Agreement in F64 ends at 1e-7 because transformers computes A and the norms in F32 even
 * then.
 */
class Mamba2GoldenTest {
    @ParameterizedTest
    @CsvSource({"reference,F64,5e-7,1e-6,3e-8", "cpu,F32,1e-6,2e-6,2e-7"})
    void modelAgreesWithTransformers(String backend, DType dtype, double outputs, double gradients, double losses) {
        LayerSpec layer = LayerSpec.of(Mamba2Config.defaults().withStates(16).withHeads(8, 1));
        LanguageModelConfig config = new LanguageModelConfig(97, 32, LayerPattern.repeat(2, layer), "rms", 1e-5, false, 0, 0, 0.1);
        try (Golden golden = Golden.open("mamba2"); Device device = Device.open(backend);
                LanguageModel model = new LanguageModel(config, new Init(device, dtype, new Rng(1)))) {
            GoldenCheck check = new GoldenCheck(golden, model,
                    name -> GoldenCheck.Place.whole(name.startsWith("lm_head") ? name : "backbone." + name));
            check.load();
            check.errors().expectWithin(outputs, gradients, losses);
        }
    }
}
