package dev.sequent.transformer;

import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.Golden;
import dev.sequent.testkit.GoldenCheck;
import dev.sequent.type.DType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Two-layer Llama (grouped queries, rotary positions) and GPT-2 (learned positions, biases, tied head) models, loaded from their
 * checkpoints, give what Hugging Face transformers gives for them in F64: logits, loss, every gradient, the losses of five AdamW steps, and
 * a greedy continuation. Agreement of Llama in F64 ends where transformers computes norms and angles in F32; GPT-2 is F64 throughout.
 */
class TransformerGoldenTest {
    @ParameterizedTest
    @CsvSource({"llama,reference,F64,5e-7,1e-6,1e-8", "llama,cpu,F32,1e-6,2e-6,2e-7", "gpt2,reference,F64,1e-12,1e-12,1e-12",
            "gpt2,cpu,F32,1e-6,2e-6,2e-7"})
    void modelAgreesWithTransformers(String family, String backend, DType dtype, double outputs, double gradients, double losses) {
        try (Golden golden = Golden.open(family); Device device = Device.open(backend);
                LanguageModel model = LanguageModel.load(golden.directory(), device, dtype)) {
            new GoldenCheck(golden, model).errors().expectWithin(outputs, gradients, losses);
        }
    }
}
