package dev.sequent.ssm.mamba;

import dev.sequent.testkit.MixerGradientLaws;
import java.util.List;

/** Mamba is a lawful mixer. */
class MambaLawsTest extends MixerGradientLaws {
    @Override
    protected List<Subject> subjects() {
        MambaConfig all = new MambaConfig(3, 2, 1, 7, 2, 0.5, 1e-2, 1, 1e-4, "constant", true, false, false);
        return List.of(new Subject("mamba", MambaConfig.defaults().withStates(4), 5), new Subject("mamba with other options", all, 6),
                new Subject("mamba with norms of dt, B and C", MambaConfig.defaults().withStates(3).withSelectNorm(1e-6), 5));
    }
}
