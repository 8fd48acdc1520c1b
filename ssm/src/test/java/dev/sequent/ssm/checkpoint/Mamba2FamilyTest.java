package dev.sequent.ssm.checkpoint;

import dev.sequent.testkit.CheckpointFamilyLaws;

class Mamba2FamilyTest extends CheckpointFamilyLaws {
    Mamba2FamilyTest() {
        super("mamba2");
    }
}
