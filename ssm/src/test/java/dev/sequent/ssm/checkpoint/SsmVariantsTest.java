package dev.sequent.ssm.checkpoint;

import dev.sequent.testkit.GoldenVariantLaws;

/** Small configurations of Mamba-1 and Mamba-2 agree with Hugging Face transformers. */
class SsmVariantsTest extends GoldenVariantLaws {
    SsmVariantsTest() {
        super("mamba", "mamba2");
    }
}
