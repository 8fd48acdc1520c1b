package dev.sequent.backend.nd4j;

import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.testkit.MixerGradientLaws;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import java.util.List;
import java.util.Map;

/** Mixers of every family are lawful on ND4J arrays, where they run on their decompositions. */
class Nd4jMixerLawsTest extends MixerGradientLaws {
    @Override
    protected List<Subject> subjects() {
        return List.of(new Subject("s4d", S4dConfig.defaults().withStateSize(4), 3),
                new Subject("mamba", MambaConfig.defaults().withStates(4), 5),
                new Subject("mamba2", Mamba2Config.defaults().withStates(4).withHeads(5, 1), 5),
                new Subject("attention", AttentionConfig.of(2), 8));
    }

    @Override
    protected List<Platform> platforms() {
        return List.of(new Platform(Nd4jBackendProvider.NAME, Map.of(), DType.F32, 5e-5));
    }
}
