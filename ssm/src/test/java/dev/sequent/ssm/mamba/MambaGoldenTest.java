package dev.sequent.ssm.mamba;

import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.Golden;
import dev.sequent.testkit.GoldenCheck;
import dev.sequent.type.DType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A two-layer Mamba language model, loaded from its checkpoint, gives what Hugging Face transformers gives for it in F64: logits, loss,
 * every gradient, the losses of five AdamW steps, and a greedy continuation. Agreement in F64 ends at 1e-6 because transformers computes A,
 * the step sizes and the norms in F32 even then.
 */
class MambaGoldenTest {
    @ParameterizedTest
    @CsvSource({"reference,F64,5e-7,1e-6,1e-8", "cpu,F32,1e-6,2e-6,2e-7"})
    void modelAgreesWithTransformers(String backend, DType dtype, double outputs, double gradients, double losses) {
        try (Golden golden = Golden.open("mamba"); Device device = Device.open(backend);
                LanguageModel model = LanguageModel.load(golden.directory(), device, dtype)) {
            new GoldenCheck(golden, model).errors().expectWithin(outputs, gradients, losses);
        }
    }
}
