package dev.sequent.ssm.checkpoint;

import dev.sequent.testkit.CheckpointFamilyLaws;

class MambaFamilyTest extends CheckpointFamilyLaws {
    MambaFamilyTest() {
        super("mamba");
    }
}
