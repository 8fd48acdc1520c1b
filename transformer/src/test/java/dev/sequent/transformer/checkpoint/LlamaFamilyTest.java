package dev.sequent.transformer.checkpoint;

import dev.sequent.testkit.CheckpointFamilyLaws;

class LlamaFamilyTest extends CheckpointFamilyLaws {
    LlamaFamilyTest() {
        super("llama");
    }
}
