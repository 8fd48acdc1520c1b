package dev.sequent.transformer.checkpoint;

import dev.sequent.testkit.CheckpointFamilyLaws;

class Gpt2FamilyTest extends CheckpointFamilyLaws {
    Gpt2FamilyTest() {
        super("gpt2");
    }
}
