package dev.sequent.transformer.checkpoint;

import dev.sequent.testkit.GoldenVariantLaws;

/** Small configurations of GPT-2, Llama and Mistral agree with Hugging Face transformers. */
class TransformerVariantsTest extends GoldenVariantLaws {
    TransformerVariantsTest() {
        super("gpt2", "llama", "mistral");
    }
}
